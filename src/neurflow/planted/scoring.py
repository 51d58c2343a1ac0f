"""Scores how well a method finds a planted circuit.

1. The method scores the lower neurons for every neuron of the true circuit, so that an error in one
   layer does not affect the layers below it.
2. *Core neurons:* the share of true core neurons among the τ most important neurons, where τ is the
   number of true ones. For other τ, precision and recall differ (:func:`precision_recall`).
3. *Weights:* the share of true core neurons whose score has the right sign, and Spearman's correlation
   of the scores with the true weights. Both are computed for each meaning: a semantic group that was
   found is assigned the concept that most of its crops show.
4. *Semantic groups:* the adjusted Rand index of the division of V_a and the concepts in its pictures.
5. *Neuron groups:* the adjusted Rand index of the groups of a layer's (neuron, semantic group) pairs
   and their concepts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from neurflow.attribution import METHODS, AttributionTask, Scores, score_neurons
from neurflow.config import Config
from neurflow.method.concepts import Concept, find_concepts
from neurflow.method.core_neurons import core_neurons
from neurflow.method.grouping.features import LayerOnCrops
from neurflow.method.groups import neuron_groups
from neurflow.pictures.crops import CropSet
from neurflow.pictures.images import load_images
from neurflow.planted.plan import GENERIC
from neurflow.planted.truth import Planted, TrueNeuron
from neurflow.refs import Member
from neurflow.runtime.memory import Budget
from neurflow.runtime.progress import Progress, Silent
from neurflow.runtime.renaming import FormerName
from neurflow.runtime.workspace import open_workspace
from neurflow.stats import adjusted_rand
from neurflow.study.activations import Activations
from neurflow.study.study import Study, segments_of

K = 12
"""number of crops of a concept; each planted concept has more pictures"""
MEMORY = "512MB"
"""memory budget, which is enough for these small networks"""


@dataclass(frozen=True)
class NeuronScore:
    """The score of a method on one neuron of the circuit.

    Attributes:
        layer: layer of the neuron.
        neuron: index of the neuron.
        true: number of true core neurons.
        recall: share of true core neurons among as many most important neurons.
        sign: share of true core neurons with the right sign; NaN if the method has no signs.
        rank: Spearman's correlation with the true weights; NaN if these are all equal.
    """

    layer: str
    neuron: int
    true: int
    recall: float
    sign: float
    rank: float


@dataclass(frozen=True)
class GroupScore:
    """Agreement of a layer's semantic groups and neuron groups with the true concepts.

    Attributes:
        layer: name of the layer.
        semantic: adjusted Rand index of semantic groups, mean over the neurons.
        polysemantic: the same over polysemantic neurons; NaN if there are none.
        neurons: adjusted Rand index of the neuron groups.
    """

    layer: str
    semantic: float
    polysemantic: float
    neurons: float


@dataclass(frozen=True)
class PlantedStudy:
    """A planted network with the data that methods are scored on.

    Attributes:
        planted: the network and its true circuit.
        config: hyperparameters.
        study: the network on its pictures.
        concepts: layer → neuron of the true circuit → its concept.
        tasks: attribution task of each layer that has a layer below it, from the top down.
    """

    planted: Planted
    config: Config
    study: Study
    concepts: Mapping[str, Mapping[int, Concept]]
    tasks: Sequence[AttributionTask]

    questions = FormerName("tasks")

    @property
    def activations(self) -> Activations:
        """φ of all layers on all crops."""
        return self.study.activations

    def scores(self, method: str) -> list[NeuronScore]:
        """Score an attribution method on every neuron of the circuit."""
        return [
            score
            for task in self.tasks
            for score in self.compare_with_truth(
                task, score_neurons(method, task), signed=METHODS[method].signed
            )
        ]

    def compare_with_truth(
        self, task: AttributionTask, found: Mapping[int, Scores], *, signed: bool = True
    ) -> Iterator[NeuronScore]:
        """Yield the scores of a task's targets, compared with the truth."""
        layer = task.pair.upper
        for a, scores in found.items():
            truth = self.planted.circuit[layer][a]
            chosen = core_neurons(scores.importance, len(truth.core))
            recall = len(truth.core.intersection(chosen.tolist())) / len(truth.core)
            true_meanings = self._true_meanings(layer, a)
            sign, rank = weight_scores(truth, scores.signed, true_meanings)
            yield NeuronScore(layer, a, len(truth.core), recall, sign if signed else np.nan, rank)

    def _true_meanings(self, layer: str, a: int) -> list[int]:
        """Return the true meaning that most crops show, for each semantic group that was found."""
        concept = self.concepts[layer][a]
        shown = self.planted.meanings(layer, a, self._images(concept))
        return [int(np.bincount(shown[part]).argmax()) for part in concept.parts]

    def _images(self, concept: Concept) -> np.ndarray:
        return self.activations.crops.image_of(concept.crops)

    def groups(self) -> list[GroupScore]:
        """Score the semantic groups and neuron groups of every layer below the head.

        Inhibitory channels are left out, because they represent no single concept.
        """
        return [self._groups_of(layer) for layer in self.planted.layers[:-1]]

    def _groups_of(self, layer: str) -> GroupScore:
        circuit = self.planted.circuit[layer]
        specific = {a for a, neuron in circuit.items() if GENERIC not in neuron.concepts}
        concepts = {a: c for a, c in self.concepts[layer].items() if a in specific}
        semantic = {
            a: adjusted_rand(self.planted.meanings(layer, a, self._images(c)), c.meaning)
            for a, c in concepts.items()
        }
        poly = [semantic[a] for a in specific if len(circuit[a].concepts) > 1]
        seen = LayerOnCrops(self.activations[layer], self.study.image_of)
        groups = neuron_groups(concepts, seen, self.config).groups
        found = {member: number for number, group in enumerate(groups) for member in group}
        true = {
            Member(a, i): circuit[a].concepts[meaning]
            for a in concepts
            for i, meaning in enumerate(self._true_meanings(layer, a))
        }
        names = sorted(set(true.values()))
        return GroupScore(
            layer,
            float(np.mean(list(semantic.values()))),
            float(np.mean(poly)) if poly else np.nan,
            adjusted_rand([names.index(true[m]) for m in true], [found[m] for m in true]),
        )


