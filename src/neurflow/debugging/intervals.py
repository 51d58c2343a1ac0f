"""Figures with what they may be off by, or spread over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurflow.debugging.result import Interval
from neurflow.stats import Z, wilson_bounds


def share(hits: int, total: int) -> Interval:
    """A share of ``total`` with Wilson's 95 % interval."""
    low, high = wilson_bounds(hits / total, total)
    return Interval(value=hits / total, low=low, high=high)


def mean(values: np.ndarray, least: float, most: float) -> Interval:
    """A mean with the 95 % interval of its standard error.

    One value has no standard error: its interval is all that there can be, ``least`` to ``most``.
    """
    if len(values) == 1:
        return Interval(value=float(values[0]), low=least, high=most)
    return around(float(values.mean()), float(values.std(ddof=1)) / np.sqrt(len(values)))


def around(value: float, error: float) -> Interval:
    """A value with the 95 % interval of its standard error."""
    return Interval(value=value, low=value - Z * error, high=value + Z * error)


def spread(values: np.ndarray | Sequence[float]) -> Interval | None:
    """Mean and 5th to 95th percentile; None of nothing."""
    if len(values) == 0:
        return None
    low, high = np.quantile(values, [0.05, 0.95])
    return Interval(value=float(np.mean(values)), low=float(low), high=float(high))


def mean_spread(spreads: Sequence[Interval | None]) -> Interval | None:
    """Means of values and of ends; None of nothing."""
    found = [(i.value, i.low, i.high) for i in spreads if i is not None]
    if not found:
        return None
    value, low, high = np.mean(found, axis=0).tolist()
    return Interval(value=value, low=low, high=high)


def standardised_difference(a: Interval, of_a: int, b: Interval, of_b: int) -> float:
    """Difference of two shares over its standard error under one common share; 0 without spread."""
    pooled = (a.value * of_a + b.value * of_b) / (of_a + of_b)
    error = np.sqrt(pooled * (1 - pooled) * (1 / of_a + 1 / of_b))
    return float((a.value - b.value) / error) if error > 0 else 0.0
