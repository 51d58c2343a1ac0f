"""Slow, plain implementations of the equations of label validation."""

from __future__ import annotations

import math
from collections.abc import Sequence


def average_precision(
    truth: Sequence[bool], scores: Sequence[float], weights: Sequence[float] | None = None
) -> float:
    """Σ over thresholds t of (R_t − R_before) · P_t, thresholds from the highest score down."""
    crops = list(zip(truth, scores, weights or [1.0] * len(truth), strict=True))
    own = sum(weight for yes, _, weight in crops if yes)
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = [(yes, weight) for yes, score, weight in crops if score >= threshold]
        hits = sum(weight for yes, weight in taken if yes)
        recall, precision = hits / own, hits / sum(weight for _, weight in taken)
        total += (recall - before) * precision
        before = recall
    return total


def wilson(share: float, n: int, z: float) -> tuple[float, float]:
    """Both p with (share − p)² = z² p (1 − p) / n: roots of a quadratic equation."""
    a = 1 + z * z / n
    b = -(2 * share + z * z / n)
    c = share * share
    root = math.sqrt(max(b * b - 4 * a * c, 0))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)
