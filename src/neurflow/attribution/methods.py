"""Every way to score the lower neurons of a target, by one call.

``score_neurons(method, task)`` gives the same ``Scores`` that discovery selects from, whatever the
method, so that methods can be held against each other by what they select:

* by pair: ``integrated_gradients`` (the paper's), and those of ``backpropagated``;
* by statistics: those of ``by_statistics``;
* ``neuron_mct``: integrated gradients of the *explained output*, not of the target neuron, with
  respect to the lower layer, over the output's own top-k crops. Every target of a layer is given the
  same neurons (Khakzar et al. 2021, in the form that the paper compares with).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from neurflow.attribution.backpropagated import BACKPROPAGATED, ablation, measure_of
from neurflow.attribution.by_statistics import Knockoffs, random_scores, weight_norms
from neurflow.attribution.integrated_gradients import (
    gauss_legendre,
    graded_midpoints,
    integrated_gradients,
)
from neurflow.attribution.streaming import Exemplars, Measure, Scores, attribute
from neurflow.config import Config
from neurflow.errors import RequestError, near
from neurflow.model import Model, Segment
from neurflow.refs import Target
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Progress
from neurflow.study.activations import Activations, blocks, top_crops
from neurflow.study.features import FeatureMaps

SAMPLES = 25
"""draws of SmoothGrad and GradientSHAP, where N is not given"""
MCT_STEPS = 16
"""points of NeuronMCT's integration, where N is not given"""


@dataclass(frozen=True)
class AttributionTask:
    """What a method is asked: which lower neurons matter to these targets?

    Attributes:
        model: the network.
        activations: φ of the studied layers on all crops.
        target: the output that is explained.
        segment: from the lower layer to the targets' layer.
        place: of the segment among those of ``features``.
        concepts: target neuron → its crops by meaning.
        features: gives the values that the segment needs.
        config: N, tolerance, k and seed.
        batch: pairs worked on at once.
        progress: told of every pair.
    """

    model: Model
    activations: Activations
    target: Target
    segment: Segment
    place: int
    concepts: Mapping[int, Exemplars]
    features: FeatureMaps
    config: Config
    batch: Batch
    progress: Progress

    @property
    def minus(self) -> int | None:
        """Upper neuron that is subtracted: for a difference, at the explained layer only."""
        return self.target.minus if self.segment.upper.name == self.target.layer else None


Method = Callable[[AttributionTask], dict[int, Scores]]
"""target neuron → scores of all lower neurons"""


def score_neurons(method: str, task: AttributionTask) -> dict[int, Scores]:
    """Scores of all lower neurons for each target of a question.

    Args:
        method: a name of :data:`METHODS`.
        task: what is asked.

    Returns:
        target neuron → ``importance`` ``[lower neuron]``, by which core neurons are chosen, and
        ``signed`` ``[semantic group, lower neuron]``, from which weights are made; the same for
        methods in :data:`UNSIGNED`. ``completeness_error`` is None where a method has none.

    Raises:
        RequestError: there is no such method, a package it needs is missing, or it cannot be used on
            the segment.
    """
    if method not in METHODS:
        raise RequestError(
            f"There is no method {method!r}.{near(method, METHODS)} Known: {', '.join(METHODS)}."
        )
    return METHODS[method](task)


def _by_pair(task: AttributionTask, measure: Measure | None) -> dict[int, Scores]:
    config = task.config
    samples = SAMPLES if config.steps == "auto" else config.steps
    return attribute(
        task.segment,
        task.place,
        task.concepts,
        task.features,
        steps=config.steps if measure is None else samples,
        tolerance=config.tolerance,
        minus=task.minus,
        batch=task.batch,
        progress=task.progress,
        method=measure,
    )


def _backpropagated(name: str, task: AttributionTask) -> dict[int, Scores]:
    return _by_pair(task, measure_of(name, task.config.seed))


def _activation(task: AttributionTask) -> dict[int, Scores]:
    phi = task.activations[task.segment.lower.name]
    found = {}
    for a, concept in task.concepts.items():
        own = np.asarray(phi[concept.crops], dtype=np.float64)
        meanings = range(int(concept.meaning.max()) + 1)
        signed = np.array([own[concept.meaning == i].mean(0) for i in meanings])
        found[a] = Scores(np.abs(own).mean(0), signed, None, 0)
    return found


def _weight_norm(task: AttributionTask) -> dict[int, Scores]:
    norms = weight_norms(task.segment)
    return _same(task, lambda _: norms)


def _random(task: AttributionTask) -> dict[int, Scores]:
    neurons, seed = task.segment.lower.neurons, task.config.seed
    return _same(task, lambda a: random_scores(neurons, seed, a))


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
    return _same(task, found.__getitem__)


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
        scores = [
            integrated_gradients(goal, neuron, x, bypass, steps=steps, rule=rule).scores
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
    return _same(task, lambda _: np.abs(scores).mean(0), lambda _: scores.mean(0))


def _same(
    task: AttributionTask,
    importance: Callable[[int], np.ndarray],
    signed: Callable[[int], np.ndarray] | None = None,
) -> dict[int, Scores]:
    """Scores that are the same for all meanings of a target."""
    return {
        a: Scores(
            importance(a),
            np.tile((signed or importance)(a), (int(concept.meaning.max()) + 1, 1)),
            None,
            0,
        )
        for a, concept in task.concepts.items()
    }


METHODS: dict[str, Method] = {
    "integrated_gradients": partial(_by_pair, measure=None),
    **{name: partial(_backpropagated, name) for name in BACKPROPAGATED},
    "ablation": partial(_by_pair, measure=ablation),
    "activation": _activation,
    "weight_norm": _weight_norm,
    "neuron_mct": _neuron_mct,
    "knockoff": _knockoff,
    "random": _random,
}
"""by name"""
UNSIGNED = frozenset(["activation", "weight_norm", "knockoff", "random"])
"""methods whose scores do not say which way a neuron acts"""
