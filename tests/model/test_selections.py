"""Top crops, core neurons, weights, groups and group interactions equal plain definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurflow.attribution.streaming import Scores
from neurflow.circuit.interactions import Drive, edge, flows, group_interactions
from neurflow.config import Config
from neurflow.errors import RequestError, WorkError
from neurflow.method.concepts import Concept, concept
from neurflow.method.core_neurons import (
    Core,
    core_neurons,
    interaction_weights,
    next_targets,
)
from neurflow.method.grouping.features import LayerOnCrops
from neurflow.method.groups import drives, meaning_shares, neuron_groups
from neurflow.refs import Member
from neurflow.study.activations import top_crops
from tests.reference import method
from tests.studies import select_core

seeds = st.integers(0, 10_000)


@given(seeds, st.integers(1, 12), st.integers(1, 40))
def test_top_crops_equal_the_definition_for_any_blocks(seed, k, block):
    phi = np.random.default_rng(seed).integers(0, 6, size=(40, 3)).astype(np.float32)
    numbers, values = top_crops((phi[i : i + block] for i in range(0, 40, block)), k)
    for neuron in range(3):
        expected = method.top_crops(phi[:, neuron].tolist(), k)
        assert numbers[neuron].tolist() == expected  # ties in the order of the crops
        assert values[neuron].tolist() == phi[expected, neuron].tolist()


@given(seeds, st.integers(1, 3), st.integers(3, 40))
def test_the_limit_of_crops_per_image(seed, limit, block):
    phi = np.random.default_rng(seed).integers(0, 9, size=(40, 2)).astype(np.float32)
    image = np.repeat(np.arange(8), 5)
    blocks = (phi[i : i + block] for i in range(0, 40, block))
    numbers, _ = top_crops(blocks, 8, images=image, per_image=limit)
    for neuron in range(2):
        expected = method.top_crops(phi[:, neuron].tolist(), 8, image.tolist(), limit)
        assert numbers[neuron].tolist() == expected


def test_too_few_crops_are_an_error():
    with pytest.raises(RequestError, match="k=5 is more than the 3 crops there are"):
        top_crops(iter([np.zeros((3, 1))]), 5)


@given(seeds, st.integers(1, 6))
def test_core_neurons_equal_the_definition(seed, tau):
    scores = np.random.default_rng(seed).integers(-3, 4, size=(5, 8)).astype(float)
    found = core_neurons(np.abs(scores).mean(0), tau)
    assert found.tolist() == method.core_neurons(scores.tolist(), tau)


@given(seeds)
def test_weights_of_each_meaning_sum_to_one_and_do_not_depend_on_order(seed):
    """The published code divides by a sum that changes during the loop."""
    generator = np.random.default_rng(seed)
    per_crop = generator.normal(size=(10, 8))
    parts = [np.arange(6), np.arange(6, 10)]
    signed = np.array([per_crop[part].mean(0) for part in parts])
    core = select_core(Scores(np.abs(per_crop).mean(0), signed, 0.0, 50), tau=4)
    for part, weights in zip(parts, core.weights, strict=True):
        expected = method.interaction_weights(per_crop[part].tolist(), list(core.importance))
        assert weights == pytest.approx(expected)
        assert sum(map(abs, weights.values())) == pytest.approx(1)
        backwards = interaction_weights(signed[0][list(core.importance)][::-1])[::-1]
        assert backwards.tolist() == pytest.approx(list(core.weights[0].values()))


def test_a_neuron_without_inputs_has_no_weights():
    core = select_core(Scores(np.zeros(4), np.zeros((1, 4)), 0.0, 50), tau=2)
    assert core.weights == ({},)
    assert not core.importance
    with pytest.raises(
        WorkError, match="No neuron of 'block1' has an effect on the targets in 'block2'"
    ):
        next_targets({3: core}, "block2", "block1")


def test_dead_neurons_are_left_out():
    """Otherwise they would fill S_a in the order of their indices."""
    importance = np.array([0.0, 0.0, 2.0, 0.0, 1.0])
    core = select_core(Scores(importance, importance[None], 0.0, 50), tau=4)
    assert list(core.importance) == [2, 4]
    assert core.weights == ({2: pytest.approx(2 / 3), 4: pytest.approx(1 / 3)},)
    assert next_targets({0: core}, "block2", "block1") == {2, 4}


def test_concept_vectors_are_means_over_the_meanings_crops():
    generator = np.random.default_rng(0)
    previous = generator.normal(size=(60, 5)).astype(np.float32)
    previous[:30] += 9
    crops = generator.permutation(60)[:40]
    found = concept(crops, np.sort(generator.random(40))[::-1], previous, Config(k=40))
    assert len(found.vectors) == 2
    assert sorted(np.concatenate(found.parts).tolist()) == list(range(40))
    for part, vector in zip(found.parts, found.vectors, strict=True):
        np.testing.assert_allclose(vector, previous[crops[part]].mean(0), rtol=1e-5)


def test_meaning_shares_follow_the_nearest_vector():
    points = np.array([[0.0, 0], [1, 0], [9, 0], [10, 0]])
    two, one = np.array([[0.0, 0], [10, 0]]), np.array([[10.0, 0]])
    found = meaning_shares(points, [two, one, two[::-1] + 1])
    assert [shares.tolist() for shares in found] == [[0.5, 0.5], [1.0], [0.5, 0.5]]
    assert meaning_shares(np.array([[5.0, 0]]), [two])[0].tolist() == [1, 0]  # a tie
    assert meaning_shares(points, []) == []


def world(seed):
    """Two layers of random neurons with one to three meanings each."""
    generator = np.random.default_rng(seed)
    previous = generator.normal(size=(30, 3)).astype(np.float32)

    def random_concept():
        meaning = generator.integers(generator.integers(1, 4), size=8)
        meaning = np.unique(meaning, return_inverse=True)[1]
        crops = generator.permutation(30)[:8]
        vectors = np.array(
            [previous[crops[meaning == i]].mean(0) for i in range(meaning.max() + 1)]
        )
        return Concept(crops, np.linspace(2, 1, 8), meaning, vectors)

    upper, lower = ({a: random_concept() for a in range(4)} for _ in range(2))
    cores = {}
    for a, found in upper.items():
        weights = []
        for _ in found.vectors:
            values = interaction_weights(generator.normal(size=3))
            core = generator.permutation(4)[:3].tolist()
            weights.append(dict(zip(core, values.tolist(), strict=True)))
        cores[a] = Core({}, tuple(weights), 0.0, 50)
    return previous, upper, lower, cores


def seen(phi):
    """A layer in which every two crops come from one image."""
    return LayerOnCrops(phi, np.arange(len(phi)) // 2)


@given(seeds, st.sampled_from(["conserving", "published"]), st.sampled_from(["sum", "mean"]))
def test_group_interactions_equal_the_definition(seed, sharing, aggregation):
    previous, upper, lower, cores = world(seed)
    config = Config(sharing=sharing, aggregation=aggregation, groups=2, group_splits=1)
    groups = [neuron_groups(concepts, seen(previous), config).groups for concepts in (upper, lower)]
    found = group_interactions(*groups, drives(upper, lower, cores, previous), config)
    for g, group in enumerate(groups[0]):
        for h, below in enumerate(groups[1]):
            expected = method.group_interaction(
                group,
                below,
                {(a, i): w for a, core in cores.items() for i, w in enumerate(core.weights)},
                {
                    (a, i): previous[c.crops[part]].tolist()
                    for a, c in upper.items()
                    for i, part in enumerate(c.parts)
                },
                {s: c.vectors.tolist() for s, c in lower.items()},
                sharing == "conserving",
                aggregation == "mean",
            )
            # a published weight counts once for a group, even if several meanings are in it
            assert found.get((g, h), 0.0) == pytest.approx(expected, abs=1e-9)


@given(seeds)
def test_weights_into_a_pair_sum_to_its_neuron_weights(seed):
    """With conserving sharing, no weight counts twice, and signs are kept."""
    previous, upper, lower, cores = world(seed)
    config = Config(aggregation="sum", groups=3, group_splits=1)
    lower_groups = neuron_groups(lower, seen(previous), config).groups
    for a, found in upper.items():
        for i in range(len(found.vectors)):
            pairs = drives(upper, lower, cores, previous)
            alone = group_interactions([[Member(a, i)]], lower_groups, pairs, config)
            assert sum(alone.values()) == pytest.approx(sum(cores[a].weights[i].values()))


def test_positive_and_negative_parts_of_an_edge():
    upper, lower = [[Member(0, 0), Member(1, 0)]], [[Member(0, 0), Member(1, 0)], [Member(2, 0)]]
    pairs = {
        Member(0, 0): Drive({0: 0.5, 1: -0.25, 2: 0.25}, {}),
        Member(1, 0): Drive({0: -0.75, 2: 0.25}, {}),
    }
    found = flows(upper, lower, pairs, Config())
    assert found == {(0, 0): (0.25, -0.5), (0, 1): (0.25, 0.0)}
    assert edge("b/0", "a/0", found[0, 0]).weight == -0.25
    assert group_interactions(upper, lower, pairs, Config()) == {(0, 0): -0.25, (0, 1): 0.25}


@pytest.mark.parametrize("rule", ["reproducible", "silhouette"])
def test_every_pair_is_in_exactly_one_group(rule):
    previous, upper, _, _ = world(3)
    groups = neuron_groups(upper, seen(previous), Config(grouping=rule)).groups
    members = [member for group in groups for member in group]
    assert sorted(members) == sorted(
        Member(a, i) for a, c in upper.items() for i in range(len(c.vectors))
    )
    assert [len(g) for g in groups] == sorted(map(len, groups), reverse=True)
