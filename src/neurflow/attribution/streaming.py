"""Attributions of a whole layer's targets while the crops stream by once.

1. Crops that are in some target's ``V_a`` are taken in their order, a batch at a time; the lower
   layer's outputs and the held tensors are recomputed from the pixels.
2. Each target that has crops in the batch is attributed on them, and the scores are added up: |T| over
   ``V_a``, signed ``T`` over each ``V_a^i``, and the completeness gap. Nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from neurflow.activations import BATCH_SIZE, CropSet
from neurflow.attribution.integrated_gradients import Attribution, integrated_gradients
from neurflow.model import Model, Segment
from neurflow.model.network import NeuronSegment
from neurflow.progress import Progress


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
    """

    importance: np.ndarray
    signed: np.ndarray
    completeness_error: float


def attribute(
    model: Model,
    lower: str,
    upper: str,
    concepts: Mapping[int, Exemplars],
    crops: CropSet,
    *,
    steps: int,
    minus: int | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress,
) -> dict[int, Scores]:
    """Scores of all lower neurons for each upper neuron in ``concepts``."""
    segment = model.segment(lower, upper)
    fast = {a: segment.neuron(a) for a in [*concepts, *([] if minus is None else [minus])]}
    sums = {a: _Sums(concept, segment.lower.neurons) for a, concept in concepts.items()}
    forward = model.outputs([model.node(lower), *segment.held])
    axes = [(0, 1), *segment.held_axes]
    needed = np.unique(np.concatenate([concept.crops for concept in concepts.values()]))
    progress.start(f"{upper} → {lower}", sum(len(c.crops) for c in concepts.values()))
    for batch in np.array_split(needed, -(-len(needed) // batch_size)):
        with torch.inference_mode():
            seen = forward(model.feed(crops.pixels(batch)))
        observed = [value.clone() for value in seen]  # out of inference mode
        for neuron, concept in concepts.items():
            positions = np.flatnonzero(np.isin(concept.crops, batch))
            if not len(positions):
                continue
            rows = torch.as_tensor(np.searchsorted(batch, concept.crops[positions]))
            x, *held = (
                _rows(value, rows.to(value.device), *axis)
                for value, axis in zip(observed, axes, strict=True)
            )
            found = _attribute(segment, neuron, minus, x, held, steps, fast)
            sums[neuron].add(positions, found)
            progress.advance(len(positions))
    return {neuron: total.scores() for neuron, total in sums.items()}


def _attribute(
    segment: Segment,
    neuron: int,
    minus: int | None,
    x: Tensor,
    held: list[Tensor],
    steps: int,
    fast: Mapping[int, NeuronSegment],
) -> Attribution:
    """T of one neuron, or of a difference: integrated gradients are linear in the target."""
    found = integrated_gradients(segment, neuron, x, held, steps=steps, specialised=fast[neuron])
    if minus is None:
        return found
    other = integrated_gradients(segment, minus, x, held, steps=steps, specialised=fast[minus])
    return Attribution(found.scores - other.scores, found.change - other.change)


def _rows(value: Tensor, rows: Tensor, axis: int, per_sample: int) -> Tensor:
    """Samples of a tensor whose batch axis holds ``per_sample`` entries for each."""
    split = torch.unflatten(value, axis, (-1, per_sample)).index_select(axis, rows)
    return split.flatten(axis, axis + 1)


class _Sums:
    """Running sums over one target's crops."""

    def __init__(self, concept: Exemplars, neurons: int) -> None:
        self.concept = concept
        self.absolute = np.zeros(neurons)
        self.signed = np.zeros((concept.meaning.max() + 1, neurons))
        self.gap = self.change = 0.0

    def add(self, positions: np.ndarray, found: Attribution) -> None:
        scores = found.scores.double().cpu().numpy()
        self.absolute += np.abs(scores).sum(0)
        np.add.at(self.signed, self.concept.meaning[positions], scores)
        self.gap += float(found.gap.double().sum())
        self.change += float(found.change.double().abs().sum())

    def scores(self) -> Scores:
        sizes = np.bincount(self.concept.meaning, minlength=len(self.signed))
        return Scores(
            importance=self.absolute / len(self.concept.crops),
            signed=self.signed / sizes[:, None],
            completeness_error=self.gap / self.change if self.change > 0 else self.gap,
        )
