"""Ward clustering with the number of clusters by silhouette; one cluster is possible.

1. Ward's tree over the points (Euclidean) is cut at 2, 3, … clusters; the cut with the largest mean
   silhouette is the candidate (or the finest among those nearly as good).
2. The silhouette says nothing about one cluster, so the candidate is held against chance: clouds of
   one Gaussian with the same covariance are drawn and cut alike. Only if the candidate's silhouette
   beats every one of ``NULL_DRAWS`` of them are the points divided at all.

The second step is the idea of the gap statistic (Tibshirani et al. 2001) with the null distribution
of SigClust (Liu et al. 2008): a single cloud, stretched as the data are, is not two meanings.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform

NULL_DRAWS = 19
"""with 19 draws, one cloud is taken for several in about one case of twenty"""


def ward_clusters(
    points: np.ndarray,
    largest: int,
    *,
    count: int | None = None,
    seed: int = 0,
    null: bool = True,
    slack: float = 0.0,
) -> np.ndarray:
    """Divide points into clusters numbered 0, 1, …, the largest first (ties: first point first).

    Args:
        points: ``[point, feature]``.
        largest: largest number of clusters to consider.
        count: the number of clusters, where it is given and not searched.
        seed: of the draws for the null.
        null: whether one cluster is held against several by step 2; without it the best silhouette
            decides, from two clusters on.
        slack: the finest cut whose silhouette is within ``slack`` of the best is taken; where many
            cuts are about as good, the one that tells most apart.

    Returns:
        ``[point]`` cluster numbers.
    """
    points = compact(np.asarray(points, dtype=np.float64))
    if count is not None:
        return by_size(_cut(points, min(count, len(points))))
    best, labels = best_cut(points, largest, slack)
    if labels.max() == 0 or not null:
        return labels
    generator = np.random.default_rng(seed)
    spread = points.std(axis=0)
    for _ in range(NULL_DRAWS):
        cloud = generator.standard_normal(points.shape) * spread
        if best_cut(cloud, largest, slack)[0] >= best:
            return np.zeros(len(points), dtype=np.int64)
    return labels


def best_cut(points: np.ndarray, largest: int, slack: float = 0.0) -> tuple[float, np.ndarray]:
    """(mean silhouette, cluster of each point) of the best cut at 2 … ``largest``.

    One cluster, of silhouette 0, where the points are too few or all alike.
    """
    largest = min(largest, len(points) - 1)
    condensed = pdist(points)
    alike = condensed.max(initial=0.0) <= 1e-12 * max(np.abs(points).max(initial=0.0), 1e-300)
    if largest < 2 or alike:
        return 0.0, np.zeros(len(points), dtype=np.int64)
    distances = squareform(condensed)
    cuts = tree_cuts(linkage(points, "ward"), largest)
    scores = np.array([silhouette(distances, labels) for labels in cuts])
    chosen = int(np.flatnonzero(scores >= scores.max() - slack)[-1 if slack else 0])
    return float(scores[chosen]), by_size(cuts[chosen])


def tree_cuts(tree: np.ndarray, largest: int) -> list[np.ndarray]:
    """``[point]`` clusters, by any numbers, of a tree cut into 2, 3, … ``largest``.

    Args:
        tree: merges, the closest first, as scipy's ``linkage`` gives them.
        largest: less than the number of points.

    scipy's ``cut_tree``, the oracle in the tests, makes an object of each node, which takes ten times
    as long as the tree itself; the null asks for thousands of cuts.
    """
    points = len(tree) + 1
    cluster, cuts = np.arange(points), []
    for merges, (a, b) in enumerate(tree[: points - 2, :2].astype(int), start=1):
        cluster[(cluster == a) | (cluster == b)] = points + merges - 1
        if points - merges <= largest:
            cuts.append(cluster.copy())
    return cuts[::-1]


def silhouette(distances: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette (Rousseeuw 1987) from distances ``[point, point]`` and labels ``[point]``.

    A point alone in its cluster counts 0. The null asks for thousands of these, on small matrices
    where scikit-learn spends its time on checks; it is the oracle in the tests.
    """
    members = (labels[:, None] == np.unique(labels)).astype(float)
    sizes = members.sum(0)
    sums = distances @ members
    own = members.astype(bool)
    size = sizes @ members.T
    inner = sums[own] / np.maximum(size - 1, 1)
    outer = np.where(own, np.inf, sums / sizes).min(1)
    scale = np.maximum(inner, outer)
    scores = np.divide(
        outer - inner, scale, out=np.zeros_like(scale), where=(size > 1) & (scale > 0)
    )
    return float(scores.mean())


def compact(points: np.ndarray) -> np.ndarray:
    """The points in their principal axes: the same distances in at most ``len(points)`` features."""
    centred = points - points.mean(axis=0)
    left, scales, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(left * scales)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale the rows of ``[vector, feature]`` to unit length; rows of zeros stay."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def _cut(points: np.ndarray, count: int) -> np.ndarray:
    if count < 2:
        return np.zeros(len(points), dtype=np.int64)
    if count == len(points):
        return np.arange(count)
    return tree_cuts(linkage(points, "ward"), count)[-1]


def by_size(labels: np.ndarray) -> np.ndarray:
    """Renumber clusters from the largest; of equal ones, the one with the first point comes first."""
    found, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = sorted(range(len(found)), key=lambda i: (-sizes[i], first[i]))
    rank = {found[position]: number for number, position in enumerate(order)}
    return np.array([rank[label] for label in labels], dtype=np.int64)
