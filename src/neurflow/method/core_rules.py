"""The core-neuron rules of this package.

``S_a`` are the ``τ`` neurons whose ablation changes ``V_a`` most. Trying all ablations is too
expensive, so four rules approximate them:

* ``published``: the largest mean of ``|T|`` over ``V_a``. This includes neurons that inhibit ``a``,
  whose ablation raises ``a`` on the crops of ``V_a``.
* ``signed``: the largest mean of ``T`` over ``V_a``.
* ``contrast``: the largest mean of ``T`` over ``V_a`` minus its mean over other crops. A neuron that
  drives ``a`` equally on all crops does not decide which crops are in ``V_a``, but a neuron that
  inhibits ``a`` on other crops does.
* ``stepwise``: contrast, in several steps. Each step chooses a share of ``τ``. The chosen neurons are
  zeroed and the others are scored again. Substitutes of chosen neurons then get higher scores, and
  neurons that act only through chosen ones get lower scores.

1. *Contrast crops:* half of them are taken evenly from ranks ``k + 1 … 4 k`` of ``φ_a``, which would
   enter ``V_a`` next. The other half is drawn at random from all other crops.
2. ``T`` on contrast crops uses few points, because it only ranks neurons; weights do not depend on it.
   Later steps use part of the crops.
3. Neurons with importance 0 and a score of 0 are never core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from neurflow.attribution.integrated_gradients import (
    gauss_legendre,
    graded_midpoints,
    integrated_gradients,
)
from neurflow.attribution.streaming import Measure, integrate
from neurflow.attribution.task import Exemplars
from neurflow.method.core_neurons import Choice, core_neurons, register
from neurflow.model import Segment
from neurflow.study.activations import blocks, top_crops
from neurflow.study.features import Observed

POINTS = 8
"""number of points for ``T`` when it only ranks neurons"""
NEAR = 4
"""contrast crops are taken from ranks up to this multiple of k"""
STEPS = 3
"""number of steps of ``stepwise``"""
SUBSAMPLING = 2
"""later steps use one crop out of this many"""


@dataclass(frozen=True)
class Contrast:
    """Exemplars in two parts: meaning 0 has crops of ``V_a``, meaning 1 other crops."""

    crops: np.ndarray
    meaning: np.ndarray

    @classmethod
    def of(cls, own: np.ndarray, others: np.ndarray) -> Contrast:
        """Make it from the crops of both parts."""
        return cls(np.concatenate([own, others]), np.repeat([0, 1], [len(own), len(others)]))


@register("published")
def published(choice: Choice) -> dict[int, np.ndarray]:
    """Choose by the mean of |T|."""
    return {a: choice.largest(a, scores.importance) for a, scores in choice.scores.items()}


@register("signed")
def signed(choice: Choice) -> dict[int, np.ndarray]:
    """Choose by the mean of T."""
    return {a: choice.largest(a, choice.signed(a)) for a in choice.scores}


@register("contrast")
def contrast(choice: Choice) -> dict[int, np.ndarray]:
    """Choose by the mean of T over V_a minus its mean over other crops."""
    drive = _contrasted(choice, _drawn_contrast(choice))
    return {a: choice.largest(a, drive[a]) for a in choice.scores}


@register("stepwise")
def stepwise(choice: Choice) -> dict[int, np.ndarray]:
    """Choose by contrast in several steps, with the neurons of earlier steps zeroed."""
    others = _drawn_contrast(choice)
    drive = _contrasted(choice, others)
    chosen = {a: core_neurons(drive[a], _share(tau)) for a, tau in choice.taus.items()}
    for _ in range(STEPS - 1):
        chosen = _next_step(choice, others, chosen, drive)
    return {a: choice.living(a, chosen[a], drive[a]) for a in choice.scores}


def _share(tau: int) -> int:
    """Return the number of neurons that one step chooses."""
    return -(-tau // STEPS)


def _drawn_contrast(choice: Choice) -> dict[int, np.ndarray]:
    config = choice.task.config
    return contrast_crops(choice.concepts, choice.phi, minus=choice.task.minus, seed=config.seed)


def _contrasted(choice: Choice, others: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Return target → mean of T over V_a, minus its mean over other crops if there are any."""
    own = {a: choice.signed(a) for a in choice.scores}
    if not any(map(len, others.values())):
        return own
    elsewhere = {a: Contrast.of(crops, crops[:0]) for a, crops in others.items()}
    scores = choice.score(elsewhere, partial(integrate, rule=gauss_legendre), POINTS)
    return {a: own[a] - scores[a].signed[0] for a in own}


