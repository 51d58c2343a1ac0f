"""Attributions of all targets of a layer, over (target, crop) pairs.

1. Every target ``a`` is paired with the crops of its ``V_a``. Pairs are processed in batches, which
   may have different targets. Values that depend only on the crop are computed once and shared by its
   pairs (``features``).
2. The scores of the pairs are summed for each target: |T| over ``V_a``, signed ``T`` over each
   ``V_a^i``, and the completeness gap. The scores of single pairs are stored only on request. A
   journal stores the sums once a minute.
3. The *score error* is the distance of a target's scores from integrated gradients, the limit of
   large N: ``Σ_v Σ_s |T_N − T| / Σ_v Σ_s |T|``. It is estimated on :data:`SAMPLE` crops of each
   target from two values of N. The stored value is the one-sided upper 97.5 % confidence limit for
   all of ``V_a``. If a rule does not complete by construction, it is at least the completeness gap of
   all crops.
4. With ``steps="auto"``, this estimate determines the rule and the N of each target. N is increased
   until the score error is within the tolerance, or N is the largest one. ``equal_steps`` then raises
   the N of some targets, so that more of them share work. With a given N, it is only stored.
5. Scores that are not finite raise ``WorkError``; they never count as within the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from neurflow.attribution.equal_steps import with_equal_steps
from neurflow.attribution.integrated_gradients import (
    Rule,
    gauss_legendre,
    graded,
    graded_midpoints,
    integrated_gradients,
    secants,
    sinh,
    steep_gauss,
)
from neurflow.attribution.pairs import SAMPLE, Pairs
from neurflow.attribution.running_sums import RunningSums
from neurflow.attribution.score_error import (
    AFTER_NORMS,
    DEFAULT_RULES,
    FROM_MEAN,
    PROJECTED_RULES,
    Candidate,
    Plan,
    choose_plans,
    sufficient_steps,
    upper_limit,
)
from neurflow.attribution.task import AttributionTask, Scores
from neurflow.circuit import RuleName
from neurflow.errors import WorkError
from neurflow.model import Segment
from neurflow.model.fast.products import rounded_products
from neurflow.runtime.journal import Journal
from neurflow.runtime.memory import rounded_batch
from neurflow.study.features import Observed

RULES: dict[RuleName, Rule] = {
    "gauss": gauss_legendre,
    "secants": secants,
    "midpoints": graded_midpoints,
    "steep": steep_gauss,
    "sinh": sinh,
    "graded": graded,
}
"""integration rules, by their names in results"""
REFERENCE = 32
"""smallest number of cells of the reference for scores with a given N"""
Measure = Callable[[Segment, Tensor, Observed, int], tuple[Tensor, Tensor]]
"""(segment, target neuron of each pair, observed values, N) → scores ``[pair, lower neuron]`` and
change of ``φ_a`` ``[pair]``; linear in the target"""


def attribute(
    task: AttributionTask,
    *,
    steps: int | Literal["auto"] | None = None,
    measure: Measure | None = None,
    each: bool = False,
) -> dict[int, Scores]:
    """Score all lower neurons for each target of a task, by integrated gradients.

    Args:
        task: the targets and their crops.
        steps: N, or "auto"; by default, that of the task's config.
        measure: another way to score the pairs of a batch, with a fixed number of ``steps``.
        each: whether to store the scores of each crop as well.

    Raises:
        WorkError: scores are not finite.
    """
    steps = task.config.steps if steps is None else steps
    tolerance = task.config.tolerance
    if measure is not None:
        plans = dict.fromkeys(task.concepts, Plan(None, int(steps)))
    else:
        plans = _plans(task, steps)
    found: dict[int, Scores] = {}
    while plans:
        for rule in dict.fromkeys(plan.rule for plan in plans.values()):
            own = {a: plan for a, plan in plans.items() if plan.rule == rule}
            how = measure or partial(integrate, rule=RULES[rule or "gauss"])
            with rounded_products(_rounds(task)):
                found |= _run(task, own, how, each)
        again = steps == "auto" and measure is None
        plans = _refined_plans(plans, found, tolerance) if again else {}
    _require_finite(task.segment, found)
    return {a: found[a] for a in task.concepts}


def _plans(task: AttributionTask, steps: int | Literal["auto"]) -> dict[int, Plan]:
    """Return target → rule and N, with the expected score error."""
    if steps != "auto":
        how = partial(_with_reference, rounded=_rounds(task))
        errors = _measured(task, dict.fromkeys(task.concepts, steps), how, None)
        return {a: Plan(None, steps, errors[a], "gauss") for a in task.concepts}

    def refined(tried: Mapping[int, int], candidate: Candidate) -> dict[int, float]:
        how = partial(_refined, candidate=candidate, rounded=_rounds(task))
        return _measured(task, tried, how, candidate.rule)

    def has_slopes(a: int) -> bool:
        return task.segment.specialised(a).secants is not None

    chosen = choose_plans(task.concepts, _rules(task), refined, has_slopes, task.config.tolerance)
    return with_equal_steps(chosen, task)


def _rounds(task: AttributionTask) -> bool:
    """Return whether products are rounded to bfloat16."""
    return task.config.products == "bfloat16"


def _stage(task: AttributionTask) -> str:
    """Return the name of the work on a pair of layers, for the progress."""
    return f"{task.segment.upper.name} → {task.segment.lower.name}"


def _rules(task: AttributionTask) -> tuple[Candidate, ...]:
    """Return the rules that auto tries, which depend on the baseline."""
    if task.baseline is not None:
        return FROM_MEAN
    if task.segment.normalises:
        return AFTER_NORMS
    projects = (task.segment.specialised(a).projects for a in task.concepts)
    return PROJECTED_RULES if any(projects) else DEFAULT_RULES


def _run(
    task: AttributionTask, plans: Mapping[int, Plan], measure: Measure, each: bool
) -> dict[int, Scores]:
    """Return the scores of the planned targets, all of one rule; ``each`` as in ``attribute``."""
    segment, concepts = task.segment, task.concepts
    pairs = Pairs.of(concepts, {a: plan.steps for a, plan in plans.items()})
    task.progress.start(_stage(task), len(pairs.crop))
    sums = {a: RunningSums(concepts[a], segment.lower.neurons, each) for a in plans}
    rule = next(iter(plans.values())).rule  # the same for all
    running = {a: one.running() for a, one in sums.items()}
    what = f"sums {rule}" if rule else None
    for positions, (scores, change) in _resumed(task, pairs, measure, what, running):
        part = pairs[positions]
        for a in np.unique(part.neuron).tolist():
            own = part.neuron == a
            sums[a].add(part[own], scores[own], change[own])
    return {a: total.scores(plans[a]) for a, total in sums.items()}


def _refined_plans(
    tried: Mapping[int, Plan], found: Mapping[int, Scores], tolerance: float
) -> dict[int, Plan]:
    """Return target → the same rule with a larger N, if its score error is above the tolerance."""
    more = {}
    for a, plan in tried.items():
        error, candidate = found[a].score_error, plan.candidate
        assert error is not None and plan.error is not None and candidate is not None
        steps = sufficient_steps(candidate, plan.steps, error, tolerance)
        if steps > plan.steps:
            more[a] = Plan(candidate, steps, candidate.error(plan.error, plan.steps, steps))
    return more


def _require_finite(segment: Segment, found: Mapping[int, Scores]) -> None:
    for a, scores in found.items():
        errors = [e for e in (scores.score_error, scores.completeness_error) if e is not None]
        if not np.isfinite([*errors, *scores.importance, *scores.signed.flat]).all():
            raise WorkError(
                f"The scores of {segment.lower.name} for neuron {a} of {segment.upper.name} are not "
                "finite: an operation between them has no value or no slope at 0, such as a root or "
                "a division without an ε. Choose layers without such an operation between: --layers"
            )


def _measured(
    task: AttributionTask, steps: Mapping[int, int], measure: Measure, rule: RuleName | None
) -> dict[int, float]:
    """Return target → upper confidence limit of the score error over ``V_a``, from some crops.

    ``measure`` returns the scores (by ``rule`` if auto chooses), and reference scores.
    """
    if not steps:
        return {}
    pairs, what = Pairs.of(task.concepts, steps, SAMPLE), "choosing N" if rule else "score error"
    task.progress.start(f"{_stage(task)}, {what}", len(pairs.crop))
    gaps = np.zeros((len(pairs.crop), 2))
    own = {a: gaps[place] for a, place in pairs.by_target()}
    sums = {a: {"gaps": each} for a, each in own.items()}
    for part, (found, goal) in _resumed(task, pairs, measure, f"{what} {rule}", sums):
        gaps[part, 0], gaps[part, 1] = np.abs(found - goal).sum(1), np.abs(goal).sum(1)
    return {a: upper_limit(own[a], len(task.concepts[a].crops)) for a in steps}


def _resumed(
    task: AttributionTask,
    pairs: Pairs,
    measure: Measure,
    what: str | None,
    sums: Mapping[int, Mapping[str, np.ndarray]],
) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    """Yield (positions of pairs, results of ``measure``), a batch at a time.

    Args:
        task: has the journal that stores the sums.
        pairs: targets and their crops.
        measure: scores the pairs.
        what: name of the sums; None if they are not stored.
        sums: target → arrays to which the caller adds in place. Pairs that an earlier process has added
            are left out.
    """
    journal = task.journal if what else Journal()
    done = np.zeros(len(pairs.crop), dtype=bool)
    for a, place in pairs.by_target():
        key = pairs.key(f"{what} {_stage(task)} {task.minus}", place)
        journal.follow(key, {"done": done[place], **sums[a]})
    task.progress.advance(int(done.sum()))
    for part, found in _stream(task, pairs, measure, done):
        yield part, found
        done[part] = True
        task.progress.advance(len(part))
        journal.tick()


def _stream(
    task: AttributionTask, pairs: Pairs, measure: Measure, done: np.ndarray
) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    """Yield (positions of pairs, results of ``measure``), a batch at a time, for pairs not ``done``."""
    segment, maps, minus = task.segment, task.pair.maps, task.minus
    baseline = task.baseline  # computed before the blocks, because it takes other crops

    def work(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = len(part)
        part = np.pad(part, (0, rounded_batch(count, task.study.model.device) - count), "edge")
        neurons = torch.from_numpy(pairs.neuron[part])
        observed = maps.take(pairs.crop[part]).starting(baseline)
        observed = replace(observed, crops=torch.from_numpy(pairs.crop[part]))
        steps = int(pairs.steps[part[0]])
        found = measure(segment, neurons, observed, steps)
        if minus is not None:
            other = measure(segment, torch.full_like(neurons, minus), observed, steps)
            found = found[0] - other[0], found[1] - other[1]
        return found[0][:count].double().cpu().numpy(), found[1][:count].double().cpu().numpy()

    if done.all():
        return
    for block in maps.blocks(np.unique(pairs.crop)):
        inside = np.flatnonzero(np.isin(pairs.crop, block))
        # the pairs of a crop share work
        inside = inside[np.argsort(pairs.crop[inside], kind="stable")]
        for alike in _batchable(segment, pairs[inside]):
            left = inside[alike]
            left = left[~done[left]]
            for together in _by_crop(pairs.crop, left, task.batch.size):
                yield from task.batch.map(work, together)


def _by_crop(crop: np.ndarray, positions: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Divide positions into parts of about ``size``; pairs of a crop stay together if possible."""
    first = np.flatnonzero(np.diff(crop[positions], prepend=-1))
    start = 0
    for low, high in pairwise([*first.tolist(), len(positions)]):
        if high - start > size and low > start:
            yield positions[start:low]
            start = low
    if start < len(positions):
        yield positions[start:]


