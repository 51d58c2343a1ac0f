"""Ward clustering, with the number of clusters chosen by silhouette and a test for a single cluster.

1. Ward's tree of the points (Euclidean) is cut into 2, 3, … clusters. The candidate is the cut with the
   largest mean silhouette, or the finest cut whose silhouette is nearly as large.
2. The silhouette is not defined for one cluster, so the candidate is tested against a null
   distribution. ``NULL_DRAWS`` samples of one Gaussian with the covariance of the points are clustered
   in the same way. The points are divided only if the candidate's silhouette is larger than that of
   every sample.

Step 2 follows the gap statistic (Tibshirani et al. 2001) with the null distribution of SigClust (Liu et
al. 2008).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform

NULL_DRAWS = 19
"""number of samples; with 19, a single Gaussian is divided in about 5 % of cases"""


def ward_clusters(
    points: Real[np.ndarray, "point feature"],
    largest: int,
    *,
    count: int | None = None,
    seed: int = 0,
    null: bool = True,
    slack: float = 0.0,
) -> Int[np.ndarray, " point"]:
    """Divide points into clusters, numbered from the largest (ties: by the first point).

    Args:
        points: ``[point, feature]``.
        largest: largest number of clusters to consider.
        count: number of clusters; by default, it is chosen by silhouette.
        seed: seed of the null distribution.
        null: if true, one cluster is possible (step 2). If false, there are at least two clusters.
        slack: the finest cut whose silhouette is within ``slack`` of the best one is chosen.

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


def best_cut(
    points: Float[np.ndarray, "point feature"], largest: int, slack: float = 0.0
) -> tuple[float, Int[np.ndarray, " point"]]:
    """Find the best cut of Ward's tree into 2 to ``largest`` clusters.

    Returns:
        (mean silhouette, ``[point]`` cluster numbers). If the points are too few or all equal, there is
        one cluster, with silhouette 0.
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


def tree_cuts(tree: Float[np.ndarray, "merge 4"], largest: int) -> list[Int[np.ndarray, " point"]]:
    """Cut a tree into 2, 3, … ``largest`` clusters.

    scipy's ``cut_tree`` creates an object for each node, which takes ten times as long as building the
    tree. The null distribution needs thousands of cuts. The tests compare with ``cut_tree``.

    Args:
        tree: merges in the format of scipy's ``linkage``.
        largest: largest number of clusters, less than the number of points.

    Returns:
        ``[point]`` cluster of each point, for each number of clusters. Clusters have arbitrary numbers.
    """
    points = len(tree) + 1
    cluster, cuts = np.arange(points), []
    for merges, (a, b) in enumerate(tree[: points - 2, :2].astype(int), start=1):
        cluster[(cluster == a) | (cluster == b)] = points + merges - 1
        if points - merges <= largest:
            cuts.append(cluster.copy())
    return cuts[::-1]


def silhouette(
    distances: Float[np.ndarray, "point point"], labels: Int[np.ndarray, " point"]
) -> float:
    """Return the mean silhouette (Rousseeuw 1987).

    A point that is alone in its cluster counts as 0. The null distribution needs thousands of
    silhouettes of small matrices, for which scikit-learn spends most of the time on checks. The tests
    compare with scikit-learn.
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


def compact(points: Float[np.ndarray, "point feature"]) -> Float[np.ndarray, "point axis"]:
    """Rotate the points to their principal axes.

    Distances stay the same, and there are at most as many axes as points.
    """
    centred = points - points.mean(axis=0)
    left, scales, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(left * scales)


def unit(vectors: Float[np.ndarray, "vector feature"]) -> Float[np.ndarray, "vector feature"]:
    """Scale the rows to unit length; rows of zeros are not changed."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def _cut(points: Float[np.ndarray, "point feature"], count: int) -> Int[np.ndarray, " point"]:
    if count < 2:
        return np.zeros(len(points), dtype=np.int64)
    if count == len(points):
        return np.arange(count)
    return tree_cuts(linkage(points, "ward"), count)[-1]


def by_size(labels: Int[np.ndarray, " point"]) -> Int[np.ndarray, " point"]:
    """Renumber clusters from the largest to the smallest; ties are in the order of the first point."""
    found, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = sorted(range(len(found)), key=lambda i: (-sizes[i], first[i]))
    rank = {found[position]: number for number, position in enumerate(order)}
    return np.array([rank[label] for label in labels], dtype=np.int64)
