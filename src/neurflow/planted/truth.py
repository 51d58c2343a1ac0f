"""What is true of a planted network, by construction."""

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
        concepts: what it stands for; several if it is polysemantic.
        weights: for each of these, neuron of the layer below → drive it gives where the concept is
            there: its hand-set weight times the input's full activation, signed. Empty at the
            detectors.
    """

    concepts: tuple[str, ...]
    weights: tuple[Mapping[int, float], ...]

    @property
    def core(self) -> frozenset[int]:
        """The neurons of the layer below that act on it."""
        return frozenset(s for part in self.weights for s in part)


@dataclass(frozen=True)
class Planted:
    """A network whose circuit is known, and pictures to look for it on.

    Attributes:
        plan: how it was drawn up.
        model: the network, with its layers.
        images: ``[image, rgb, row, column]`` in [0, 1].
        scenes: what each shows.
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
        """Layer → neuron → what it does: everything that the target's logit depends on."""
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
        """``[image]`` which of a neuron's concepts each image shows most of."""
        concepts = self.circuit[layer][neuron].concepts
        shown = [[self.scenes[int(i)].shows[concept] for concept in concepts] for i in images]
        return np.argmax(shown, axis=1)


def true_neuron(unit: Unit, below: Sequence[Unit]) -> TrueNeuron:
    """A unit of the plan as part of the circuit."""
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
    """A network whose true circuit is known by construction, not trained, and pictures to go with it.

    Args:
        depth: layers, 3 to 6: detectors, up to four levels of conjunctions, the head.
        seed: of the circuit, its weights, and the pictures.
        traits: what makes the circuit hard to read; see ``neurflow.planted.TRAITS``.
        each: pictures for each concept and class.
        clutter: tiles of other parts strewn into a picture, at most.

    Raises:
        RequestError: a depth or a trait there is not.
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
