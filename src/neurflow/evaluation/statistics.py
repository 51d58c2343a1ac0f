"""Means with bootstrap intervals according to the settings of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurflow.evaluation.settings import Settings
from neurflow.stats import Interval, bootstrap_mean


def mean_interval(
    values: np.ndarray | Sequence[float], settings: Settings, level: float = 0.95
) -> Interval:
    """Return the mean with its percentile-bootstrap interval; a single value is its own interval."""
    return bootstrap_mean(values, settings.bootstrap, settings.seed, level)
