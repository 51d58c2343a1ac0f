"""Equations of the labels' validation once more, slowly and plainly."""

from __future__ import annotations

import math
from collections.abc import Sequence


def average_precision(truth: Sequence[bool], scores: Sequence[float]) -> float:
    """Σ over thresholds t of (R_t − R_before) · P_t, thresholds from the highest score down."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = [yes for yes, score in zip(truth, scores, strict=True) if score >= threshold]
        recall, precision = sum(taken) / sum(truth), sum(taken) / len(taken)
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


def auc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Share of (positive, negative) pairs in the right order; ties count half."""
    yes = [s for s, p in zip(scores, positive, strict=True) if p]
    no = [s for s, p in zip(scores, positive, strict=True) if not p]
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in yes for b in no]
    return sum(pairs) / len(pairs)
