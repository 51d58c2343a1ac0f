"""How much of a planted circuit a method finds.

1. Every neuron of the true circuit is asked for its lower neurons, so that one miss does not spoil
   what follows.
2. *Core neurons:* with τ the true number, the share of the true ones among the τ of largest
   importance. With fixed τ, precision and recall differ (:func:`precision_recall`).
3. *Weights:* share of true core neurons whose score has the true sign; Spearman's correlation of
   scores with the true weights over them. For each meaning by itself; a found semantic group stands
   for the concept that most of its crops show.
4. *Semantic groups:* adjusted Rand index of the division of ``V_a`` against what its pictures show.
5. *Neuron groups:* adjusted Rand index over the (neuron, semantic group) pairs of a layer against the
   concepts they stand for.
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
from neurflow.method.grouping.features import Seen
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
"""crops of a concept, fewer than a planted concept has pictures"""
MEMORY = "512MB"
"""planted networks are small"""


@dataclass(frozen=True)
class NeuronScore:
    """How well a method did on one neuron of the circuit.

    Attributes:
        layer, neuron: which.
        true: size of its true core.
        recall: share of the true core among as many neurons of largest importance.
        sign: share of true core neurons with the right sign; NaN where a method has no signs.
        rank: Spearman's correlation with the true weights; NaN where these are all equal.
    """

    layer: str
    neuron: int
    true: int
    recall: float
    sign: float
    rank: float


@dataclass(frozen=True)
class GroupScore:
    """How well the divisions of a layer agree with its concepts.

    Attributes:
        layer: name.
        semantic: mean adjusted Rand index of its neurons' semantic groups.
        polysemantic: the same over its polysemantic neurons; NaN without any.
        neurons: adjusted Rand index of its neuron groups.
    """

    layer: str
    semantic: float
    polysemantic: float
    neurons: float


@dataclass(frozen=True)
class PlantedStudy:
    """A planted network with everything that scoring needs.

    Attributes:
        planted: the network and its truth.
        config: k, N, seed.
        study: the network on its pictures.
        concepts: layer → neuron of the circuit → its concept.
        tasks: one for each layer that has one below it, from the top down.
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
            for score in self.judge(
                task, score_neurons(method, task), signed=METHODS[method].signed
            )
        ]

    def judge(
        self, task: AttributionTask, found: Mapping[int, Scores], *, signed: bool = True
    ) -> Iterator[NeuronScore]:
        """Scores of the targets of a task, compared with the truth."""
        layer = task.pair.upper
        for a, scores in found.items():
            truth = self.planted.circuit[layer][a]
            chosen = core_neurons(scores.importance, len(truth.core))
            recall = len(truth.core.intersection(chosen.tolist())) / len(truth.core)
            stands_for = self._stands_for(layer, a)
            sign, rank = weight_scores(truth, scores.signed, stands_for)
            yield NeuronScore(layer, a, len(truth.core), recall, sign if signed else np.nan, rank)

    def _stands_for(self, layer: str, a: int) -> list[int]:
        """For each found semantic group, the true meaning that most of its crops show."""
        concept = self.concepts[layer][a]
        shown = self.planted.meanings(layer, a, self._images(concept))
        return [int(np.bincount(shown[part]).argmax()) for part in concept.parts]

    def _images(self, concept: Concept) -> np.ndarray:
        return self.activations.crops.image_of(concept.crops)

    def groups(self) -> list[GroupScore]:
        """The divisions of every layer below the head.

        Channels that fire wherever anything is drawn are left out: no one concept is theirs.
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
        seen = Seen(self.activations[layer], self.study.image_of)
        groups = neuron_groups(concepts, seen, self.config).groups
        found = {member: number for number, group in enumerate(groups) for member in group}
        true = {
            Member(a, i): circuit[a].concepts[meaning]
            for a in concepts
            for i, meaning in enumerate(self._stands_for(layer, a))
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
        config: default is ``Config(k=12, granularities=(1,))``: a concept is known by picture.
        progress: receives the progress.
    """
    config = config or Config(k=K, granularities=(1.0,))
    progress = progress or Silent()
    model = planted.model
    images = load_images(planted.images, model)
    size = model.input_size[1:]
    crops = CropSet(images, tuple(range(len(images))), size, config.granularities)
    with open_workspace(None, {}) as work:
        looked = Study(
            model,
            model.target(planted.target),
            segments_of(model, planted.layers),
            crops,
            work,
            Budget(MEMORY, progress),
            progress,
        )
        concepts = {
            layer: find_concepts(looked, layer, neurons, config)
            for layer, neurons in planted.circuit.items()
        }
        tasks = [
            AttributionTask(looked, pair, concepts[pair.upper], config) for pair in looked.pairs()
        ]
        yield PlantedStudy(planted, config, looked, concepts, tasks)


def weight_scores(
    truth: TrueNeuron, signed: np.ndarray, stands_for: Sequence[int]
) -> tuple[float, float]:
    """(share of right signs, rank correlation) over the true core neurons, mean over meanings.

    Args:
        truth: of the neuron.
        signed: ``[found semantic group, lower neuron]``.
        stands_for: for each found semantic group, the meaning it stands for.
    """
    signs, ranks = [], []
    for row, meaning in zip(signed, stands_for, strict=True):
        weights = truth.weights[meaning]
        true, found = np.array(list(weights.values())), row[list(weights)]
        signs.append(np.mean(np.sign(found) == np.sign(true)))
        if np.ptp(true) > 1e-9:
            ranks.append(spearmanr(true, found).statistic if np.ptp(found) > 0 else 0.0)
    return float(np.mean(signs)), float(np.mean(ranks)) if ranks else np.nan


def precision_recall(true: set[int], found: set[int]) -> tuple[float, float]:
    """(share of the found that are true, share of the true found); 1 for none of none."""
    right = len(true & found)
    return right / len(found) if found else 1.0, right / len(true) if true else 1.0
