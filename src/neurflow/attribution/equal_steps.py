"""Raises the N of some targets, so that more targets have the same N and share the work on their crops.

Targets share the work on a crop only if they have the same N. With cells of secants, one more cell of a
pair is cheap, but one more run of the part that depends only on the crop is expensive. The N of some
targets is therefore raised to that of other targets, which only reduces their error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from neurflow.attribution.integrated_gradients import SHARED
from neurflow.attribution.score_error import CELL_RULES, Plan
from neurflow.attribution.task import AttributionTask
from neurflow.circuit import RuleName

RUN = 64
"""cost of the work on a crop that targets share, relative to that of one more cell of a (target, crop)
pair; measured on basic blocks
"""


def with_equal_steps(plans: Mapping[int, Plan], task: AttributionTask) -> dict[int, Plan]:
    """Raise the N of some targets if it makes attribution faster.

    Targets share work only if they have the same rule of cells and the same specialised segment.
    """
    alike: dict[tuple[RuleName | None, int], dict[int, int]] = {}
    for a, plan in plans.items():
        fast = task.segment.specialised(a)
        cells = plan.rule in CELL_RULES and plan.steps <= SHARED
        if cells and fast.together is not None and not fast.affine:
            alike.setdefault((plan.rule, int(fast.serves.argmax())), {})[a] = plan.steps
    crops = {a: concept.crops for a, concept in task.concepts.items()}
    found = dict(plans)
    for steps in alike.values():
        for a, level in equal_steps(steps, crops).items():
            candidate, error = plans[a].candidate, plans[a].error
            if level > steps[a] and candidate is not None and error is not None:
                found[a] = Plan(candidate, level, candidate.error(error, steps[a], level))
    return found


def equal_steps(steps: Mapping[int, int], crops: Mapping[int, np.ndarray]) -> dict[int, int]:
    """Return target → the same N, or a larger N of another target if this makes attribution faster.

    Args:
        steps: target → N; all of these targets could share work.
        crops: target → its crops.
    """
    values = sorted(set(steps.values()))
    seen = np.zeros((len(values), 1 + max(int(crops[a].max()) for a in steps)), dtype=bool)
    pairs = np.zeros(len(values), dtype=int)
    for a, each in steps.items():
        place = values.index(each)
        seen[place, crops[a]] = True
        pairs[place] += len(crops[a])
    levels = _levels(values, seen, pairs)
    return {a: next(n for n in levels if n >= each) for a, each in steps.items()}


def _levels(values: Sequence[int], seen: np.ndarray, pairs: np.ndarray) -> list[int]:
    """Return the cheapest values of N to use, if every other one is raised to the next of them.

    Args:
        values: N, ascending.
        seen: ``[N, crop]`` whether a target with this N has the crop.
        pairs: ``[N]`` number of (target, crop) pairs.
    """
    best: list[tuple[float, list[int]]] = [(0.0, [])]  # (cost, levels) for the first i values
    for last, steps in enumerate(values):
        options = []
        for first in range(last + 1):
            runs = np.count_nonzero(seen[first : last + 1].any(0))
            cost, levels = best[first]
            cost += RUN * runs + steps * int(pairs[first : last + 1].sum())
            options.append((cost, [*levels, steps]))
        best.append(min(options))
    return best[-1][1]
