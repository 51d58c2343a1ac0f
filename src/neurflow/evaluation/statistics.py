"""Means with bootstrap intervals, and the correlations that the protocols report."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import stats

from neurflow.evaluation.settings import Settings
from neurflow.stats import Interval


def mean_interval(
    values: np.ndarray | Sequence[float], settings: Settings, level: float = 0.95
) -> Interval:
    """Mean with its percentile-bootstrap interval over the values; of one value, that value."""
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2 or np.ptp(values) == 0:
        return Interval(mean, mean, mean)
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=settings.bootstrap,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(settings.seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


def correlation(x: np.ndarray, y: np.ndarray, rank: bool = False) -> float | None:
    """Pearson's (or Spearman's) correlation of two ``[sample]``; None where one is flat."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        found = (stats.spearmanr if rank else stats.pearsonr)(x, y).statistic
    return float(found) if np.isfinite(found) else None


def jaccard(one: Sequence[int] | set[int], other: Sequence[int] | set[int]) -> float:
    """``|A ∩ B| / |A ∪ B|``; 1 of two empty sets."""
    a, b = set(one), set(other)
    return len(a & b) / len(a | b) if a | b else 1.0
