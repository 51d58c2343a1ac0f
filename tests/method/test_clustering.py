"""Ward's clustering, and the number of clusters by silhouette, which may be one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import adjusted_rand_score, silhouette_score

from neurflow.method.clustering import silhouettes, tree_cuts, ward_clusters
from tests.reference import method


def cloud(centre, count, seed, spread=1.0):
    return np.random.default_rng(seed).normal(centre, spread, (count, len(centre)))


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(max_examples=30, deadline=None)
def test_silhouette_equals_the_definition_and_scikit_learn(seed, clusters):
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(12, 3))
    labels = np.concatenate([np.arange(clusters), generator.integers(clusters, size=12 - clusters)])
    cuts = np.array([np.minimum(labels, 1), labels])  # numbers of clusters may differ
    for found, cut in zip(silhouettes(squareform(pdist(points)), cuts), cuts, strict=True):
        assert found == pytest.approx(silhouette_score(points, cut))
        assert found == pytest.approx(method.silhouette(points.tolist(), cut.tolist()))


@pytest.mark.parametrize("centres", [2, 3, 5])
def test_clear_meanings_are_separated(centres):
    points = np.concatenate([cloud(8 * np.eye(6)[i], 10 + i, seed=i) for i in range(centres)])
    labels = ward_clusters(points, 5)
    assert labels.max() + 1 == centres
    truth = np.repeat(np.arange(centres), [10 + i for i in range(centres)])
    assert len(set(zip(labels, truth, strict=True))) == centres
    sizes = np.bincount(labels)
    assert list(sizes) == sorted(sizes, reverse=True)  # the largest meaning comes first


STRETCH = np.array([10, 1, 1, 1, 0.5, 0.5])


def test_one_cloud_is_one_cluster_even_when_it_is_stretched():
    """The published code makes at least two; a threshold on the silhouette would split a long cloud.

    The cloud differs from those of the null, which are Gaussians along the axes of the features.
    """
    single = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        turn = np.linalg.qr(generator.normal(size=(6, 6)))[0]
        points = (generator.standard_t(30, size=(50, 6)) * STRETCH) @ turn
        single += ward_clusters(points, 5, seed=seed).max() == 0
    assert single >= 16


def test_the_gaussian_rule_splits_long_tails():
    """A known weakness, so the default of ``Config.meanings`` tests the division on other images."""
    split = 0
    for seed in range(6):
        points = np.exp(np.random.default_rng(seed).normal(size=(50, 64)))
        split += ward_clusters(points, 5, seed=seed).max() > 0
    assert split >= 5


def test_equal_points_and_very_few_points_are_one_meaning():
    assert ward_clusters(np.ones((7, 3)), 5).tolist() == [0] * 7
    assert ward_clusters(np.zeros((4, 3)), 5).tolist() == [0] * 4
    assert ward_clusters(np.eye(2), 5).tolist() == [0, 0]
    assert ward_clusters(np.eye(1), 5).tolist() == [0]


def test_only_the_seed_decides_close_cases():
    points = np.concatenate([cloud([0, 0, 0], 15, 1), cloud([3, 0, 0], 15, 2)])
    first, second, *again = (ward_clusters(points, 5, seed=s).tolist() for s in (0, 1, 0, 1))
    assert again == [first, second]
    assert first != second


@pytest.mark.parametrize("kind", ["points apart", "points on a grid"])
@pytest.mark.parametrize("count", [3, 4, 50])
def test_cuts_of_a_tree_are_those_of_scipy(kind, count):
    rng = np.random.default_rng(count)
    drawn = (
        rng.normal(size=(count, 4)) if kind == "points apart" else rng.integers(0, 3, (count, 4))
    )
    tree, largest = linkage(drawn.astype(float), "ward"), min(7, count - 1)
    cuts = tree_cuts(tree, largest)
    assert [len(np.unique(cut)) for cut in cuts] == list(range(2, largest + 1))
    for cut, expected in zip(cuts, cut_tree(tree, n_clusters=range(2, largest + 1)).T, strict=True):
        assert adjusted_rand_score(expected, cut) == 1
