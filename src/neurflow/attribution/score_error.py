"""The score error, and the choice of the rule and of N.

1. The score error of a target is a ratio of sums over its crops. It is measured on a sample of crops.
   The tolerance applies to the upper confidence limit for all crops.
2. The error of most rules falls with a power of 1/N, and is estimated from N and N / 2 points. On
   smooth paths, the error of Gauss-Legendre points falls by a factor with each point. There, N points
   are compared with a few more, whose own error is small in comparison.
3. The required N follows from one measurement. If it is at least twice the N of the measurement, the
   error is measured again at the new N.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
from scipy.special import stdtrit

from neurflow.circuit import RuleName

CELL_RULES: frozenset[RuleName] = frozenset(["secants", "graded"])
"""rules of cells, whose scores are complete by construction"""
AUTO_STEPS = (4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256)
"""values of N from which auto chooses; the last one is used even if its error is too large"""
PROJECTED_STEPS = (6, 9, 12, 15, 21, 30, 45, *AUTO_STEPS[13:])
"""the same if gradients are projected on a third as many modes as cells; fewer values, because only
targets with the same N share the work on a crop
"""
SMOOTH_STEPS = (3, 4, 5, 6, 7, *AUTO_STEPS[2:])
"""the same values for smooth segments, where one more point can be enough"""


@dataclass(frozen=True)
class Candidate:
    """A rule from which auto chooses.

    Attributes:
        rule: its name.
        first: N of its first measurement.
        order: measured power of 1/N with which its error falls. For secants, it would be 2 if no two
            slopes changed in the same cell.
        steps: its possible values of N.
        more: additional points that N is compared with. Its error is then taken to fall by
            :data:`FACTOR_PER_POINT` with each point. 0 if it falls with a power of 1/N.
    """

    rule: RuleName
    first: int
    order: float
    steps: tuple[int, ...] = AUTO_STEPS
    more: int = 0

    def error(self, measured: float, at: int, steps: int) -> float:
        """Return the expected error with ``steps`` points, given the error ``measured`` with ``at``."""
        if self.more:
            return measured * FACTOR_PER_POINT ** (at - steps)
        return measured * (at / steps) ** self.order


Measurement = Callable[[Mapping[int, int], Candidate], dict[int, float]]
"""measures (target → N, rule) → target → score error"""
FACTOR_PER_POINT = 3.0
"""smallest factor by which each point reduces the error on a smooth path"""

FALLBACKS = (Candidate("midpoints", 8, 1.0), Candidate("steep", 16, 3.0))
DEFAULT_RULES = (Candidate("secants", 8, 1.7, AUTO_STEPS[2:]), *FALLBACKS)
"""rules for paths from zero"""
PROJECTED_RULES = (Candidate("secants", 12, 1.7, PROJECTED_STEPS), *FALLBACKS)
"""the same rules if cells are cheap and modes expensive"""
AFTER_NORMS = (
    Candidate("sinh", 6, 3.0, SMOOTH_STEPS),
    Candidate("graded", 8, 1.7, AUTO_STEPS[2:]),
    *DEFAULT_RULES,
)
"""rules for paths from zero in networks with layer norms"""
FROM_MEAN = (Candidate("gauss", 3, 3.0, SMOOTH_STEPS, more=2), *DEFAULT_RULES)
"""rules for paths from the mean"""
POOR = 0.1
"""score error of the first measurement above which the next rule is tried too"""
CONFIDENCE = 0.975
"""level of the upper confidence limit of the score error"""


@dataclass(frozen=True)
class Plan:
    """The plan for a target: the rule, N, and the expected score error.

    ``candidate`` is None if N was given, or for measures other than integrated gradients.
    """

    candidate: Candidate | None
    steps: int
    error: float | None = None
    given: RuleName | None = None

    @property
    def rule(self) -> RuleName | None:
        """Name of the integration rule."""
        return self.candidate.rule if self.candidate else self.given


def choose_plans(
    targets: Collection[int],
    candidates: Sequence[Candidate],
    measure: Measurement,
    has_slopes: Callable[[int], bool],
    tolerance: float,
) -> dict[int, Plan]:
    """Choose, for each target, the rule that meets the tolerance with the fewest points.

    Args:
        targets: upper neurons.
        candidates: the rules, in the order in which they are tried.
        measure: measures the score error on a sample of crops.
        has_slopes: returns whether the rules of cells are available for a target.
        tolerance: largest accepted score error, relative.

    Returns:
        Target → plan. If no rule meets the tolerance, the plan has the largest N.
    """
    plans: dict[int, Plan] = {}
    poor = set(targets)
    for candidate in candidates:
        cells = candidate.rule in CELL_RULES
        asked = [a for a in targets if a in poor and (not cells or has_slopes(a))]
        tried = dict.fromkeys(asked, candidate.first)
        found: dict[int, Plan] = {}
        while tried:
            errors = measure(tried, candidate)
            for a, error in errors.items():
                if tried[a] == candidate.first and error <= POOR:
                    poor.discard(a)
                steps = sufficient_steps(candidate, tried[a], error, tolerance)
                found[a] = Plan(candidate, steps, candidate.error(error, tried[a], steps))
            # far from the measured N, the order of the error is only a guess
            far = {a: found[a].steps for a, n in tried.items() if found[a].steps >= 2 * n}
            tried = {a: n for a, n in far.items() if isfinite(errors[a])}
        for a, plan in found.items():
            if a not in plans or plan.steps < plans[a].steps:
                plans[a] = plan
    return plans


def sufficient_steps(candidate: Candidate, steps: int, error: float, tolerance: float) -> int:
    """Return the smallest N that should meet the tolerance, given the error with ``steps`` points.

    The largest N is returned if the error is not finite, or if no N is enough.
    """
    if not isfinite(error):
        return candidate.steps[-1]
    sufficient = (n for n in candidate.steps if candidate.error(error, steps, n) <= tolerance)
    return next(sufficient, candidate.steps[-1])


def upper_limit(sample: np.ndarray, population: int) -> float:
    """Return the one-sided upper confidence limit of the ratio ``Σ gap / Σ goal`` over all crops.

    Args:
        sample: ``[crop, 2]`` gap and goal of the crops in the sample.
        population: number of all crops. If the sample has all of them, the limit is its ratio.

    Returns:
        The limit; NaN if the goals are 0 and the gaps are not.
    """
    gap, goal = sample.T
    if not goal.sum() > 0:
        return 0.0 if not gap.any() else nan
    ratio, count = float(gap.sum() / goal.sum()), len(sample)
    if count < 2 or count == population:
        return ratio
    spread = np.sqrt(((gap - ratio * goal) ** 2).sum() / (count - 1) / count) / goal.mean()
    unseen = np.sqrt(1 - count / population)
    return ratio + float(stdtrit(count - 1, CONFIDENCE) * spread * unseen)
