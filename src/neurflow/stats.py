"""Intervals, and the statistics that several uses of a circuit report.

``scipy.stats`` is slow to import, and reading a circuit does not need it. So it is imported where it is
used.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from math import comb, sqrt
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

CONFIDENCE = 0.95
"""level of the intervals, unless a function says otherwise"""
Share = Annotated[float, Field(ge=0, le=1)]


class Interval(NamedTuple):
    """A value with the ends of an interval around it: a 95 % interval, or a range of percentiles."""

    value: float
    low: float
    high: float


Z = 1.959963984540054
"""half-width of a 95 % interval, in standard errors"""


def wilson(share: float, n: float) -> Interval:
    """A share of ``n`` with Wilson's interval, which stays within 0 to 1 and is never empty.

    ``n`` may be an effective sample size, which is not a whole number.
    """
    shrink = 1 + Z**2 / n
    centre = (share + Z**2 / (2 * n)) / shrink
    half = Z / shrink * sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    # rounding must not put the share outside its interval
    low, high = (max(centre - half, 0.0) if share else 0.0), (centre + half if share < 1 else 1.0)
    return Interval(share, low, high)


def from_error(value: float, error: float) -> Interval:
    """A value with the 95 % interval that its standard error gives."""
    return Interval(value, value - Z * error, value + Z * error)


def normal_mean(values: np.ndarray, least: float, most: float) -> Interval:
    """Mean of ``[sample]`` values with the 95 % interval that their standard error gives.

    A single value has no standard error, so its interval is the full range, ``least`` to ``most``.
    """
    if len(values) == 1:
        return Interval(float(values[0]), least, most)
    return from_error(float(values.mean()), float(values.std(ddof=1)) / np.sqrt(len(values)))


def spread(values: np.ndarray | Sequence[float]) -> Interval | None:
    """Mean of some values with their 5th and 95th percentile; None if there are no values."""
    if len(values) == 0:
        return None
    low, high = np.quantile(values, [0.05, 0.95])
    return Interval(float(np.mean(values)), float(low), float(high))


def adjusted_rand(one: Iterable[Hashable], other: Iterable[Hashable]) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985) of two labellings; 1 if both are trivial."""
    labels, others = list(one), list(other)

    def pairs(counts: Iterable[int]) -> int:
        return sum(comb(count, 2) for count in counts)

    both = pairs(Counter(zip(labels, others, strict=True)).values())
    a, b = pairs(Counter(labels).values()), pairs(Counter(others).values())
    total = comb(len(labels), 2)
    expected = a * b / total if total else 0.0
    largest = (a + b) / 2
    return 1.0 if largest == expected else (both - expected) / (largest - expected)


def bootstrap_mean(
    values: np.ndarray | Sequence[float], resamples: int, seed: int, level: float = CONFIDENCE
) -> Interval:
    """Mean with its percentile-bootstrap interval; a single value is its own interval."""
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2 or np.ptp(values) == 0:
        return Interval(mean, mean, mean)
    from scipy import stats

    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


def correlation(x: np.ndarray, y: np.ndarray, rank: bool = False) -> float | None:
    """Pearson's or Spearman's correlation of two ``[sample]`` arrays; None if one is constant."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        found = (stats.spearmanr if rank else stats.pearsonr)(x, y).statistic
    return float(found) if np.isfinite(found) else None


def jaccard(one: Sequence[int] | set[int], other: Sequence[int] | set[int]) -> float:
    """Jaccard index ``|A ∩ B| / |A ∪ B|`` of two sets; 1 if both are empty."""
    a, b = set(one), set(other)
    return len(a & b) / len(a | b) if a | b else 1.0