@contextmanager
def study(
    planted: Planted, config: Config | None = None, progress: Progress | None = None
) -> Iterator[PlantedStudy]:
    """Run a planted network over its pictures and find the concepts of its circuit's neurons.

    Args:
        planted: the network.
        config: default is ``Config(k=12, granularities=(1,))``. Crops are whole pictures, because the
            truth is known only for these.
        progress: receives stages and steps.
    """
    config = config or Config(k=K, granularities=(1.0,))
    progress = progress or Silent()
    model = planted.model
    images = load_images(planted.images, model)
    size = model.input_size[1:]
    crops = CropSet(images, tuple(range(len(images))), size, config.granularities)
    with open_workspace(None, {}) as work:
        on_crops = Study(
            model,
            model.target(planted.target),
            segments_of(model, planted.layers),
            crops,
            work,
            Budget(MEMORY, progress),
            progress,
        )
        concepts = {
            layer: find_concepts(on_crops, layer, neurons, config)
            for layer, neurons in planted.circuit.items()
        }
        tasks = [
            AttributionTask(on_crops, pair, concepts[pair.upper], config)
            for pair in on_crops.pairs()
        ]
        yield PlantedStudy(planted, config, on_crops, concepts, tasks)


def weight_scores(
    truth: TrueNeuron, signed: np.ndarray, true_meanings: Sequence[int]
) -> tuple[float, float]:
    """Return (share of right signs, rank correlation) over true core neurons, averaged over meanings.

    Args:
        truth: true weights of the neuron.
        signed: ``[semantic group, lower neuron]`` scores.
        true_meanings: true meaning of each semantic group.
    """
    signs, ranks = [], []
    for row, meaning in zip(signed, true_meanings, strict=True):
        weights = truth.weights[meaning]
        true, found = np.array(list(weights.values())), row[list(weights)]
        signs.append(np.mean(np.sign(found) == np.sign(true)))
        if np.ptp(true) > 1e-9:
            ranks.append(spearmanr(true, found).statistic if np.ptp(found) > 0 else 0.0)
    return float(np.mean(signs)), float(np.mean(ranks)) if ranks else np.nan


def precision_recall(true: set[int], found: set[int]) -> tuple[float, float]:
    """Return (precision, recall) of a set of neurons; each is 1 if its denominator is 0."""
    right = len(true & found)
    return right / len(found) if found else 1.0, right / len(true) if true else 1.0
