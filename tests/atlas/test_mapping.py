"""The map: similar classes are close, it is deterministic, and it reports its quality."""

import numpy as np
import pytest

from neurflow.atlas.mapping import plane


def clusters(sizes, within=0.8, between=0.1, seed=0):
    """(similarities of classes in clusters, with noise; the cluster of each class)."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    alike = np.where(of[:, None] == of[None], within, between)
    noise = np.random.default_rng(seed).uniform(-0.05, 0.05, alike.shape)
    alike = alike + (noise + noise.T) / 2
    np.fill_diagonal(alike, 1)
    return alike, of


@pytest.mark.parametrize("sizes", [(4, 4), (5, 6, 7), (20, 30, 40, 10)])
def test_similar_classes_are_close_to_each_other(sizes):
    alike, of = clusters(sizes)
    found = plane(alike)
    away = np.linalg.norm(found.points[:, None] - found.points[None], axis=2)
    np.fill_diagonal(away, np.inf)
    assert (of[away.argmin(axis=1)] == of).all()
    assert np.abs(found.points).max() == pytest.approx(1)


def test_the_same_circuits_give_the_same_map():
    alike, _ = clusters((6, 6))
    assert np.array_equal(plane(alike).points, plane(alike.copy()).points)


def test_the_share_of_preserved_neighbours_is_reported():
    alike, _ = clusters((3, 4, 5), seed=3)
    found = plane(alike)
    shares = []
    for i in range(12):
        others = [j for j in range(12) if j != i]
        near = sorted(others, key=lambda j: -alike[i, j])[:5]
        drawn = sorted(others, key=lambda j: np.linalg.norm(found.points[i] - found.points[j]))[:5]
        shares.append(len(set(near) & set(drawn)) / 5)
    assert found.neighbours == 5
    assert found.kept == pytest.approx(np.mean(shares))


@pytest.mark.parametrize("count", range(5))
def test_maps_of_few_classes(count):
    alike = np.full((count, count), 0.3)
    np.fill_diagonal(alike, 1)
    found = plane(alike)
    assert found.points.shape == (count, 2) and np.isfinite(found.points).all()
    assert len(np.unique(found.points.round(6), axis=0)) == count, "no two in one place"
    assert (found.kept is None) == (count < 4)


def test_three_classes_keep_their_distances():
    alike = 1 - np.array([[0, 0.3, 0.4], [0.3, 0, 0.5], [0.4, 0.5, 0]])
    points = plane(alike).points
    away = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert away / away[0, 1] == pytest.approx((1 - alike) / 0.3)


def test_classes_that_cannot_be_compared_are_apart():
    alike = np.full((6, 6), np.nan)
    alike[:3, :3] = alike[3:, 3:] = 0.9
    points = plane(alike).points
    away = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert away[:3, :3].max() < away[:3, 3:].min()
    assert np.isfinite(plane(np.full((7, 7), np.nan)).points).all()
