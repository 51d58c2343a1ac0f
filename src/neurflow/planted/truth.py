"""Planted networks with their true circuit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from neurflow.model import Model
from neurflow.model.preprocessing import Preprocessing
from neurflow.planted.network import GRID, TILE, build_network
from neurflow.planted.pictures import Scene, draw_scenes, render
from neurflow.planted.plan import Plan, Unit, draw_plan


@dataclass(frozen=True)
class TrueNeuron:
    """A channel of the circuit.

    Attributes:
        concepts: the concepts that it represents; several if it is polysemantic.
        weights: for each concept, neuron of the layer below → its signed contribution where the
            concept is present: its weight times its full activation. Empty for detectors.
    """

    concepts: tuple[str, ...]
    weights: tuple[Mapping[int, float], ...]

    @property
    def core(self) -> frozenset[int]:
        """The neurons of the layer below that contribute to it."""
        return frozenset(s for part in self.weights for s in part)


@dataclass(frozen=True)
class Planted:
    """A network whose circuit is known by construction, with pictures.

    Attributes:
        plan: plan of the circuit.
        model: the network.
        images: ``[image, rgb, row, column]`` in [0, 1].
        scenes: contents of each image.
        target: name of the class under study.
    """

    plan: Plan
    model: Model
    images: Tensor
    scenes: Sequence[Scene]
    target: str

    @property
    def layers(self) -> tuple[str, ...]:
        """Studied layers, input side first."""
        return self.plan.layers

    @cached_property
    def circuit(self) -> dict[str, dict[int, TrueNeuron]]:
        """Layer → neuron → its true weights, for all neurons that the target's logit depends on."""
        plan, number = self.plan, self.model.target(self.target).neuron
        found: dict[str, dict[int, TrueNeuron]] = {}
        wanted = {number}
        for level in range(plan.depth - 1, -1, -1):
            units = plan.head if level == plan.depth - 1 else plan.levels[level]
            below = plan.levels[level - 1] if level else []
            layer = {n: true_neuron(units[n], below) for n in sorted(wanted)}
            found[plan.layers[level]] = layer
            wanted = {s for neuron in layer.values() for s in neuron.core}
        return dict(reversed(found.items()))

    def meanings(self, layer: str, neuron: int, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return ``[image]``: index of the concept of which the image shows most copies."""
        concepts = self.circuit[layer][neuron].concepts
        shown = [[self.scenes[int(i)].shows[concept] for concept in concepts] for i in images]
        return np.argmax(shown, axis=1)


def true_neuron(unit: Unit, below: Sequence[Unit]) -> TrueNeuron:
    """Return the true weights of a unit of the plan."""
    weights = []
    for part in unit.wires:
        drive: dict[int, float] = defaultdict(float)
        for wire in (*part, *unit.always):
            drive[wire.source] += wire.weight * below[wire.source].level
        weights.append(dict(drive))
    return TrueNeuron(unit.concepts, tuple(weights))


def build(
    depth: int = 4,
    seed: int = 0,
    *,
    traits: Iterable[str] = ("inhibitory", "polysemantic"),
    each: int = 16,
    clutter: int = 0,
) -> Planted:
    """Build a network whose true circuit is known by construction, with pictures.

    Args:
        depth: number of layers, 3 to 6: detectors, one to four levels of conjunctions, and the head.
        seed: seed of the circuit, its weights and the pictures.
        traits: properties that make the circuit harder to find; see ``neurflow.planted.TRAITS``.
        each: number of pictures of each concept and class.
        clutter: largest number of additional tiles with random parts in a picture.

    Raises:
        RequestError: there is no such depth or trait.
    """
    plan = draw_plan(depth, seed, traits)
    side = GRID * TILE
    model = Model(
        build_network(plan),
        transform=Preprocessing(None, (side, side), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        class_names=[unit.concepts[0] for unit in plan.head],
        layers=plan.layers,
        reference=f"planted-{depth}-{seed}",
    )
    scenes = draw_scenes(plan, each, clutter, seed)
    rng = np.random.default_rng([seed, depth, 2])
    images = torch.from_numpy(np.stack([render(scene, rng) for scene in scenes]))
    return Planted(plan, model, images, scenes, target="class-0")
