"""Which lower neurons are core: the published rule, and closer stand-ins for what ablation would show.

``S_a`` is *the* ``τ`` *neurons whose ablation changes* ``V_a`` *most*. Four rules say which those are:

* ``published``: the largest mean of ``|T|`` over ``V_a``. It also takes neurons that hold ``a`` down,
  whose ablation raises ``a`` on the very crops it is to lose.
* ``signed``: the largest mean of ``T`` over ``V_a``.
* ``contrast``: the largest mean of ``T`` over ``V_a`` less its mean over other crops. What drives
  ``a`` everywhere alike does not decide which crops are on top; what holds it down elsewhere does.
* ``stepwise``: contrast, a share of ``τ`` at a time. The neurons taken so far are zeroed, and the rest
  is asked again: what stands in for them shows only now, what acted through them no longer counts.

1. *Contrast crops:* half of them evenly from ranks ``k + 1 … 4 k`` of ``φ_a``, which would move up,
   half at random from all others.
2. ``T`` on them takes few points: it ranks neurons, and no weight is made from it. Further steps look
   at part of the crops.
3. Whatever the rule, importance and weights are the paper's, from ``T`` over all of ``V_a``.
4. Dead neurons are never core: those of importance 0 that the rule gives 0 as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from neurflow.attribution.integrated_gradients import (
    gauss_legendre,
    graded_midpoints,
    integrated_gradients,
)
from neurflow.attribution.streaming import Exemplars, Measure, Scores, attribute, by_rule
from neurflow.config import Config
from neurflow.method.core_neurons import Core, core_neurons, living, make_core
from neurflow.model import Segment
from neurflow.model.network.protocols import Key
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Progress
from neurflow.study.activations import Activations, blocks, top_crops
from neurflow.study.features import FeatureMaps

Rule = Literal["published", "signed", "contrast", "stepwise"]
POINTS = 8
"""points of ``T`` where it only ranks neurons"""
NEAR = 4
"""contrast crops come from ranks up to so many times k"""
STEPS = 3
"""parts in which ``stepwise`` takes its neurons"""
EVERY = 2
"""of how many crops further steps look at one"""


class Score(Protocol):
    """Attribution of a layer's targets: ``streaming.attribute`` but for the crops and the points."""

    def __call__(
        self,
        concepts: Mapping[int, Exemplars],
        *,
        steps: int | Literal["auto"],
        method: Measure | None = None,
    ) -> dict[int, Scores]:
        """Scores of all lower neurons for each target."""


@dataclass(frozen=True)
class Contrast:
    """Exemplars in two parts: meaning 0 are crops of ``V_a``, meaning 1 others."""

    crops: np.ndarray
    meaning: np.ndarray

    @classmethod
    def of(cls, own: np.ndarray, others: np.ndarray) -> Contrast:
        """From the crops of each part."""
        return cls(np.concatenate([own, others]), np.repeat([0, 1], [len(own), len(others)]))


