"""Attributions of a whole layer's targets, over (target, crop) pairs.

1. Every target ``a`` is paired with the crops of its ``V_a``. Pairs are worked on many at once, with
   different targets in a batch; what a crop needs is computed once and shared by its pairs
   (``features``).
2. The scores of each pair are added up by target: |T| over ``V_a``, signed ``T`` over each ``V_a^i``,
   and the completeness gap. Nothing else is kept.
3. With ``steps="auto"`` a look at some of a target's crops with few points tells how many it needs.
   Where there are slopes of secants, which complete at any N, it asks how far the scores still are
   from their limit: their error falls as 1/N², so a third of what changes from N/2 to N. Elsewhere
   the completeness error tells; where the usual rule would need very many points, another one is
   looked at. A target that turns out above the tolerance is attributed again
   with more points, up to the most that is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from neurflow.attribution.integrated_gradients import (
    Rule,
    gauss_legendre,
    graded_midpoints,
    integrated_gradients,
    secants,
    steep_gauss,
    total_score,
)
from neurflow.features import FeatureMaps
from neurflow.memory import Batch
from neurflow.model import Segment
from neurflow.model.network import Key
from neurflow.progress import Progress

AUTO_STEPS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""N that auto chooses from; the last is taken whatever its error"""
CELLS = 8
"""least N of secants, and that of the look at them"""
CELLS_EVERY = 10
"""of how many crops one is looked at for them"""
PILOTS: tuple[tuple[Rule, int, float], ...] = ((graded_midpoints, 8, 1.0), (steep_gauss, 16, 3.0))
"""rules that auto chooses from elsewhere, N of the look at each, and the order of its error in 1/N"""
PILOT_EVERY = 3
"""of how many crops one is looked at for those"""
PILOT_POOR = 0.1
"""median error of the targets above which the next rule is looked at"""


class Exemplars(Protocol):
    """The crops V_a of one target neuron, by meaning."""

    @property
    def crops(self) -> np.ndarray:
        """``[k]`` crop numbers."""

    @property
    def meaning(self) -> np.ndarray:
        """``[k]`` semantic group of each crop."""


@dataclass(frozen=True)
class Scores:
    """What attribution says about one target neuron.

    Attributes:
        importance: ``[lower neuron]`` mean of |T| over V_a.
        signed: ``[semantic group, lower neuron]`` mean of T over each V_a^i.
        completeness_error: summed gap over V_a, relative to the summed change of φ_a.
        steps: N.
    """

    importance: np.ndarray
    signed: np.ndarray
    completeness_error: float
    steps: int


@dataclass(frozen=True)
class Pairs:
    """Targets and their crops: ``[pair]`` each.

    Attributes:
        neuron: the target ``a``.
        crop: number of a crop of ``V_a``.
        meaning: the semantic group it belongs to.
        steps: N for the target.
    """

    neuron: np.ndarray
    crop: np.ndarray
    meaning: np.ndarray
    steps: np.ndarray

    @classmethod
    def of(
        cls, concepts: Mapping[int, Exemplars], steps: Mapping[int, int], every: int = 1
    ) -> Pairs:
        """Pairs of the targets that ``steps`` are given for, with one of ``every`` so many crops."""
        found = [concepts[a] for a in steps]
        counts = [len(concept.crops[::every]) for concept in found]
        return cls(
            np.repeat(list(steps), counts),
            np.concatenate([concept.crops[::every] for concept in found]),
            np.concatenate([concept.meaning[::every] for concept in found]),
            np.repeat(list(steps.values()), counts),
        )

    def __getitem__(self, chosen: np.ndarray) -> Pairs:
        return Pairs(*(values[chosen] for values in vars(self).values()))


