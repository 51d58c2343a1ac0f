"""Ablation of neurons by zero, by their mean or by values from another crop, and its effect on ``V_a``.

1. In the observed output of the lower layer, a set of neurons is replaced at every position: by 0, by
   their mean over D, or by their values on another crop (*resample*).
2. The segment gives ``φ_a`` of all targets at once, so the effect of a set is computed once for all.
3. The result is the overlap of a target's top-k crops with those without ablation,
   ``|V_a ∩ V_a'| / k``. Ablating core neurons should make it small.

The choice of the replacement changes conclusions (Zhang & Nanda 2024; Miller et al. 2024), so
protocols show all three side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from neurflow.debugging.masking import Mask
from neurflow.evaluation.laboratory import Bench, Laboratory
from neurflow.evaluation.settings import Ablation
from neurflow.model import Layer

CHUNK = 16
"""number of sets per stored result, which is the work that an interruption can lose"""
Sets = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Resampled(Mask):
    """A change of some neurons to their values on other inputs.

    Attributes:
        values: layer → its output on the same number of other inputs.
    """

    values: Mapping[str, Tensor] = field(default_factory=dict)

    def apply(self, x: Tensor, layer: Layer) -> Tensor:
        """Return the layer's output with the neurons' values replaced by those in ``values``."""
        index = list(self.neurons.get(layer.name, ()))
        changed = x.clone()
        if index:
            other = self.values[layer.name].movedim(layer.axis, -1)
            changed.movedim(layer.axis, -1)[..., index] = other[..., index]
        return changed


def mask(
    neurons: Mapping[str, Sequence[int]],
    ablation: Ablation,
    means: Mapping[str, Sequence[float]],
    values: Mapping[str, Tensor],
) -> Mask:
    """Make the mask that ablates neurons of some layers."""
    if ablation == "resample":
        return Resampled(neurons, values=values)
    return Mask(neurons, ablation, means)


def shuffled_inputs(count: int, seed: int) -> np.ndarray:
    """For each of ``count`` inputs, another input: the next one in a random order."""
    order = np.random.default_rng(seed).permutation(count)
    other = np.empty(count, dtype=np.int64)
    other[order] = np.roll(order, -1)
    return other


def ablated_phi(
    bench: Bench,
    upper: str,
    neurons: Sequence[int],
    sets: Sets,
    ablation: Ablation,
    *,
    seed: int,
) -> np.ndarray:
    """Return φ of some neurons on all of D, with each set of neurons of the layer below ablated.

    Returns:
        ``[set, crop, neuron]``
    """
    pair, minus = bench.pair(upper), bench.minus(upper)
    segment, maps, lower = pair.segment, pair.maps, pair.segment.lower
    means = {lower.name: bench.means(lower.name).tolist()}
    phi = np.empty((len(sets), len(bench), len(neurons)), dtype=np.float32)
    batch = bench.budget.batch(maps.bytes_each * 4)
    for block in maps.blocks(np.arange(len(bench))):
        others = block[shuffled_inputs(len(block), seed)]

        def work(rows: np.ndarray, block: np.ndarray = block, others: np.ndarray = others) -> None:
            observed = maps.take(block[rows])
            donors = {}
            if ablation == "resample":
                donors = {lower.name: maps.take(others[rows]).x}
            with torch.inference_mode():
                for number, members in enumerate(sets):
                    change = mask({lower.name: members}, ablation, means, donors)
                    changed = change.apply(observed.x, lower)
                    found = segment.upper.pool(segment.run(changed, observed.bypass))
                    chosen = found[:, list(neurons)] - (0 if minus is None else found[:, [minus]])
                    phi[number, block[rows]] = chosen.float().cpu().numpy()

        for rows, _ in batch.map(work, np.arange(len(block))):
            bench.progress.advance(len(rows) * len(sets))
    return phi


def overlap(before: np.ndarray, after: np.ndarray) -> float:
    """Return ``|V_a ∩ V_a'| / k`` of two sets of crops ``[k]``."""
    return len(np.intersect1d(before, after)) / len(before)


def overlaps(lab: Laboratory, upper: str, sets: Sets, ablation: Ablation, name: str) -> np.ndarray:
    """Return the overlap of each sampled target's top-k after ablating each set of the layer below.

    Args:
        lab: has the crops, and stores intermediate results.
        upper: layer of the targets.
        sets: neurons of the layer below.
        ablation: replacement of ablated neurons.
        name: describes the sets in the progress.

    Returns:
        ``[set, target neuron]``; 1 if nothing changed.
    """
    bench, neurons, k = lab.trial, lab.sampled(upper), lab.circuit.config.k
    before, _ = bench.top(upper, neurons, k)
    lab.progress.start(f"{upper}: {name}, {ablation}", len(sets) * len(bench))
    found: list[list[float]] = []
    for start in range(0, len(sets), CHUNK):
        chunk = sets[start : start + CHUNK]

        def compute(chunk: Sets = chunk) -> list[list[float]]:
            phi = ablated_phi(
                bench,
                upper,
                neurons,
                chunk,
                ablation,
                seed=lab.settings.seed,
            )
            return [
                [overlap(*pair) for pair in zip(before, after, strict=True)]
                for after, _ in (bench.strongest(iter([each]), k) for each in phi)
            ]

        found += lab.kept(
            f"overlaps {upper} {ablation} {[list(map(int, s)) for s in chunk]}", compute
        )
    return np.array(found).reshape(len(sets), len(neurons))


def random_sets(neurons: int, size: int, count: int, seed: int) -> list[list[int]]:
    """Draw ``count`` independent sets of ``size`` of a layer's neurons."""
    rng = np.random.default_rng([seed, size])
    return [sorted(rng.choice(neurons, size, replace=False).tolist()) for _ in range(count)]
