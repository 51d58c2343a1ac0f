"""One meaning or several: crops are divided only if the division comes back on other images.

1. *The whole:* Ward's tree over the crops ``V_a`` is cut into 2, 3, … parts.
2. *The halves:* the images are dealt into two halves, many times. The crops of one half are clustered
   by themselves, and each crop of the other half goes to the nearest of the centroids.
3. *Strength* of a part, over pairs of one crop from each half: how often the two fall together if both
   are in the part, less how often they do if one of them is. It is 1 if the part comes back every time,
   and 0 by chance. This is prediction strength (Tibshirani & Walther 2005), corrected for chance.
4. *Gap* between two parts: a long or skewed cloud can be cut at the same place again and again,
   although nothing parts its ends. So each crop gets a place on the line between the two centroids,
   from those halves that it is not in. Hartigan's dip (1985) of the places tells them from one heap.
5. The finest cut counts of which every part is strong, rests on two images and has a gap to every other
   part. If there is none, the neuron has one meaning.

Crops of one image are no evidence for each other: a pair is always of two images, and all crops of an
image together count as one observation in the dip. No distribution is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Self

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform

from neurflow.method.clustering import by_size, tree_cuts

SPLITS = 20
"""times that the images are dealt into halves"""
STRENGTH = 0.6
"""of every part, at least"""
GAP = 0.34
"""dip between any two parts times √(images), at least; 9 of 10 flat clouds of 25 images have less"""
IMAGES = 2
"""that a meaning rests on"""


@dataclass(frozen=True)
class Cut:
    """A division of a neuron's crops, and what other images say of it.

    Attributes:
        parts: ``[crop]`` number of each crop's part.
        strength: ``[part]``, 0 by chance, 1 at most.
        gap: the smallest between two parts; 0 where a part is too weak to ask.
    """

    parts: np.ndarray
    strength: np.ndarray
    gap: float


def reproducible_clusters(
    points: np.ndarray, images: np.ndarray, largest: int, *, seed: int = 0
) -> np.ndarray:
    """Divide a neuron's crops into meanings numbered 0, 1, …, the largest first.

    Args:
        points: ``[crop, feature]``.
        images: ``[crop]`` image of each crop.
        largest: largest number of meanings.
        seed: of the halves.

    Returns:
        ``[crop]`` meanings; all 0 where there is one, and always where there are fewer than six images.
    """
    for cut in reversed(examine(points, images, largest, seed=seed)):
        if cut.strength.min() >= STRENGTH and cut.gap >= GAP:
            return by_size(cut.parts)
    return np.zeros(len(points), dtype=np.int64)


def examine(points: np.ndarray, images: np.ndarray, largest: int, *, seed: int = 0) -> list[Cut]:
    """The cuts into 2, 3, … ``largest`` parts, as far as the images allow; see above."""
    points = np.asarray(points, dtype=np.float64)
    images = np.unique(images, return_inverse=True)[1]
    largest = min(largest, (images.max() + 1) // 2 - 1)
    condensed = pdist(points)
    alike = condensed.max(initial=0.0) <= 1e-12 * max(np.abs(points).max(initial=0.0), 1e-300)
    if largest < 2 or alike:
        return []
    distances = squareform(condensed)
    inside = deal(images, seed)
    whole = tree_cuts(linkage(condensed, "ward"), largest)
    halves = [
        tree_cuts(linkage(squareform(distances[np.ix_(half, half)], checks=False), "ward"), largest)
        for half in inside
    ]
    squared = distances**2
    return [
        _examined(parts, images, _Halves.of(squared, inside, [cuts[i] for cuts in halves]))
        for i, parts in enumerate(whole)
    ]


def deal(images: np.ndarray, seed: int) -> np.ndarray:
    """``[half, crop]`` whether a crop's image is in the half: each deal gives two halves."""
    generator, count = np.random.default_rng(seed), images.max() + 1
    first = np.array([generator.permutation(count) < count // 2 for _ in range(SPLITS)])
    return np.concatenate([first, ~first])[:, images]


@dataclass(frozen=True)
class _Halves:
    """One number of parts: the clusters of each half, and where all crops are with respect to them.

    Attributes:
        inside: ``[half, crop]`` whether the half has the crop.
        member: ``[half, crop, cluster]`` 1 where the half's crop is in the cluster.
        distance: ``[half, crop, cluster]`` squared, from the crop to the centroid.
        apart: ``[half, cluster, cluster]`` squared distance of centroids.
    """

    inside: np.ndarray
    member: np.ndarray
    distance: np.ndarray
    apart: np.ndarray

    @classmethod
    def of(cls, squared: np.ndarray, inside: np.ndarray, cuts: Sequence[np.ndarray]) -> Self:
        """From squared distances ``[crop, crop]`` and the clusters of each half's crops."""
        member = np.zeros((*inside.shape, len(np.unique(cuts[0]))))
        for own, half, cut in zip(member, inside, cuts, strict=True):
            own[half] = _one_hot(cut)
        mean = member / member.sum(axis=1, keepdims=True)
        mixed = squared @ mean
        cross = np.einsum("hac,had->hcd", mean, mixed)
        scatter = np.einsum("hcc->hc", cross) / 2
        apart = cross - scatter[:, :, None] - scatter[:, None, :]
        return cls(inside, member, mixed - scatter[:, None, :], apart)

    def only(self, halves: np.ndarray) -> Self:
        """Some of the halves."""
        return type(self)(*(values[halves] for values in vars(self).values()))


def _examined(parts: np.ndarray, images: np.ndarray, halves: _Halves) -> Cut:
    own = _one_hot(parts)
    parts = own.argmax(axis=1)
    overlap = np.einsum("hac,ap->hcp", halves.member, own)
    told = (overlap.sum(axis=1) > 0).all(axis=1)  # a half says nothing of a part that it lacks
    resting = [len(np.unique(images[parts == part])) for part in range(own.shape[1])]
    if not told.any() or min(resting) < IMAGES:
        return Cut(parts, np.zeros(own.shape[1]), 0.0)
    halves, counterpart = halves.only(told), overlap[told].argmax(axis=1)
    strength = _strength(own, halves)
    gap = 0.0
    if strength.min() >= STRENGTH:
        gap = min(
            _gap(np.isin(parts, pair), images, halves, *counterpart[:, pair].T)
            for pair in combinations(range(own.shape[1]), 2)
        )
    return Cut(parts, strength, gap)


def _strength(own: np.ndarray, halves: _Halves) -> np.ndarray:
    """``[part]`` from parts ``own`` ``[crop, part]``, over pairs of one crop from each half."""
    outside = ~halves.inside
    nearest = np.eye(own.shape[1])[halves.distance.argmin(axis=2)] * outside[:, :, None]
    together = np.tensordot(nearest, halves.member, axes=((0, 2), (0, 2)))
    asked = outside.T.astype(float) @ halves.inside
    inner, border = (
        [np.einsum("ap,ab,bp->p", own, pairs + pairs.T, other) for pairs in (together, asked)]
        for other in (own, 1 - own)
    )
    shares = [found / np.maximum(count, 1) for found, count in (inner, border)]
    return np.asarray(shares[0] - shares[1])


def _gap(
    chosen: np.ndarray, images: np.ndarray, halves: _Halves, one: np.ndarray, other: np.ndarray
) -> float:
    """Between two parts.

    Args:
        chosen: ``[crop]`` those of the two parts.
        images: ``[crop]``.
        halves: that tell them apart.
        one: ``[half]`` cluster that stands for the first part.
        other: ``[half]`` and for the second.
    """
    rows = np.flatnonzero(one != other)
    one, other = one[rows], other[rows]
    places = halves.distance[rows, :, other] - halves.distance[rows, :, one]
    places /= np.maximum(halves.apart[rows, one, other], 1e-300)[:, None]
    outside = ~halves.inside[rows]
    chosen = chosen & outside.any(axis=0)
    if not chosen.any():
        return 0.0
    mean = (places * outside)[:, chosen].sum(axis=0) / outside[:, chosen].sum(axis=0)
    _, image, count = np.unique(images[chosen], return_inverse=True, return_counts=True)
    return dip(mean, 1 / count[image]) * float(np.sqrt(len(count)))


def dip(places: np.ndarray, weights: np.ndarray) -> float:
    """Hartigan's dip: how far weighted places on a line are from any single heap; 0 to 1/4.

    A heap's distribution is convex up to its mode and concave behind it. For each mode: half of the
    larger distance from the convex minorant before it and the concave majorant behind it. The least
    counts.
    """
    order = np.argsort(places, kind="stable")
    places, weights = places[order], weights[order] / weights.sum()
    width = places[-1] - places[0]
    if width <= 0:
        return 0.0
    places = (places - places[0]) / width + 1e-9 * np.arange(len(places))  # no two alike
    share = np.cumsum(weights) - weights / 2
    before = _above_minorant(places, share)
    behind = _above_minorant(-places[::-1], -share[::-1])[::-1]
    return float(np.maximum(before, behind).min() / 2)


def _above_minorant(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``[point]`` largest height of the points so far above their greatest convex minorant."""
    corners, heights, found = [0], [0.0], np.zeros(len(x))

    def slope(a: int, b: int) -> float:
        return float((y[b] - y[a]) / (x[b] - x[a]))

    for b in range(1, len(x)):
        while len(corners) > 1 and slope(corners[-2], corners[-1]) >= slope(corners[-1], b):
            del corners[-1], heights[-1]
        a = corners[-1]
        between = slice(a + 1, b)
        line = y[a] + slope(a, b) * (x[between] - x[a])
        corners.append(b)
        heights.append(float((y[between] - line).max(initial=0.0)))
        found[b] = max(heights)
    return found


def _one_hot(labels: np.ndarray) -> np.ndarray:
    """``[point, cluster]`` of cluster numbers ``[point]``, whatever these are."""
    return np.asarray(labels[:, None] == np.unique(labels), dtype=float)