def attribute(
    segment: Segment,
    place: int,
    concepts: Mapping[int, Exemplars],
    features: FeatureMaps,
    *,
    steps: int | Literal["auto"],
    tolerance: float,
    minus: int | None = None,
    batch: Batch,
    progress: Progress,
) -> dict[int, Scores]:
    """Scores of all lower neurons for each upper neuron in ``concepts``.

    Args:
        segment: from the lower layer to the upper one.
        place: of the segment among those of ``features``.
        concepts: target neuron → its crops.
        features: gives the values that the segment needs.
        steps: N, or "auto".
        tolerance: completeness error that auto steps aim at.
        minus: upper neuron whose activation is subtracted, for a difference.
        batch: pairs worked on at once.
        progress: told of every pair.
    """
    stage = f"{segment.upper.name} → {segment.lower.name}"
    stream = partial(_stream, segment, place, features, minus, batch)
    plans: list[tuple[Rule, dict[int, int]]]
    if steps != "auto":
        plans = [(gauss_legendre, dict.fromkeys(concepts, steps))]
    else:
        progress.start(f"{stage}, choosing N", len(concepts))
        plans = list(_plans(segment, stream, concepts, tolerance))
        progress.advance(len(concepts))
    found: dict[int, Scores] = {}
    for rule, wanted in plans:
        measure = partial(_scores, rule=rule)
        while wanted:
            pairs = Pairs.of(concepts, wanted)
            progress.start(stage, len(pairs.crop))
            sums = {a: _Sums(concepts[a], segment.lower.neurons) for a in wanted}
            for part, (scores, change) in stream(pairs, measure):
                for a in np.unique(part.neuron).tolist():
                    own = part.neuron == a
                    sums[a].add(part.meaning[own], scores[own], change[own])
                progress.advance(len(part.crop))
            found |= {a: total.scores(wanted[a]) for a, total in sums.items()}
            wanted = _more(wanted, found, tolerance) if steps == "auto" else {}
    return {a: found[a] for a in concepts}


def _more(
    tried: Mapping[int, int], found: Mapping[int, Scores], tolerance: float
) -> dict[int, int]:
    """Target → a larger N, for those whose completeness error is above the tolerance."""
    errors = {a: found[a].completeness_error for a in tried}
    more = {a: _enough(tried[a], e / tolerance) for a, e in errors.items() if e > tolerance}
    return {a: n for a, n in more.items() if n > tried[a]}


Stream = Callable[..., Iterator[tuple["Pairs", tuple[np.ndarray, np.ndarray]]]]
"""(pairs, measure) → parts of the pairs, and what is found of them"""
Measure = Callable[..., tuple[Tensor, Tensor]]
"""what is found of the pairs of a batch; linear in the target"""


def _plans(
    segment: Segment, stream: Stream, concepts: Mapping[int, Exemplars], tolerance: float
) -> Iterator[tuple[Rule, dict[int, int]]]:
    """Rules, and target → N that should bring its error under the tolerance."""
    complete = {a: c for a, c in concepts.items() if segment.specialised(a).secants}
    if complete:
        pilot = Pairs.of(complete, dict.fromkeys(complete, CELLS), CELLS_EVERY)
        errors = _errors(stream(pilot, _refined))
        yield secants, {a: _enough(CELLS, max(1.0, errors[a] / tolerance) ** 0.5) for a in complete}
    rest = {a: c for a, c in concepts.items() if a not in complete}
    best: tuple[float, Rule, dict[int, int]] | None = None
    for rule, points, order in PILOTS if rest else ():
        pilot = Pairs.of(rest, dict.fromkeys(rest, points), PILOT_EVERY)
        errors = _errors(stream(pilot, partial(_totals, rule=rule)))
        usual = median(errors.values())
        if best is None or usual < best[0]:
            excess = {a: (errors[a] / tolerance) ** (1 / order) for a in rest}
            best = usual, rule, {a: _enough(points, excess[a]) for a in rest}
        if usual <= PILOT_POOR:
            break
    if best is not None:
        yield best[1:]


def _errors(
    found: Iterator[tuple[Pairs, tuple[np.ndarray, np.ndarray]]],
) -> dict[int, float]:
    """Target → summed distance of what was found from what it should be, relative to the latter."""
    sums: dict[int, np.ndarray] = {}
    for part, (value, goal) in found:
        rows = len(part.crop), -1
        gap = np.abs(value - goal).reshape(rows).sum(1)
        for a, *both in zip(
            part.neuron.tolist(), gap, np.abs(goal).reshape(rows).sum(1), strict=True
        ):
            sums[a] = sums.get(a, np.zeros(2)) + both
    return {a: float(gap / goal) if goal else 0.0 for a, (gap, goal) in sums.items()}