def _batchable(segment: Segment, pairs: Pairs) -> Iterator[np.ndarray]:
    """Yield the positions of pairs with equal N that one specialised segment serves."""
    waiting = np.ones(len(pairs.neuron), dtype=bool)
    while waiting.any():
        first = int(waiting.argmax())
        serves = segment.specialised(int(pairs.neuron[first])).serves[pairs.neuron]
        alike = waiting & serves & (pairs.steps == pairs.steps[first])
        yield np.flatnonzero(alike)
        waiting &= ~alike


def integrate(
    segment: Segment,
    neurons: Tensor,
    observed: Observed,
    steps: int,
    *,
    rule: Rule,
    with_change: bool = True,
) -> tuple[Tensor, Tensor]:
    """Integrate gradients by a rule; with ``with_change``, also the change of φ_a."""
    trunk = observed.trunk(segment.specialised(int(neurons[0])).trunk)
    x, bypass = observed.x, observed.bypass
    found = integrated_gradients(
        segment,
        neurons,
        x,
        bypass,
        steps=steps,
        trunk=trunk,
        rule=rule,
        baseline=observed.baseline,
        with_change=with_change,
        crops=observed.crops,
    )
    return found.scores, found.change


def _refined(
    segment: Segment,
    neurons: Tensor,
    observed: Observed,
    steps: int,
    *,
    candidate: Candidate,
    rounded: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return scores ``[pair, lower neuron]``, and an estimate of their limit, which is not rounded.

    The estimate uses more points, or Richardson extrapolation from half of the points.
    """
    scores = partial(
        integrate, segment, neurons, observed, rule=RULES[candidate.rule], with_change=False
    )
    with rounded_products(rounded):
        found = scores(steps)[0]
    if candidate.more:
        return found, scores(steps + candidate.more)[0]
    coarse, fine = scores(steps // 2)[0], scores(steps)[0] if rounded else found
    return found, fine + (fine - coarse) / (2**candidate.order - 1)


def _with_reference(
    segment: Segment, neurons: Tensor, observed: Observed, steps: int, *, rounded: bool = False
) -> tuple[Tensor, Tensor]:
    """Return scores at Gauss-Legendre points, and those of a much finer rule, not rounded."""
    scores = partial(integrate, segment, neurons, observed, with_change=False)
    with rounded_products(rounded):
        found = scores(steps, rule=gauss_legendre)[0]
    from_zero = observed.baseline is None
    if segment.normalises or segment.specialised(int(neurons[0])).secants:
        finer = gauss_legendre
        if from_zero:
            finer = sinh if segment.normalises else secants
        goal = scores(max(REFERENCE, steps // 2), rule=finer)[0]
        if goal.isfinite().all():
            return found, goal
    return found, scores(2 * steps, rule=gauss_legendre)[0]
