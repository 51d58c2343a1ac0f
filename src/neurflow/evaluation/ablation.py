"""Ablation of neurons by zero, by their mean or by values from another crop, and its effect on V_a.

1. In the observed output of the lower layer, a set of neurons is replaced at every position: by 0, by
   their mean over D, or by their values on another crop (*resample*).
2. The segment computes φ_a of all targets at once, so each set is ablated only once for all targets.
3. The effect on a target is measured by the overlap of its top-k crops before and after ablation,
   ``|V_a ∩ V_a'| / k``. Ablating core neurons should make it small.

Conclusions depend on the choice of the replacement (Zhang & Nanda 2024; Miller et al. 2024), so
protocols report all three.
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
"""number of sets per stored result; an interruption loses at most this many"""
Sets = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Resampled(Mask):
    """A mask that replaces neurons by their values on other inputs.

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
    """Return the mask that ablates neurons.

    Args:
        neurons: layer → neurons.
        ablation: replacement of the neurons.
        means: layer → ``[neuron]`` mean, for ``mean``.
        values: layer → its output on other inputs, for ``resample``.
    """
    if ablation == "resample":
        return Resampled(neurons, values=values)
    return Mask(neurons, ablation, means)


def shuffled_inputs(count: int, seed: int) -> np.ndarray:
    """Return another input for each of ``count`` inputs: its successor in a random cycle."""
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
    """Return φ of some neurons on all of D after ablating each set of neurons of the layer below.

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
        name: description of the sets for the progress bar.

    Returns:
        ``[set, target neuron]``, from 0 to 1; 1 if the top-k crops are the same.
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

        found += lab.cached(
            f"overlaps {upper} {ablation} {[list(map(int, s)) for s in chunk]}", compute
        )
    return np.array(found).reshape(len(sets), len(neurons))


def random_sets(neurons: int, size: int, count: int, seed: int) -> list[list[int]]:
    """Draw ``count`` independent sets of ``size`` of a layer's neurons."""
    rng = np.random.default_rng([seed, size])
    return [sorted(rng.choice(neurons, size, replace=False).tolist()) for _ in range(count)]