def select_cores(
    rule: Rule,
    score: Score,
    concepts: Mapping[int, Exemplars],
    phi: np.ndarray,
    tau: int | Mapping[int, int],
    *,
    steps: int | Literal["auto"],
    minus: int | None = None,
    seed: int = 0,
) -> dict[int, Core]:
    """Core neurons and weights of a layer's targets.

    Args:
        rule: which neurons are core.
        score: attributes the targets.
        concepts: target neuron → its crops.
        phi: ``[crop, neuron]`` φ of the targets' layer.
        tau: core neurons of each target.
        steps: N of the weights.
        minus: neuron whose activation is subtracted, for a difference.
        seed: of the contrast crops that are drawn.
    """
    found = score(concepts, steps=steps)
    taus = tau if isinstance(tau, Mapping) else dict.fromkeys(concepts, tau)
    drive = {a: scores.importance for a, scores in found.items()}
    if rule == "published":
        chosen = {a: core_neurons(drive[a], taus[a]) for a in found}
    else:
        signed = {a: _mean(concepts[a], scores) for a, scores in found.items()}
        others = {a: np.empty(0, dtype=int) for a in concepts}
        if rule != "signed":
            others = contrast_crops(concepts, phi, minus=minus, seed=seed)
        if any(map(len, others.values())):  # else V_a is all there is
            there = {a: Contrast.of(crops, crops[:0]) for a, crops in others.items()}
            elsewhere = score(there, steps=POINTS, method=partial(by_rule, rule=gauss_legendre))
            signed = {a: signed[a] - elsewhere[a].signed[0] for a in signed}
        first = {a: -(-t // STEPS) for a, t in taus.items()} if rule == "stepwise" else taus
        chosen = {a: core_neurons(signed[a], first[a]) for a in signed}
        for _ in range(STEPS - 1 if rule == "stepwise" else 0):
            chosen = _next(score, concepts, others, chosen, signed, first, taus)
        drive = signed
    return {
        a: make_core(scores, living(chosen[a], scores.importance, drive[a]))
        for a, scores in found.items()
    }


def cores_of(
    segment: Segment,
    place: int,
    concepts: Mapping[int, Exemplars],
    activations: Activations,
    features: FeatureMaps,
    config: Config,
    *,
    minus: int | None,
    batch: Batch,
    progress: Progress,
) -> dict[int, Core]:
    """Core neurons and weights of all targets of a segment's upper layer: attribution, and the rule.

    Args:
        segment: from the lower layer to the targets' layer.
        place: of the segment among those of ``features``.
        concepts: target neuron → its crops.
        activations: of the concept set.
        features: gives the values that the segment needs.
        config: the rule, τ, N and the seed.
        minus: target neuron that is subtracted, for a difference.
        batch: pairs worked on at once.
        progress: told of every pair.
    """
    score = partial(
        attribute,
        segment,
        place,
        features=features,
        tolerance=config.tolerance,
        minus=minus,
        batch=batch,
        progress=progress,
    )
    phi = activations[segment.upper.name]
    select = partial(select_cores, config.selection, score, concepts, phi, config.tau)
    return select(steps=config.steps, minus=minus, seed=config.seed)


def _next(
    score: Score,
    concepts: Mapping[int, Exemplars],
    others: Mapping[int, np.ndarray],
    chosen: Mapping[int, np.ndarray],
    before: Mapping[int, np.ndarray],
    step: Mapping[int, int],
    taus: Mapping[int, int],
) -> dict[int, np.ndarray]:
    """The chosen neurons and as many more, by contrast with the chosen ones zeroed.

    A target that is silent on its own crops by now says no more; what it said ``before`` goes on.
    """
    crops = {
        a: Contrast.of(concepts[a].crops[::EVERY], others[a][::EVERY])
        for a in concepts
        if len(chosen[a]) < taus[a]
    }
    if not crops:
        return dict(chosen)
    longer = dict(chosen)
    found = score(crops, steps=POINTS, method=_without(chosen))
    for a, scores in found.items():
        own, *other = scores.signed
        drive = own - sum(other) if own.any() else before[a]
        order = np.argsort(-drive, kind="stable")
        order = order[~np.isin(order, chosen[a])]
        more = order[: min(step[a], taus[a] - len(chosen[a]))]
        longer[a] = np.concatenate([chosen[a], more])
    return longer


def contrast_crops(
    concepts: Mapping[int, Exemplars],
    phi: np.ndarray,
    *,
    minus: int | None = None,
    seed: int = 0,
) -> dict[int, np.ndarray]:
    """Crops outside ``V_a``, half as many as in it: evenly from the next ranks, and at random.

    Args:
        concepts: target neuron → its crops.
        phi: ``[crop, neuron]`` φ of the targets' layer.
        minus: neuron whose activation is subtracted.
        seed: of those drawn at random.
    """
    neurons = list(concepts)
    k = max(len(concept.crops) for concept in concepts.values())
    ranked, _ = top_crops(blocks(phi, neurons, minus), min(NEAR * k, len(phi)))
    found = {}
    for a, ranks in zip(neurons, ranked, strict=True):
        own = concepts[a].crops
        near = ranks[~np.isin(ranks, own)]
        near = near[:: max(1, len(near) // max(1, len(own) // 4))][: max(1, len(own) // 4)]
        rest = np.setdiff1d(np.arange(len(phi)), np.concatenate([own, near]))
        drawn = np.random.default_rng([seed, a]).permutation(rest)[: max(1, len(own) // 4)]
        found[a] = np.concatenate([near, drawn])
    return found


def _mean(concept: Exemplars, scores: Scores) -> np.ndarray:
    """``[lower neuron]`` mean of T over all crops of V_a, from its means over the meanings."""
    return np.average(scores.signed, axis=0, weights=np.bincount(concept.meaning))


def _without(chosen: Mapping[int, np.ndarray]) -> Measure:
    """Integrated gradients where the chosen neurons of each target are zeroed."""

    def measure(
        segment: Segment, neurons: Tensor, values: Mapping[Key, Tensor], steps: int
    ) -> tuple[Tensor, Tensor]:
        x, bypass = next(iter(values.values())), [values[key] for key in segment.bypass]
        keep = torch.ones(len(x), segment.lower.neurons, dtype=x.dtype, device=x.device)
        for row, a in enumerate(neurons.tolist()):
            keep[row, torch.from_numpy(chosen[a])] = 0
        shape = [1] * x.ndim
        shape[0], shape[segment.lower.axis] = keep.shape
        x = x * keep.view(shape)
        found = integrated_gradients(
            segment, neurons, x, bypass, steps=steps, rule=graded_midpoints
        )
        return found.scores, found.change

    return measure
