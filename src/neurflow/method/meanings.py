"""Divides a neuron's crops into meanings, provided that the division is reproduced on other images.

1. *The whole:* Ward's tree over the crops ``V_a`` is cut into 2, 3, … parts.
2. *The halves:* the images are split into two halves, many times. The crops of one half are clustered
   alone. Each crop of the other half is assigned to the nearest centroid by linear discriminant
   analysis: distances are taken in the metric of the scatter within the half's clusters, shrunk
   towards a sphere.
3. *Strength* of a part is measured on pairs of crops, one from each half. It is the share of pairs that
   are assigned together if both crops are in the part, minus this share if only one of them is. It is 1
   for a part that is always reproduced, and 0 by chance. This is prediction strength (Tibshirani &
   Walther 2005), corrected for chance.
4. *Gap* between two parts: an elongated or skewed distribution can be cut at the same place every time
   although it is one population. Each crop is therefore projected on the line between the two
   centroids, in the halves that do not contain the crop. The gap is Hartigan's dip (1985) of these
   positions, times the square root of the number of images.
5. The finest cut is chosen in which every part is strong, has crops of at least two images, and has a
   gap to every other part. If there is none, the neuron has one meaning.

Crops of one image are not independent. Both crops of a pair are therefore from different images, and in
the dip all crops of an image together count as one observation. No distribution is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Int, Real
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform

from neurflow.config import Config
from neurflow.method.clustering import by_size, compact, tree_cuts

SHRINKAGE = 0.3
"""weight of the sphere in a half's metric; the remainder is the scatter within its clusters"""
TINY = 1e-9
"""smallest level of the scatter, relative to the mean square of the points"""
IMAGES = 2
"""smallest number of images in a meaning"""


@dataclass(frozen=True)
class Cut:
    """A division of a neuron's crops, with its strength on other images.

    Attributes:
        parts: ``[crop]`` part of each crop.
        strength: ``[part]`` strength: 0 by chance, at most 1.
        gap: smallest gap between two parts; 0 if a part is too weak.
    """

    parts: Int[np.ndarray, " crop"]
    strength: Float[np.ndarray, " part"]
    gap: float


def reproducible_clusters(
    points: Real[np.ndarray, "crop feature"], images: Int[np.ndarray, " crop"], config: Config
) -> Int[np.ndarray, " crop"]:
    """Divide a neuron's crops into meanings, numbered from the largest.

    Args:
        points: ``[crop, feature]``.
        images: ``[crop]`` image of each crop.
        config: largest number of meanings, number of splits, thresholds, seed.

    Returns:
        ``[crop]`` meaning of each crop. With fewer than six images, there is one meaning.
    """
    for cut in reversed(candidate_cuts(points, images, config)):
        if cut.strength.min() >= config.least_strength and cut.gap >= config.least_gap:
            return by_size(cut.parts)
    return np.zeros(len(points), dtype=np.int64)


