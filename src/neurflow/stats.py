"""Intervals and other statistics that several packages report.

``scipy.stats`` is slow to import and is not needed to read a circuit, so it is imported inside the
functions that use it. For the same reason, annotations here do without jaxtyping.
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
"""default level of the intervals"""
Share = Annotated[float, Field(ge=0, le=1)]


class Interval(NamedTuple):
    """A value and the ends of its interval, which is a 95 % interval or a range of percentiles."""

    value: float
    low: float
    high: float


Z = 1.959963984540054
"""half-width of a 95 % interval, in standard errors"""


def wilson(share: float, n: float) -> Interval:
    """Return Wilson's 95 % interval of a share.

    The interval lies within 0 to 1 and is never empty.

    Args:
        share: observed share, 0 to 1.
        n: sample size. It may be an effective sample size, which need not be a whole number.
    """
    shrink = 1 + Z**2 / n
    centre = (share + Z**2 / (2 * n)) / shrink
    half = Z / shrink * sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    # rounding errors must not move the share out of its interval
    low, high = (max(centre - half, 0.0) if share else 0.0), (centre + half if share < 1 else 1.0)
    return Interval(share, low, high)


def from_error(value: float, error: float) -> Interval:
    """Return a value with the 95 % interval of a normal distribution, given its standard error."""
    return Interval(value, value - Z * error, value + Z * error)


def normal_mean(values: np.ndarray, least: float, most: float) -> Interval:
    """Return the mean of ``values`` ``[sample]`` with its 95 % interval, from the standard error.

    A single value has no standard error. Its interval is the whole range, ``least`` to ``most``.
    """
    if len(values) == 1:
        return Interval(float(values[0]), least, most)
    return from_error(float(values.mean()), float(values.std(ddof=1)) / np.sqrt(len(values)))


def spread(values: np.ndarray | Sequence[float]) -> Interval | None:
    """Return the mean with the 5th and the 95th percentile, or None if there are no values."""
    if len(values) == 0:
        return None
    low, high = np.quantile(values, [0.05, 0.95])
    return Interval(float(np.mean(values)), float(low), float(high))


def adjusted_rand(one: Iterable[Hashable], other: Iterable[Hashable]) -> float:
    """Return the adjusted Rand index of two labellings (Hubert & Arabie 1985).

    It is 1 if both labellings are trivial, with a single cluster or only clusters of one item.
    """
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
    """Return the mean with its percentile-bootstrap interval.

    The interval of a single value, or of equal values, has length 0.

    Args:
        values: ``[sample]``.
        resamples: number of resamples.
        seed: seed of the resampling.
        level: level of the interval, 0 to 1.
    """
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
    """Return the correlation of two arrays.

    Args:
        x: ``[sample]`` first values.
        y: ``[sample]`` second values.
        rank: if true, Spearman's correlation, else Pearson's.

    Returns:
        The correlation, or None if an array is constant or has fewer than three values.
    """
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        found = (stats.spearmanr if rank else stats.pearsonr)(x, y).statistic
    return float(found) if np.isfinite(found) else None


def jaccard(one: Sequence[int] | set[int], other: Sequence[int] | set[int]) -> float:
    """Return the Jaccard index ``|A ∩ B| / |A ∪ B|`` of two sets, 1 if both are empty."""
    a, b = set(one), set(other)
    return len(a & b) / len(a | b) if a | b else 1.0
