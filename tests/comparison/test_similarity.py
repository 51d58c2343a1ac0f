"""Similarity and matching, compared with plain implementations."""

import numpy as np
import pytest

from neurflow.comparison.similarity import (
    CELLS,
    best_pairs,
    by_crops,
    by_neurons,
    chance,
    coverage,
    similarities,
)
from neurflow.refs import Crop
from tests.comparison.tiny import SIDE, plain, tiny
from tests.reference import comparison as reference


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_similarity_by_neurons_is_the_jaccard_index(rng):
    groups = [sorted(rng.choice(12, size, replace=False).tolist()) for size in (3, 5, 1, 7)]
    layer = tiny({"l": plain(*groups)}).layer("l")
    place = {a: i for i, a in enumerate(sorted(layer.neurons))}
    vectors = by_neurons(layer, place).groups()
    for i, one in enumerate(groups):
        for j, other in enumerate(groups):
            expected = reference.jaccard(set(one), set(other))
            assert similarities(vectors, vectors)[i, j] == pytest.approx(expected)


def test_similarity_by_crops_is_the_overlap_of_pixels(rng):
    def crops(count):
        """On the grid of the published crops: sizes 32, 16 and 8 in steps of half a window."""
        found = []
        for _ in range(count):
            size = int(rng.choice([32, 16, 8]))
            left, top = (
                int(rng.integers(0, 2 * (32 - size) // size + 1)) * size // 2 for _ in "xy"
            )
            found.append((int(rng.integers(2)), (left, top, left + size, top + size)))
        return found

    groups = [[crops(3), crops(2)], [crops(4)], [crops(1), crops(1), crops(2)]]
    circuit = tiny({"l": [dict(enumerate(group)) for group in groups]})
    vectors = by_crops(circuit, circuit.layer("l"), {"0.png": 0, "1.png": 1}).groups()
    assert vectors.sum(axis=1) == pytest.approx(1)
    maps = [reference.pixels([c for member in g for c in member], SIDE, SIDE) for g in groups]
    table = similarities(vectors, vectors)
    for i, one in enumerate(maps):
        for j, other in enumerate(maps):
            assert table[i, j] == pytest.approx(reference.overlap(one, other))


def test_similarity_of_two_boxes_is_intersection_over_union():
    boxes = (0, 0, 16, 16), (8, 0, 24, 16)
    x, y = (coverage(Crop(0, box), SIDE, SIDE)[None] for box in boxes)
    assert x.sum() == pytest.approx(1)
    assert similarities(x, y)[0, 0] == pytest.approx(1 / 3)


def test_crops_of_different_input_sizes_are_comparable():
    small, large = (
        coverage(Crop(0, (4, 0, 20, 16)), 32, 32),
        coverage(Crop(0, (28, 0, 140, 112)), 224, 224),
    )
    assert np.allclose(small, large) and small.shape == (CELLS * CELLS,)


def test_empty_groups_have_similarity_zero():
    assert similarities(np.zeros((1, 3)), np.array([[0.0, 0, 0], [1, 0, 0]])).tolist() == [[0, 0]]


@pytest.mark.parametrize("threshold", [0, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 2), (1, 3)])
def test_the_matching_has_the_largest_sum(rng, shape, threshold):
    for _ in range(5):
        table = rng.random(shape).round(1)
        pairs = best_pairs(table, threshold)
        assert all(table[i, j] >= threshold for i, j in pairs)
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
        found = sum(table[i, j] for i, j in pairs)
        assert found == pytest.approx(reference.best_sum(table.tolist(), threshold))


def test_the_matching_is_not_greedy():
    """Taking the best pair first would leave the others without a counterpart."""
    assert sorted(best_pairs(np.array([[0.9, 0.8], [0.8, 0.1]]), 0.3)) == [(0, 1), (1, 0)]


def test_chance_is_the_mean_over_all_assignments(rng):
    groups, others = [[0, 1, 2], [3, 9]], [[0, 1], [2, 3, 4], [5]]
    one, other = (tiny({"l": plain(*each)}).layer("l") for each in (groups, others))
    place = {a: a for a in range(10)}
    found = chance(by_neurons(one, place).groups(), by_neurons(other, place), 4000, rng)
    expected = reference.best_of_deals(groups, others)
    assert [interval.value for interval in found] == pytest.approx(expected, abs=0.01)
    assert all(interval.low <= interval.value <= interval.high for interval in found)


def test_chance_with_one_group(rng):
    layer = tiny({"l": plain([0, 1])}).layer("l")
    vectors = by_neurons(layer, {0: 0, 1: 1})
    assert chance(vectors.groups(), vectors, 10, rng) == [None]