def candidate_cuts(
    points: Real[np.ndarray, "crop feature"], images: Int[np.ndarray, " crop"], config: Config
) -> list[Cut]:
    """Return the cuts into 2, 3, … parts with their strengths and gaps.

    The number of images limits the number of parts. The gap is measured only if every part reaches
    ``least_strength``.
    """
    points = np.asarray(points, dtype=np.float64)
    images = np.unique(images, return_inverse=True)[1]
    largest = min(config.max_semantic_groups, (int(images.max()) + 1) // 2 - 1)
    condensed = pdist(points)
    alike = condensed.max(initial=0.0) <= 1e-12 * max(np.abs(points).max(initial=0.0), 1e-300)
    if largest < 2 or alike:
        return []
    distances = squareform(condensed)
    inside = random_halves(images, config)
    whole = tree_cuts(linkage(condensed, "ward"), largest)
    halves = [
        tree_cuts(linkage(squareform(distances[np.ix_(half, half)], checks=False), "ward"), largest)
        for half in inside
    ]
    axes = compact(points)
    return [
        _evaluated(parts, images, _Halves.of(axes, inside, [cuts[i] for cuts in halves]), config)
        for i, parts in enumerate(whole)
    ]


def random_halves(
    images: Int[np.ndarray, " crop"], config: Config
) -> Bool[np.ndarray, "half crop"]:
    """Split the images into halves, and return whether the image of a crop is in a half."""
    generator, count = np.random.default_rng(config.seed), images.max() + 1
    splits = range(config.meaning_splits)
    first = np.array([generator.permutation(count) < count // 2 for _ in splits])
    return np.concatenate([first, ~first])[:, images]


@dataclass(frozen=True)
class _Halves:
    """The clusters of each half for one number of parts, and the distances of all crops from them.

    Attributes:
        inside: whether the half contains the crop.
        member: 1 if the half's crop is in the cluster, else 0.
        distance: squared distance from the crop to the centroid in the metric of the half, up to a
            constant that depends on the crop.
        apart: squared distance between two centroids in that metric.
    """

    inside: Bool[np.ndarray, "half crop"]
    member: Float[np.ndarray, "half crop cluster"]
    distance: Float[np.ndarray, "half crop cluster"]
    apart: Float[np.ndarray, "half cluster cluster"]

    @classmethod
    def of(
        cls,
        points: Float[np.ndarray, "crop axis"],
        inside: Bool[np.ndarray, "half crop"],
        cuts: Sequence[np.ndarray],
    ) -> _Halves:
        """Make it from the points and the clusters of each half's crops."""
        member = np.zeros((*inside.shape, cuts[0].max() + 1))
        for own, half, cut in zip(member, inside, cuts, strict=True):
            own[half] = _one_hot(cut)
        centroids = np.swapaxes(member / member.sum(axis=1, keepdims=True), 1, 2) @ points
        rest = (points - member @ centroids) * inside[:, :, None]
        scatter = np.swapaxes(rest, 1, 2) @ rest / inside.sum(axis=1)[:, None, None]
        level = np.trace(scatter, axis1=1, axis2=2) / points.shape[1]
        level = np.maximum(level, TINY * (points**2).mean())[:, None, None]
        metric = (1 - SHRINKAGE) * scatter + SHRINKAGE * level * np.eye(points.shape[1])
        directions = np.linalg.solve(metric, np.swapaxes(centroids, 1, 2))
        cross = centroids @ directions
        norm = np.einsum("hcc->hc", cross)
        distance = norm[:, None, :] - 2 * points @ directions
        apart = norm[:, :, None] + norm[:, None, :] - 2 * cross
        return cls(inside, member, distance, apart)

    def only(self, halves: np.ndarray) -> _Halves:
        """Keep some of the halves."""
        return type(self)(*(values[halves] for values in vars(self).values()))


def _evaluated(parts: np.ndarray, images: np.ndarray, halves: _Halves, config: Config) -> Cut:
    own = _one_hot(parts)
    overlap = np.einsum("hac,ap->hcp", halves.member, own)
    complete = (overlap.sum(axis=1) > 0).all(axis=1)  # halves with crops of all parts
    image_counts = [len(np.unique(images[parts == part])) for part in range(own.shape[1])]
    if not complete.any() or min(image_counts) < IMAGES:
        return Cut(parts, np.zeros(own.shape[1]), 0.0)
    halves, counterpart = halves.only(complete), overlap[complete].argmax(axis=1)
    strength = _strength(own, halves)
    gap = 0.0
    if strength.min() >= config.least_strength:
        gap = min(
            _gap(np.isin(parts, pair), images, halves, *counterpart[:, pair].T)
            for pair in combinations(range(own.shape[1]), 2)
        )
    return Cut(parts, strength, gap)


def _strength(own: Float[np.ndarray, "crop part"], halves: _Halves) -> Float[np.ndarray, " part"]:
    """Return the strength of each part; ``own`` is 1 if the crop is in the part, else 0."""
    outside = ~halves.inside
    nearest = np.eye(own.shape[1])[halves.distance.argmin(axis=2)] * outside[:, :, None]
    together = np.tensordot(nearest, halves.member, axes=((0, 2), (0, 2)))
    crossing = outside.T.astype(float) @ halves.inside
    inner, border = (
        [np.einsum("ap,ab,bp->p", own, pairs + pairs.T, other) for pairs in (together, crossing)]
        for other in (own, 1 - own)
    )
    shares = [found / np.maximum(count, 1) for found, count in (inner, border)]
    return np.asarray(shares[0] - shares[1])


def _gap(
    chosen: np.ndarray, images: np.ndarray, halves: _Halves, one: np.ndarray, other: np.ndarray
) -> float:
    """Measure the gap between two parts.

    Args:
        chosen: ``[crop]`` whether the crop is in one of the two parts.
        images: ``[crop]`` image of each crop.
        halves: the halves that contain both parts.
        one: ``[half]`` cluster that represents the first part.
        other: ``[half]`` cluster that represents the second part.
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


def dip(places: Real[np.ndarray, " point"], weights: Real[np.ndarray, " point"]) -> float:
    """Return Hartigan's dip of weighted points on a line, 0 to 1/4.

    The dip is the distance to the nearest unimodal distribution. A unimodal distribution function is
    convex up to its mode and concave above it. For each possible mode, the distance is half the larger
    of the distances to the convex minorant below the mode and to the concave majorant above it. The
    dip is the smallest of these.
    """
    order = np.argsort(places, kind="stable")
    places, weights = places[order], weights[order] / weights.sum()
    width = places[-1] - places[0]
    if width <= 0:
        return 0.0
    places = (places - places[0]) / width + 1e-9 * np.arange(len(places))  # no ties
    share = np.cumsum(weights) - weights / 2
    before = _above_minorant(places, share)
    behind = _above_minorant(-places[::-1], -share[::-1])[::-1]
    return float(np.maximum(before, behind).min() / 2)


def _above_minorant(
    x: Float[np.ndarray, " point"], y: Float[np.ndarray, " point"]
) -> Float[np.ndarray, " point"]:
    """Return, for each point, the largest height of the points up to it above their convex minorant."""
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


def _one_hot(labels: Int[np.ndarray, " point"]) -> Float[np.ndarray, "point cluster"]:
    """Encode cluster numbers, which begin with 0."""
    return np.asarray(labels[:, None] == np.arange(labels.max() + 1), dtype=float)
