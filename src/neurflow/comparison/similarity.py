"""Similarity of two groups, by their neurons or by where their crops lie, and its chance level.

A group is described by a non-negative vector. By neurons, it is the indicator vector of the group's
neurons. By crops, it is the distribution of the members' crops over the pictures: each crop is spread
evenly over its box, and the vector sums to 1.

The similarity of two groups is the overlap of their vectors, ``Σ min / Σ max`` (Ruzicka). For sets it
is the Jaccard index, and for two boxes of equal size on one picture their intersection over union.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from neurflow.circuit import Circuit, CircuitLayer
from neurflow.refs import Crop
from neurflow.stats import Interval

CELLS = 8
"""number of cells along a picture's side; the smallest published crop is two cells wide"""


@dataclass(frozen=True)
class Vectors:
    """The groups of a layer as vectors, computed from those of their members.

    Attributes:
        members: ``[member, feature]``, group after group.
        starts: first member of each group.
        as_sets: whether groups are sets of features, rather than distributions over them.
    """

    members: np.ndarray
    starts: np.ndarray
    as_sets: bool

    def groups(self, order: np.ndarray | None = None) -> np.ndarray:
        """Return ``[group, feature]``; an ``order`` reassigns the members to the groups."""
        rows = self.members if order is None else self.members[order]
        total = np.add.reduceat(rows, self.starts, axis=0)
        if self.as_sets:
            return (total > 0).astype(float)
        mass = total.sum(axis=1, keepdims=True)
        return np.divide(total, mass, out=np.zeros_like(total), where=mass > 0)


def by_neurons(layer: CircuitLayer, place: Mapping[int, int]) -> Vectors:
    """Return the layer's groups as sets of neurons; ``place`` maps each neuron to a feature."""
    rows = np.zeros((sum(len(group.members) for group in layer.groups), len(place)))
    columns = [place[member.neuron] for group in layer.groups for member in group.members]
    rows[np.arange(len(columns)), columns] = 1
    return Vectors(rows, _starts(layer), as_sets=True)


def by_crops(circuit: Circuit, layer: CircuitLayer, pictures: Mapping[str, int]) -> Vectors:
    """Return the layer's groups as distributions over ``pictures`` (name → index).

    Features are ``picture * CELLS² + cell``. Crops of other pictures are ignored, and the vector of a
    group without crops in these pictures is 0.
    """
    _, height, width = circuit.model.input_size
    number = {i: pictures.get(image.name) for i, image in enumerate(circuit.images)}
    spread: dict[Crop, np.ndarray] = {}
    rows = []
    for a, i in (member for group in layer.groups for member in group.members):
        row = np.zeros((len(pictures), CELLS * CELLS))
        neuron = layer.neurons[a]
        for crop in (neuron.crops[position] for position in neuron.semantic_groups[i].crops):
            if (place := number[crop.image]) is not None:
                if crop not in spread:
                    spread[crop] = coverage(crop, height, width)
                row[place] += spread[crop]
        rows.append(row.ravel())
    return Vectors(np.array(rows), _starts(layer), as_sets=False)


def _starts(layer: CircuitLayer) -> np.ndarray:
    return np.cumsum([0, *(len(group.members) for group in layer.groups)])[:-1]


def similarities(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ``[row of x, row of y]``: ``Σ min / Σ max`` of non-negative vectors, 0 if both are 0."""
    total = x.sum(axis=1)[:, None] + y.sum(axis=1)[None]
    apart = cdist(x, y, "cityblock")  # Σ max − Σ min, where total is Σ max + Σ min
    largest = total + apart
    return np.divide(total - apart, largest, out=np.zeros_like(largest), where=largest > 0).clip(
        0, 1
    )


def best_pairs(similarity: np.ndarray, threshold: float | None) -> list[tuple[int, int]]:
    """Match rows and columns one to one for the largest sum.

    Pairs below the threshold, or without any similarity, are dropped; with None, no pair is.
    """
    allowed = np.full(similarity.shape, True)
    if threshold is not None:
        allowed = (similarity >= threshold) & (similarity > 0)
    rows, columns = linear_sum_assignment(np.where(allowed, similarity, 0), maximize=True)
    return [
        (row, column)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if allowed[row, column]
    ]


def coverage(crop: Crop, height: int, width: int) -> np.ndarray:
    """Return ``[CELLS * CELLS]``: the share of a crop's area in each cell of its picture."""
    left, top, right, bottom = crop.box
    rows = _along(top / height, bottom / height)
    columns = _along(left / width, right / width)
    return np.outer(rows, columns).ravel()


def _along(start: float, end: float) -> np.ndarray:
    """Return ``[CELLS]``: the share of an interval within [0, 1] that lies in each cell."""
    edges = np.arange(CELLS + 1) / CELLS
    parts = np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], start), 0, None)
    return np.asarray(parts / max(parts.sum(), np.finfo(float).tiny))


def chance(
    groups: np.ndarray, others: Vectors, draws: int, rng: np.random.Generator
) -> list[Interval | None]:
    """Return the largest similarity of each group to one of ``others`` with members reassigned.

    The interval is the mean and the 5th and 95th percentile of the draws. None if ``others`` is a
    single group.
    """
    if not len(groups) or len(others.starts) < 2:
        return [None] * len(groups)
    best = np.array(
        [
            similarities(groups, others.groups(rng.permutation(len(others.members)))).max(axis=1)
            for _ in range(draws)
        ]
    )
    low, high = np.quantile(best, [0.05, 0.95], axis=0)
    return [
        Interval(*values)
        for values in zip(best.mean(axis=0).tolist(), low.tolist(), high.tolist(), strict=True)
    ]
