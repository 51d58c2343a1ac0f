"""A neuron's crops are divided only if the division recurs on other images."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from neurflow.config import Config
from neurflow.method.concepts import co_activations, concept, crops_limit
from neurflow.method.meanings import candidate_cuts, dip, reproducible_clusters
from tests.reference import method

POINTS, FEATURES = 50, 128
APART = np.arange(POINTS)
"""every crop comes from a different image"""


def factors(rng, count):
    loadings = np.abs(rng.normal(size=(count, FEATURES)))
    return rng.exponential(size=(POINTS, count)) @ loadings + 0.3 * rng.normal(
        size=(POINTS, FEATURES)
    )


def clutter(rng):
    return (rng.random((POINTS, FEATURES)) < 0.05) * rng.exponential(size=(POINTS, FEATURES))


SINGLE = {
    "gaussian": lambda rng: rng.normal(size=(POINTS, FEATURES)),
    "long": lambda rng: rng.normal(size=(POINTS, 6)) * [10, 1, 1, 1, 0.5, 0.5],
    "lognormal": lambda rng: np.exp(rng.normal(size=(POINTS, FEATURES))),
    "one factor": lambda rng: factors(rng, 1),
    "three factors": lambda rng: factors(rng, 3),
    "clutter": clutter,
}


def mixture(rng, sizes, apart=14):
    truth = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), FEATURES)) * apart / np.sqrt(2 * FEATURES)
    return centres[truth] + rng.normal(size=(len(truth), FEATURES)), truth


@pytest.mark.parametrize("kind", SINGLE)
def test_a_single_population_is_one_meaning_with_any_tail(kind):
    split = sum(
        reproducible_clusters(
            SINGLE[kind](np.random.default_rng(seed)), APART, Config(seed=seed)
        ).any()
        for seed in range(10)
    )
    assert split <= 1


@pytest.mark.parametrize("sizes", [(25, 25), (35, 15), (18, 16, 16), (10, 10, 10, 10, 10)])
def test_planted_meanings_are_found(sizes):
    for seed in range(4):
        points, truth = mixture(np.random.default_rng(seed), sizes)
        found = reproducible_clusters(points, APART, Config(seed=seed))
        assert adjusted_rand_score(truth, found) > 0.9


def test_photographs_are_not_taken_for_meanings():
    """Fifty crops of a few photographs that differ by photograph: no division recurs on others."""
    split_by_crop = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        images = np.sort(rng.integers(8, size=POINTS))
        points = rng.normal(size=(8, FEATURES))[images] + 0.1 * rng.normal(size=(POINTS, FEATURES))
        split_by_crop += reproducible_clusters(points, APART, Config(seed=seed)).any()
        assert not reproducible_clusters(points, images, Config(seed=seed)).any()
    assert split_by_crop >= 3, "without their images the crops would be divided"


def test_a_meaning_needs_two_images():
    rng = np.random.default_rng(0)
    points, _ = mixture(rng, (40, 10), apart=30)
    one = np.where(APART < 40, APART, 40)  # the second meaning is one photograph
    assert not reproducible_clusters(points, one, Config()).any()
    assert reproducible_clusters(points, APART, Config()).any()


def test_the_result_does_not_depend_on_the_seed():
    rng = np.random.default_rng(1)
    neurons = [mixture(rng, (25, 25), apart)[0] for apart in (0, 4, 12, 20)] + [factors(rng, 1)]
    same = 0
    for points in neurons:
        same += (
            len({reproducible_clusters(points, APART, Config(seed=s)).max() for s in range(5)}) == 1
        )
    assert same == len(neurons)


def test_too_few_images_or_equal_points_are_one_meaning():
    assert reproducible_clusters(np.ones((9, 3)), np.arange(9), Config()).tolist() == [0] * 9
    assert reproducible_clusters(np.eye(1), np.arange(1), Config()).tolist() == [0]
    points, _ = mixture(np.random.default_rng(0), (10, 10), apart=30)
    assert not reproducible_clusters(points, np.arange(20) % 5, Config()).any()
    assert candidate_cuts(points, np.arange(20) % 5, Config()) == []


def test_dip_equals_its_definition():
    rng = np.random.default_rng(0)
    for gap in (0, 2, 6):
        places = np.concatenate([rng.normal(size=9), rng.normal(size=6) + gap])
        weights = rng.random(15)
        expected = method.dip(places.tolist(), weights.tolist())
        assert dip(places, weights) == pytest.approx(expected, abs=1e-6)


def test_dip_of_two_clusters_and_of_a_line():
    """The dip of two equal clusters is 1/4, and that of a uniform distribution is small."""
    heaps = np.concatenate([np.linspace(0, 0.001, 50), np.linspace(1, 1.001, 50)])
    assert dip(heaps, np.ones(100)) == pytest.approx(0.25, abs=0.01)
    assert dip(np.linspace(0, 1, 100), np.ones(100)) == pytest.approx(0, abs=1e-6)
    assert dip(np.ones(5), np.ones(5)) == 0


def test_meanings_are_separated_by_other_neurons_of_the_layer():
    """Two kinds of crops that differ only in the direction of the own layer's activations."""
    rng = np.random.default_rng(0)
    kinds = np.abs(rng.normal(size=(2, FEATURES)))
    truth = np.repeat([0, 1], 25)
    own = kinds[truth] * rng.uniform(0.5, 5, (POINTS, 1)) + rng.normal(size=(POINTS, FEATURES))
    features = co_activations(own, np.zeros(FEATURES), Config())
    crops, phi, previous = np.arange(POINTS), np.linspace(2, 1, POINTS), rng.random((POINTS, 9))
    found = concept(crops, phi, previous, Config(), APART, features)
    assert adjusted_rand_score(truth, found.meaning) > 0.9
    np.testing.assert_allclose(found.vectors[0], previous[found.parts[0]].mean(0), rtol=1e-5)
    assert len(concept(crops, phi, previous, Config(), APART).vectors) == 1
    assert not reproducible_clusters(own, APART, Config()).any(), "lengths hide the kinds"
    published = Config(meanings="gaussian")
    assert len(concept(crops, phi, previous, published, APART, features).vectors) == 1


@pytest.mark.parametrize(("rule", "meanings"), [("reproducible", 1), ("gaussian", 5)])
def test_the_rule_is_an_option(rule, meanings):
    """The rule ``gaussian`` takes photographs for meanings; ``silhouette`` always divides."""
    rng = np.random.default_rng(3)
    images = np.repeat(np.arange(5), 10)
    previous = rng.normal(size=(5, FEATURES))[images] + 0.1 * rng.normal(size=(POINTS, FEATURES))
    crops, phi = np.arange(POINTS), np.linspace(2, 1, POINTS)
    found = concept(crops, phi, previous, Config(meanings=rule), images)
    assert len(found.vectors) == meanings
    one = rng.normal(size=(POINTS, FEATURES))
    assert len(concept(crops, phi, one, Config(meanings=rule)).vectors) == 1
    assert len(concept(crops, phi, one, Config(meanings="silhouette")).vectors) > 1


def test_the_limit_of_crops_per_image_is_as_low_as_the_images_allow():
    assert crops_limit(Config(k=50), images=35) == 3
    assert crops_limit(Config(k=50), images=17) == 3
    assert crops_limit(Config(k=50), images=12) == 5
    assert crops_limit(Config(k=50, crops_per_image=2), images=10) == 2
    assert crops_limit(Config.published(), images=35) is None