def _next_step(
    choice: Choice,
    others: Mapping[int, np.ndarray],
    chosen: Mapping[int, np.ndarray],
    before: Mapping[int, np.ndarray],
) -> dict[int, np.ndarray]:
    """Add one step to the chosen neurons, by contrast with the chosen ones zeroed.

    If a target no longer fires on its own crops, its scores from ``before`` are used.
    """
    crops = {
        a: Contrast.of(concept.crops[::SUBSAMPLING], others[a][::SUBSAMPLING])
        for a, concept in choice.concepts.items()
        if len(chosen[a]) < choice.taus[a]
    }
    if not crops:
        return dict(chosen)
    extended = dict(chosen)
    for a, scores in choice.score(crops, _with_zeroed(chosen), POINTS).items():
        own, *other = scores.signed
        drive = own - sum(other) if own.any() else before[a]
        order = np.argsort(-drive, kind="stable")
        order = order[~np.isin(order, chosen[a])]
        count = min(_share(choice.taus[a]), choice.taus[a] - len(chosen[a]))
        extended[a] = np.concatenate([chosen[a], order[:count]])
    return extended


def contrast_crops(
    concepts: Mapping[int, Exemplars],
    phi: np.ndarray,
    *,
    minus: int | None = None,
    seed: int = 0,
) -> dict[int, np.ndarray]:
    """Return contrast crops of each target, half as many as ``V_a`` has.

    Args:
        concepts: target neuron → its crops.
        phi: ``[crop, neuron]`` φ of the targets' layer.
        minus: neuron whose activation is subtracted.
        seed: seed of the random crops.
    """
    neurons = list(concepts)
    k = max(len(concept.crops) for concept in concepts.values())
    ranked, _ = top_crops(blocks(phi, neurons, minus), min(NEAR * k, len(phi)))
    found = {}
    for a, ranks in zip(neurons, ranked, strict=True):
        own = concepts[a].crops
        count = max(1, len(own) // 4)
        near = ranks[~np.isin(ranks, own)]
        near = near[:: max(1, len(near) // count)][:count]
        rest = np.setdiff1d(np.arange(len(phi)), np.concatenate([own, near]))
        drawn = np.random.default_rng([seed, a]).permutation(rest)[:count]
        found[a] = np.concatenate([near, drawn])
    return found


def _with_zeroed(chosen: Mapping[int, np.ndarray]) -> Measure:
    """Return a measure of integrated gradients with the chosen neurons of each target zeroed."""

    def measure(
        segment: Segment, neurons: Tensor, observed: Observed, steps: int
    ) -> tuple[Tensor, Tensor]:
        x = observed.x
        keep = torch.ones(len(x), segment.lower.neurons, dtype=x.dtype, device=x.device)
        for row, a in enumerate(neurons.tolist()):
            keep[row, torch.from_numpy(chosen[a])] = 0
        shape = [1] * x.ndim
        shape[0], shape[segment.lower.axis] = keep.shape
        found = integrated_gradients(
            segment,
            neurons,
            x * keep.view(shape),
            observed.bypass,
            steps=steps,
            rule=graded_midpoints,
        )
        return found.scores, found.change

    return measure
