"""How far scores are from their limit, and the rule and number of points that a tolerance needs.

1. The score error of a target is a ratio of sums over its crops. Some of them are looked at, and the
   upper end of its interval over all is what counts.
2. The error falls with a power of N. From one look follows the N that is needed. Where that is far
   beyond what was looked at, it is looked at again there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
from scipy import stats

from neurflow.circuit import RuleName

Look = Callable[[Mapping[int, int], RuleName, float], dict[int, float]]
"""(target → N, rule, order of its error) → target → score error"""
AUTO_STEPS = (4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256)
"""N that auto chooses from; the last is taken whatever its error"""
LOOKS: tuple[tuple[RuleName, int, float], ...] = (
    ("secants", 8, 1.7),
    ("midpoints", 8, 1.0),
    ("steep", 16, 3.0),
)
"""rules that auto chooses from, N of the look at each, and the order of its error in 1/N, as measured:
that of secants would be 2 if no two slopes switched in one cell"""
POOR = 0.1
"""score error at the first look above which another rule is looked at"""
CONFIDENCE = 0.975
"""of the score error's upper end"""


@dataclass(frozen=True)
class Plan:
    """How a target is attributed: rule, N, and the score error that is expected of it."""

    rule: RuleName | None
    steps: int
    error: float | None = None


def chosen_plans(
    targets: Collection[int],
    look: Look,
    has_slopes: Callable[[int], bool],
    tolerance: float,
) -> dict[int, Plan]:
    """Target → the rule that comes within the tolerance with the fewest points.

    Args:
        targets: to be attributed.
        look: measures the score error.
        has_slopes: whether secants serve a target.
        tolerance: score error aimed at.
    """
    plans: dict[int, Plan] = {}
    poor = set(targets)
    for rule, first, order in LOOKS:
        asked = [a for a in targets if a in poor and (rule != "secants" or has_slopes(a))]
        least = first if rule == "secants" else AUTO_STEPS[0]
        tried = dict.fromkeys(asked, first)
        found: dict[int, Plan] = {}
        while tried:
            errors = look(tried, rule, order)
            for a, error in errors.items():
                if tried[a] == first and error <= POOR:
                    poor.discard(a)
                steps = max(least, enough(tried[a], error, tolerance, order))
                found[a] = Plan(rule, steps, error * (tried[a] / steps) ** order)
            # far beyond what was looked at, the order is no more than a guess
            far = {a: found[a].steps for a, n in tried.items() if found[a].steps >= 2 * n}
            tried = {a: n for a, n in far.items() if isfinite(errors[a])}
        for a, plan in found.items():
            if a not in plans or plan.steps < plans[a].steps:
                plans[a] = plan
    return plans


def enough(steps: int, error: float, tolerance: float, order: float) -> int:
    """N for an error within the tolerance where ``steps`` gave ``error``; the most if none is known."""
    if not isfinite(error):
        return AUTO_STEPS[-1]
    needed = steps * (error / tolerance) ** (1 / order)
    return next((n for n in AUTO_STEPS if n >= needed), AUTO_STEPS[-1])


def upper_end(sample: np.ndarray, population: int) -> float:
    """One-sided upper confidence limit of ``Σ gap / Σ goal`` over a population.

    Args:
        sample: ``[crop, 2]`` gap and goal of some.
        population: how many there are.
    """
    gap, goal = sample.T
    if not goal.sum() > 0:
        return 0.0 if not gap.any() else nan
    ratio, count = float(gap.sum() / goal.sum()), len(sample)
    if count < 2 or count == population:
        return ratio
    spread = np.sqrt(((gap - ratio * goal) ** 2).sum() / (count - 1) / count) / goal.mean()
    unseen = np.sqrt(1 - count / population)
    return ratio + float(stats.t.ppf(CONFIDENCE, count - 1) * spread * unseen)
