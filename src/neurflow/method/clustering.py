"""Ward clustering, with the number of clusters chosen by silhouette and a test for a single cluster.

1. Ward's tree of the points (Euclidean) is cut into 2, 3, … clusters. The candidate is the cut with the
   largest mean silhouette, or the finest cut whose silhouette is nearly as large.
2. The silhouette is not defined for one cluster, so the candidate is tested against a null
   distribution. 19 samples of one Gaussian with the covariance of the points are clustered
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

NULL_DRAWS = (1, 3, 15)
"""number of samples of each round; the first round often decides. With 19 samples in total, a single
Gaussian is divided in about 5 % of cases
"""
AT_ONCE = 1_000_000
"""largest number of (cut, point, cluster) triples whose silhouettes are computed at once"""


def ward_clusters(
    points: Real[np.ndarray, "point feature"],
    largest: int,
    *,
    seed: int = 0,
    null: bool = True,
    slack: float = 0.0,
) -> Int[np.ndarray, " point"]:
    """Divide points into clusters, numbered from the largest (ties: by the first point).

    Args:
        points: ``[point, feature]``.
        largest: largest number of clusters to consider.
        seed: seed of the null distribution.
        null: if true, one cluster is possible (step 2). If false, there are at least two clusters.
        slack: the finest cut whose silhouette is within ``slack`` of the best one is chosen.

    Returns:
        ``[point]`` cluster numbers.
    """
    points = compact(np.asarray(points, dtype=np.float64))
    best, labels = best_cut(points, largest, slack)
    if labels.max() == 0 or not null:
        return labels
    generator = np.random.default_rng(seed)
    spread = points.std(axis=0)
    for draws in NULL_DRAWS:
        clouds = generator.standard_normal((draws, *points.shape)) * spread
        if (_best_silhouettes(clouds, min(largest, len(points) - 1), slack) >= best).any():
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
    distances = pdist(points)
    alike = distances.max(initial=0.0) <= 1e-12 * max(np.abs(points).max(initial=0.0), 1e-300)
    if min(largest, len(points) - 1) < 2 or alike:
        return 0.0, np.zeros(len(points), dtype=np.int64)
    score, labels = best_cut_of(linkage(distances, "ward"), distances, largest, slack)
    return score, by_size(labels)


def best_cut_of(
    tree: Float[np.ndarray, "merge 4"],
    distances: Float[np.ndarray, " pair"],
    largest: int,
    slack: float = 0.0,
) -> tuple[float, Int[np.ndarray, " point"]]:
    """Find the best cut of a tree of at least three points into 2 to ``largest`` clusters.

    Args:
        tree: merges in the format of scipy's ``linkage``.
        distances: distances of the points in the format of scipy's ``pdist``; not all are 0.
        largest: largest number of clusters to consider.
        slack: the finest cut whose silhouette is within ``slack`` of the best one is chosen.

    Returns:
        (mean silhouette, ``[point]`` cluster numbers).
    """
    cuts = np.array(tree_cuts(tree, min(largest, len(tree))))
    parts = np.array_split(cuts, -(-cuts.size * len(cuts) // AT_ONCE))
    square = squareform(distances)
    scores = np.concatenate([silhouettes(square, part) for part in parts])
    chosen = _best(scores, slack)
    return float(scores[chosen]), cuts[chosen]


def _best(scores: Float[np.ndarray, " cut"], slack: float) -> int:
    """Return the best cut, or the finest one that is nearly as good."""
    return int(np.flatnonzero(scores >= scores.max() - slack)[-1 if slack else 0])


def _best_silhouettes(
    clouds: Float[np.ndarray, "cloud point axis"], largest: int, slack: float
) -> Float[np.ndarray, " cloud"]:
    """Return the silhouette of the best cut of each cloud."""
    condensed = [pdist(cloud) for cloud in clouds]
    cuts = np.array([tree_cuts(linkage(each, "ward"), largest) for each in condensed])
    scores = silhouettes(np.array([squareform(each) for each in condensed]), cuts)
    return np.array([row[_best(row, slack)] for row in scores])


def tree_cuts(tree: Float[np.ndarray, "merge 4"], largest: int) -> list[Int[np.ndarray, " point"]]:
    """Cut a tree into 2, 3, … ``largest`` clusters.

    scipy's ``cut_tree`` creates an object for each node, which takes ten times as long as building the
    tree. The null distribution needs thousands of cuts. The tests compare with ``cut_tree``.

    Args:
        tree: merges in the format of scipy's ``linkage``.
        largest: largest number of clusters, at most the number of points.

    Returns:
        ``[point]`` cluster of each point, for each number of clusters. Clusters are numbered from 0, in
        the order in which they appear as the number grows.
    """
    points = len(tree) + 1
    merges = tree[:, :2].astype(int).tolist()
    leaves = [[point] for point in range(points)]
    for one, other in merges:
        leaves.append(leaves[one] + leaves[other])
    labels, cuts = np.zeros(points, dtype=np.int64), []
    for number, (_, split) in enumerate(reversed(merges[points - largest :]), start=1):
        labels[leaves[split]] = number
        cuts.append(labels.copy())
    return cuts


def silhouettes(
    distances: Float[np.ndarray, "*cloud point point"], cuts: Int[np.ndarray, "*cloud cut point"]
) -> Float[np.ndarray, "*cloud cut"]:
    """Return the mean silhouette (Rousseeuw 1987) of each cut; clusters are numbered from 0.

    A point that is alone in its cluster counts as 0. The null distribution needs thousands of
    silhouettes of small matrices, for which scikit-learn spends most of the time on checks. The tests
    compare with scikit-learn.
    """
    own = cuts[..., None] == np.arange(cuts.max() + 1)
    members = own.astype(float)
    sizes = members.sum(-2, keepdims=True)
    sums = distances[..., None, :, :] @ members
    size = (sizes * members).sum(-1)
    inner = (sums * members).sum(-1) / np.maximum(size - 1, 1)
    outer = np.where(own | (sizes == 0), np.inf, sums / np.maximum(sizes, 1)).min(-1)
    scale = np.maximum(inner, outer)
    scores = np.divide(
        outer - inner, scale, out=np.zeros_like(scale), where=(size > 1) & (scale > 0)
    )
    return np.asarray(scores.mean(-1))


def compact(points: Float[np.ndarray, "point feature"]) -> Float[np.ndarray, "point axis"]:
    """Rotate the points to their principal axes.

    Distances stay the same, and there are at most as many axes as points.
    """
    rotated = points - points.mean(axis=0)
    if rotated.shape[1] > len(rotated):  # keep the distances with far fewer axes
        rotated = np.asarray(np.linalg.qr(rotated.T, mode="r")).T
    left, scales, _ = np.linalg.svd(rotated, full_matrices=False)
    return np.asarray(left * scales)


def unit(vectors: Float[np.ndarray, "vector feature"]) -> Float[np.ndarray, "vector feature"]:
    """Scale the rows to unit length; rows of zeros are not changed."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def by_size(labels: Int[np.ndarray, " point"]) -> Int[np.ndarray, " point"]:
    """Renumber clusters from the largest to the smallest; ties are in the order of the first point."""
    found, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = sorted(range(len(found)), key=lambda i: (-sizes[i], first[i]))
    rank = {found[position]: number for number, position in enumerate(order)}
    return np.array([rank[label] for label in labels], dtype=np.int64)
