"""Figures with their intervals, and the statistics that several uses of a circuit report."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, NamedTuple

from pydantic import Field

CONFIDENCE = 0.95
"""of every interval"""


Share = Annotated[float, Field(ge=0, le=1)]


class Interval(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


Z = 1.959963984540054
"""of a 95 % interval"""


def wilson_bounds(share: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of ``n``, which stays within 0 to 1 and is never empty."""
    shrink = 1 + Z**2 / n
    centre = (share + Z**2 / (2 * n)) / shrink
    half = Z / shrink * sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    # rounding must not put the share outside
    return (max(centre - half, 0.0) if share else 0.0), (centre + half if share < 1 else 1.0)
