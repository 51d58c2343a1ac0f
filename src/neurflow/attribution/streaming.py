"""Attributions of a whole layer's targets, over (target, crop) pairs.

1. Every target ``a`` is paired with the crops of its ``V_a``. Pairs are worked on many at once, with
   different targets in a batch; what a crop needs is computed once and shared by its pairs
   (``features``).
2. The scores of each pair are added up by target: |T| over ``V_a``, signed ``T`` over each ``V_a^i``,
   and the completeness gap. Nothing else is kept.
3. With ``steps="auto"`` all targets start with few points; those whose completeness error is above
   the tolerance are attributed again with twice as many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from neurflow.attribution.integrated_gradients import Attribution, integrated_gradients
from neurflow.features import FeatureMaps
from neurflow.memory import Batch
from neurflow.model import Segment
from neurflow.progress import Progress

AUTO_STEPS = (8, 16, 32, 64)
"""N that ``steps="auto"`` tries, one after the other; the last is taken whatever its error"""


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
    """

    neuron: np.ndarray
    crop: np.ndarray
    meaning: np.ndarray

    @classmethod
    def of(cls, concepts: Mapping[int, Exemplars], neurons: Sequence[int]) -> Pairs:
        """All pairs of some targets, target by target."""
        found = [concepts[a] for a in neurons]
        return cls(
            np.repeat(neurons, [len(concept.crops) for concept in found]),
            np.concatenate([concept.crops for concept in found]),
            np.concatenate([concept.meaning for concept in found]),
        )

    def __getitem__(self, chosen: np.ndarray) -> Pairs:
        return Pairs(self.neuron[chosen], self.crop[chosen], self.meaning[chosen])


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
    found: dict[int, Scores] = {}
    waiting = list(concepts)
    tried = AUTO_STEPS if steps == "auto" else (steps,)
    for points in tried:
        again = f", N = {points}" if points != tried[0] else ""
        pairs = Pairs.of(concepts, waiting)
        progress.start(f"{segment.upper.name} → {segment.lower.name}{again}", len(pairs.crop))
        sums = {a: _Sums(concepts[a], segment.lower.neurons) for a in waiting}
        for part, attribution in _attributions(
            segment, place, pairs, features, points, minus, batch
        ):
            for a in np.unique(part.neuron).tolist():
                own = part.neuron == a
                sums[a].add(part.meaning[own], *(values[own] for values in attribution))
            progress.advance(len(part.crop))
        found |= {a: total.scores(points) for a, total in sums.items()}
        waiting = [a for a in waiting if found[a].completeness_error > tolerance]
        if not waiting:
            break
    return {a: found[a] for a in concepts}


def _attributions(
    segment: Segment,
    place: int,
    pairs: Pairs,
    features: FeatureMaps,
    steps: int,
    minus: int | None,
    batch: Batch,
) -> Iterator[tuple[Pairs, tuple[np.ndarray, ...]]]:
    """(pairs, their scores, gaps and changes), a batch at a time."""

    def work(part: np.ndarray) -> tuple[np.ndarray, ...]:
        chosen = pairs[part]
        neurons = torch.from_numpy(chosen.neuron)
        values = features.take(place, chosen.crop)
        found = _integrate(segment, neurons, values, steps)
        if minus is not None:
            other = _integrate(segment, torch.full_like(neurons, minus), values, steps)
            found = Attribution(found.scores - other.scores, found.change - other.change)
        return tuple(v.double().cpu().numpy() for v in (found.scores, found.gap, found.change))

    for block in features.blocks(place, np.unique(pairs.crop)):
        inside = np.flatnonzero(np.isin(pairs.crop, block))
        for alike in _alike(segment, pairs.neuron[inside]):
            for part, found in batch.map(work, inside[alike]):
                yield pairs[part], found


def _alike(segment: Segment, neurons: np.ndarray) -> Iterator[np.ndarray]:
    """Positions of ``neurons`` in parts that one specialised segment serves."""
    waiting = np.ones(len(neurons), dtype=bool)
    while waiting.any():
        serves = segment.specialised(int(neurons[waiting.argmax()])).serves[neurons] & waiting
        yield np.flatnonzero(serves)
        waiting &= ~serves


def _integrate(
    segment: Segment, neurons: Tensor, values: Mapping[object, Tensor], steps: int
) -> Attribution:
    trunk = segment.specialised(int(neurons[0])).trunk
    return integrated_gradients(
        segment,
        neurons,
        next(iter(values.values())),
        [values[key] for key in segment.held],
        steps=steps,
        trunk=[values[key] for key in trunk] if values.keys() >= set(trunk) else (),
    )


class _Sums:
    """Running sums over one target's crops."""

    def __init__(self, concept: Exemplars, neurons: int) -> None:
        self.sizes = np.bincount(concept.meaning)
        self.absolute = np.zeros(neurons)
        self.signed = np.zeros((len(self.sizes), neurons))
        self.gap = self.change = 0.0

    def add(
        self, meaning: np.ndarray, scores: np.ndarray, gap: np.ndarray, change: np.ndarray
    ) -> None:
        self.absolute += np.abs(scores).sum(0)
        np.add.at(self.signed, meaning, scores)
        self.gap += float(gap.sum())
        self.change += float(np.abs(change).sum())

    def scores(self, steps: int) -> Scores:
        return Scores(
            importance=self.absolute / self.sizes.sum(),
            signed=self.signed / self.sizes[:, None],
            completeness_error=self.gap / self.change if self.change > 0 else self.gap,
            steps=steps,
        )