def _enough(steps: int, excess: float) -> int:
    """N for an ``excess`` of error where ``steps`` gave 1, if it falls as 1/N."""
    return next((n for n in AUTO_STEPS if n >= steps * excess), AUTO_STEPS[-1])


def _stream(
    segment: Segment,
    place: int,
    features: FeatureMaps,
    minus: int | None,
    batch: Batch,
    pairs: Pairs,
    measure: Measure,
) -> Iterator[tuple[Pairs, tuple[np.ndarray, np.ndarray]]]:
    """(pairs, what ``measure`` finds of them), a batch at a time."""

    def work(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        neurons = torch.from_numpy(pairs.neuron[part])
        values = features.take(place, pairs.crop[part])
        steps = int(pairs.steps[part[0]])
        found = measure(segment, neurons, values, steps)
        if minus is not None:
            other = measure(segment, torch.full_like(neurons, minus), values, steps)
            found = found[0] - other[0], found[1] - other[1]
        return found[0].double().cpu().numpy(), found[1].double().cpu().numpy()

    for block in features.blocks(place, np.unique(pairs.crop)):
        inside = np.flatnonzero(np.isin(pairs.crop, block))
        for alike in _alike(segment, pairs[inside]):
            for part, found in batch.map(work, inside[alike]):
                yield pairs[part], found


def _alike(segment: Segment, pairs: Pairs) -> Iterator[np.ndarray]:
    """Positions of pairs in parts of equal N that one specialised segment serves."""
    waiting = np.ones(len(pairs.neuron), dtype=bool)
    while waiting.any():
        first = int(waiting.argmax())
        serves = segment.specialised(int(pairs.neuron[first])).serves[pairs.neuron]
        alike = waiting & serves & (pairs.steps == pairs.steps[first])
        yield np.flatnonzero(alike)
        waiting &= ~alike


def _arguments(
    segment: Segment, neurons: Tensor, values: Mapping[Key, Tensor]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """(x, held, trunk) from what was observed; the trunk is empty where it is not kept."""
    trunk = segment.specialised(int(neurons[0])).trunk
    kept = [values[key] for key in trunk] if values.keys() >= set(trunk) else []
    return next(iter(values.values())), [values[key] for key in segment.held], kept


def _scores(
    segment: Segment, neurons: Tensor, values: Mapping[Key, Tensor], steps: int, *, rule: Rule
) -> tuple[Tensor, Tensor]:
    x, held, trunk = _arguments(segment, neurons, values)
    found = integrated_gradients(segment, neurons, x, held, steps=steps, trunk=trunk, rule=rule)
    return found.scores, found.change


def _totals(
    segment: Segment, neurons: Tensor, values: Mapping[Key, Tensor], steps: int, *, rule: Rule
) -> tuple[Tensor, Tensor]:
    x, held, trunk = _arguments(segment, neurons, values)
    return total_score(segment, neurons, x, held, steps=steps, trunk=trunk, rule=rule)


def _refined(
    segment: Segment, neurons: Tensor, values: Mapping[Key, Tensor], steps: int
) -> tuple[Tensor, Tensor]:
    """Scores ``[pair, lower neuron]`` by secants, and about where they tend to (Richardson)."""
    coarse, fine = (
        _scores(segment, neurons, values, n, rule=secants)[0] for n in (steps // 2, steps)
    )
    return fine, fine + (fine - coarse) / 3


class _Sums:
    """Running sums over one target's crops."""

    def __init__(self, concept: Exemplars, neurons: int) -> None:
        self.sizes = np.bincount(concept.meaning)
        self.absolute = np.zeros(neurons)
        self.signed = np.zeros((len(self.sizes), neurons))
        self.gap = self.change = 0.0

    def add(self, meaning: np.ndarray, scores: np.ndarray, change: np.ndarray) -> None:
        self.absolute += np.abs(scores).sum(0)
        np.add.at(self.signed, meaning, scores)
        self.gap += float(np.abs(scores.sum(1) - change).sum())
        self.change += float(np.abs(change).sum())

    def scores(self, steps: int) -> Scores:
        return Scores(
            importance=self.absolute / self.sizes.sum(),
            signed=self.signed / self.sizes[:, None],
            completeness_error=self.gap / self.change if self.change > 0 else self.gap,
            steps=steps,
        )
