"""The attribution methods of this package.

All methods return ``Scores``, from which core neurons can be selected. They can therefore be compared
by the neurons that they select:

* by pair: ``integrated_gradients`` (the paper's), those of ``gradient_based``, ``lrp``, and
  ``ablation``;
* by statistics: those of ``gradient_free``;
* ``neuron_mct``: integrated gradients of the *explained output* instead of the target neuron, with
  respect to the lower layer, over the output's own top-k crops. Every target of a layer gets the same
  neurons (Khakzar et al. 2021, in the form with which the paper compares).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from neurflow.attribution.gradient_based import GRADIENT_BASED, ablation, measure_of
from neurflow.attribution.gradient_free import Knockoffs, random_scores, weight_norms
from neurflow.attribution.integrated_gradients import (
    gauss_legendre,
    graded_midpoints,
    integrated_gradients,
)
from neurflow.attribution.registry import register
from neurflow.attribution.relevance import Relevance
from neurflow.attribution.streaming import Measure, attribute
from neurflow.attribution.task import AttributionTask, Scores
from neurflow.study.activations import blocks, top_crops

SAMPLES = 25
"""number of samples of SmoothGrad and GradientSHAP, if N is not given"""
MCT_STEPS = 16
"""number of points of NeuronMCT, if N is not given"""

register("integrated_gradients")(attribute)


def _by_pair(task: AttributionTask, measure: Measure) -> dict[int, Scores]:
    steps = task.config.steps
    return attribute(task, steps=SAMPLES if steps == "auto" else steps, measure=measure)


def _register_gradient_based(name: str) -> None:
    @register(name)
    def score(task: AttributionTask) -> dict[int, Scores]:
        return _by_pair(task, measure_of(name, task.config.seed))


for _name in GRADIENT_BASED:
    _register_gradient_based(_name)


@register("lrp")
def _lrp(task: AttributionTask) -> dict[int, Scores]:
    return _by_pair(task, Relevance())


@register("ablation")
def _ablation(task: AttributionTask) -> dict[int, Scores]:
    return _by_pair(task, ablation)


@register("activation", signed=False)
def _activation(task: AttributionTask) -> dict[int, Scores]:
    phi = task.activations[task.segment.lower.name]
    found = {}
    for a, concept in task.concepts.items():
        own = np.asarray(phi[concept.crops], dtype=np.float64)
        meanings = range(int(concept.meaning.max()) + 1)
        signed = np.array([own[concept.meaning == i].mean(0) for i in meanings])
        found[a] = Scores(np.abs(own).mean(0), signed)
    return found


@register("weight_norm", signed=False)
def _weight_norm(task: AttributionTask) -> dict[int, Scores]:
    norms = weight_norms(task.segment)
    return same_for_all_meanings(task, lambda _: norms)


@register("random", signed=False)
def _random(task: AttributionTask) -> dict[int, Scores]:
    neurons, seed = task.segment.lower.neurons, task.config.seed
    return same_for_all_meanings(task, lambda a: random_scores(neurons, seed, a))


@register("knockoff", signed=False)
def _knockoff(task: AttributionTask) -> dict[int, Scores]:
    activations, upper = task.activations, task.segment.upper.name
    lower = np.asarray(activations[task.segment.lower.name], dtype=np.float64)
    knockoffs = Knockoffs(lower, task.config.seed)
    found = {}
    task.progress.start(f"{upper}, knockoff filter", len(task.concepts))
    for a in task.concepts:
        phi = np.concatenate(list(blocks(activations[upper], [a], task.minus)))[:, 0]
        found[a] = knockoffs.importance(phi.astype(np.float64))
        task.progress.advance()
    return same_for_all_meanings(task, found.__getitem__)


@register("neuron_mct")
def _neuron_mct(task: AttributionTask) -> dict[int, Scores]:
    model, target, config = task.model, task.target, task.config
    lower = task.segment.lower
    goal = model.segment(lower.name, target.layer)
    observe = model.outputs([model.node(lower.name), *goal.bypass])
    output = blocks(task.activations[target.layer], [target.neuron], target.minus)
    crops = task.activations.crops
    (numbers,), _ = top_crops(output, config.k)
    rule = graded_midpoints if config.steps == "auto" else gauss_legendre
    steps = MCT_STEPS if config.steps == "auto" else config.steps

    def work(part: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            observed = observe(model.feed(crops.pixels(part)))
        x, *bypass = (value.clone() for value in observed)
        start = None if task.baseline is None else task.baseline.to(x)
        scores = [
            integrated_gradients(
                goal, neuron, x, bypass, steps=steps, rule=rule, baseline=start
            ).scores
            for neuron in (target.neuron, target.minus)
            if neuron is not None
        ]
        return (scores[0] - sum(scores[1:])).double().cpu().numpy()

    task.progress.start(f"{target.layer} → {lower.name}, NeuronMCT", len(numbers))
    parts = []
    for part, scores in task.batch.map(work, np.sort(numbers)):
        parts.append(scores)
        task.progress.advance(len(part))
    scores = np.concatenate(parts)
    return same_for_all_meanings(task, lambda _: np.abs(scores).mean(0), lambda _: scores.mean(0))


def same_for_all_meanings(
    task: AttributionTask,
    importance: Callable[[int], np.ndarray],
    signed: Callable[[int], np.ndarray] | None = None,
) -> dict[int, Scores]:
    """Make scores that are the same for all meanings of a target.

    Args:
        task: the targets.
        importance: target neuron → ``[lower neuron]``.
        signed: the same with signs; ``importance`` by default.
    """
    return {
        a: Scores(
            importance(a),
            np.tile((signed or importance)(a), (int(concept.meaning.max()) + 1, 1)),
        )
        for a, concept in task.concepts.items()
    }
