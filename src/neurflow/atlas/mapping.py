"""A map of classes as points in the plane, with similar circuits close to each other.

1. The distance of two circuits is 1 − their similarity, or 1 if they cannot be compared.
2. The positions are those of classical scaling. With five classes or more they only initialise t-SNE:
   in the plane, the distances of many about equally dissimilar classes cannot be preserved, but their
   neighbourhoods can.
3. The quality of the map is the share of each class's most similar circuits that are also its nearest
   points on the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurflow.runtime.extras import require

PERPLEXITY = 30
"""perplexity of t-SNE; at most a third of the number of other classes"""
NEIGHBOURS = 5
"""number of most similar circuits of a class that measure the quality of the map"""


@dataclass(frozen=True)
class Plane:
    """Points of a map.

    Attributes:
        points: ``[circuit, 2]`` coordinates, centred, the largest of them 1.
        kept: share of a circuit's ``neighbours`` most similar circuits that are among as many nearest
            points, on average; None for fewer than four circuits.
        neighbours: number of most similar circuits that were compared.
    """

    points: np.ndarray
    kept: float | None
    neighbours: int


def plane(similarity_matrix: np.ndarray) -> Plane:
    """Return the map of ``[circuit, circuit]`` similarities, from 0 to 1, or NaN if not comparable.

    Raises:
        RequestError: scikit-learn is not installed.
    """
    count = len(similarity_matrix)
    distances = 1 - np.nan_to_num(similarity_matrix, nan=0.0).astype(float)
    np.fill_diagonal(distances, 0)
    points = _classical_scaling(distances)
    if count > 4:
        points = _tsne(distances, points)
    points = points - (points.max(axis=0) + points.min(axis=0)) / 2 if count else points
    largest = np.abs(points).max() if count else 0
    k = min(NEIGHBOURS, count - 2)
    return Plane(
        points / largest if largest else points, _share_kept(distances, points, k), max(k, 0)
    )


def _classical_scaling(distances: np.ndarray) -> np.ndarray:
    """Return ``[circuit, 2]`` coordinates by classical scaling of the distances."""
    count = len(distances)
    if count < 2:
        return np.zeros((count, 2))
    centre = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-centre @ distances**2 @ centre / 2)
    axes = vectors[:, [-1, -2]] * np.sqrt(values[[-1, -2]].clip(0))
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])  # fixes the arbitrary sign
    return np.asarray(axes * np.where(signs == 0, 1, signs))


def _tsne(distances: np.ndarray, start: np.ndarray) -> np.ndarray:
    require("atlas")
    from sklearn.manifold import TSNE

    spread = start.std(axis=0).max()
    layout = TSNE(
        metric="precomputed",
        init=(start / spread * 1e-4 if spread else start).astype(np.float32),
        perplexity=min(PERPLEXITY, max(2.0, (len(distances) - 1) / 3)),
        random_state=0,
    )
    return np.asarray(layout.fit_transform(distances), dtype=float)


def _share_kept(distances: np.ndarray, points: np.ndarray, k: int) -> float | None:
    if k < 2:
        return None
    on_map = np.linalg.norm(points[:, None] - points[None], axis=2)

    def nearest(of: np.ndarray) -> np.ndarray:
        away = of + np.diag(np.full(len(of), np.inf))
        return np.argsort(away, axis=1, kind="stable")[:, :k]

    pairs = zip(nearest(distances), nearest(on_map), strict=True)
    return float(np.mean([len(set(a) & set(b)) / k for a, b in pairs]))
