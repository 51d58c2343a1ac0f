"""Neurons ablated by zero, by their mean, or by their values elsewhere, and what becomes of ``V_a``.

1. In the observed output of the lower layer, a set of neurons is replaced at every position: by 0, by
   their mean over D, or by what they are on another crop (*resample*).
2. The segment gives ``φ_a`` of all targets at once: what a set does is computed once for all of them.
3. The overlap of a target's top-k crops with those without ablation, ``|V_a ∩ V_a'| / k``, is what core
   neurons are meant to bring down.

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
"""sets tried between two looks at the crops: as much work as a kill can lose"""
Sets = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Resampled(Mask):
    """A change of some neurons to their values on other inputs.

    Attributes:
        values: layer → its output on as many other inputs.
    """

    values: Mapping[str, Tensor] = field(default_factory=dict)

    def apply(self, x: Tensor, layer: Layer) -> Tensor:
        """The layer's output with its neurons as they are in ``values``."""
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
    """The ablation of neurons of some layers."""
    if ablation == "resample":
        return Resampled(neurons, values=values)
    return Mask(neurons, ablation, means)


def elsewhere(count: int, seed: int) -> np.ndarray:
    """For each of ``count`` inputs another one: the next in a random order."""
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
    """φ of some neurons on all of D, with each set of neurons of the layer below ablated.

    Returns:
        ``[set, crop, neuron]``
    """
    pair, minus = bench.pair(upper), bench.minus(upper)
    segment, maps, lower = pair.segment, pair.maps, pair.segment.lower
    means = {lower.name: bench.means(lower.name).tolist()}
    phi = np.empty((len(sets), len(bench), len(neurons)), dtype=np.float32)
    batch = bench.budget.batch(maps.bytes_each * 4)
    for block in maps.blocks(np.arange(len(bench))):
        others = block[elsewhere(len(block), seed)]

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
    """``|V_a ∩ V_a'| / k`` of two sets of crops ``[k]``."""
    return len(np.intersect1d(before, after)) / len(before)


def overlaps(lab: Laboratory, upper: str, sets: Sets, ablation: Ablation, name: str) -> np.ndarray:
    """Overlap of each sampled target's top-k after ablating each set of the layer below.

    Args:
        lab: gives the crops; keeps what was done.
        upper: layer of the targets.
        sets: neurons of the layer below.
        ablation: what takes their place.
        name: of these sets, for a run that goes on.

    Returns:
        ``[set, target neuron]``, 1 where nothing changed.
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
    """``count`` sets of ``size`` of a layer's neurons, each drawn without regard to the others."""
    rng = np.random.default_rng([seed, size])
    return [sorted(rng.choice(neurons, size, replace=False).tolist()) for _ in range(count)]
