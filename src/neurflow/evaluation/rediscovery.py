"""The circuit found again on other crops of the same concept set, without running the network again.

The steps of ``discovery``, on pooled activations and feature maps that a ``Bench`` has: concepts, core
neurons and weights from the target down; then groups and their interactions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from neurflow.circuit import Circuit
from neurflow.circuit.interactions import Groups, group_interactions
from neurflow.config import Config
from neurflow.errors import RequestError
from neurflow.evaluation.laboratory import Bench
from neurflow.method.concepts import Concept, company, concept, crops_limit
from neurflow.method.core_neurons import Core, next_targets
from neurflow.method.grouping.features import Seen
from neurflow.method.groups import drives, neuron_groups
from neurflow.pictures.crops import CropSet
from neurflow.refs import GroupId, Member
from neurflow.study.activations import blocks, top_crops

Edge = tuple[GroupId, GroupId]
"""ids of the upper and the lower group"""


@dataclass(frozen=True)
class Found:
    """What two circuits are compared by.

    Attributes:
        cores: layer → neuron → S_a.
        groups: layer → id → members of each group.
        meanings: layer → neuron → crop → semantic group.
        edges: W(G, H).
    """

    cores: Mapping[str, Mapping[int, Sequence[int]]]
    groups: Mapping[str, Mapping[GroupId, Sequence[Member]]]
    meanings: Mapping[str, Mapping[int, Mapping[int, int]]]
    edges: Mapping[Edge, float]

    def group_of(self, layer: str) -> dict[Member, str]:
        """Id of the group that each (neuron, semantic group) pair is in."""
        return {member: id for id, group in self.groups[layer].items() for member in group}


def as_found(circuit: Circuit, crops: CropSet) -> Found:
    """A circuit in the form that is compared."""
    return Found(
        cores={
            layer.name: {a: neuron.core_neurons for a, neuron in layer.neurons.items()}
            for layer in circuit.layers
        },
        groups={
            layer.name: {group.id: group.members for group in layer.groups}
            for layer in circuit.layers
        },
        meanings={
            layer.name: {
                a: {
                    crops.number(neuron.crops[position]): i
                    for i, part in enumerate(neuron.semantic_groups)
                    for position in part.crops
                }
                for a, neuron in layer.neurons.items()
            }
            for layer in circuit.layers
        },
        edges={(edge.upper, edge.lower): edge.weight for edge in circuit.edges},
    )


def rediscover(bench: Bench, numbers: np.ndarray, config: Config) -> Found:
    """The circuit of the same target on some crops.

    Args:
        bench: the concept set.
        numbers: ``[crop]`` of it, repeats allowed.
        config: of the circuit.

    Raises:
        RequestError: fewer crops than k.
    """
    if len(numbers) < config.k:
        raise RequestError(
            f"k={config.k} is more than the {len(numbers)} crops of a part of the images. "
            "Give more images, or a circuit of smaller k."
        )
    concepts: dict[str, dict[int, Concept]] = {}
    cores: dict[str, dict[int, Core]] = {}
    targets = {bench.target.neuron}
    for segment in bench.segments:
        lower, upper = segment.lower.name, segment.upper.name
        concepts[upper] = concepts_on(bench, numbers, upper, lower, targets, config)
        cores[upper] = bench.cores(upper, concepts[upper], config)
        targets = next_targets(cores[upper], upper, lower)
    first = bench.names[0]
    concepts[first] = concepts_on(bench, numbers, first, first, targets, config)
    images = bench.crops.image_of(np.arange(len(bench.crops)))
    groups = {
        name: neuron_groups(
            concepts[name], Seen(bench.activations[name], images, numbers), config
        ).groups
        for name in bench.names
    }
    return Found(
        cores={
            name: {a: tuple(core.importance) for a, core in cores.get(name, {}).items()}
            for name in bench.names
        },
        groups={
            name: {GroupId(name, number): group for number, group in enumerate(found)}
            for name, found in groups.items()
        },
        meanings={
            name: {
                a: dict(zip(found.crops.tolist(), found.meaning.tolist(), strict=True))
                for a, found in concepts[name].items()
            }
            for name in bench.names
        },
        edges=_edges(bench, groups, concepts, cores, config),
    )


def concepts_on(
    bench: Bench, numbers: np.ndarray, layer: str, previous: str, targets: set[int], config: Config
) -> dict[int, Concept]:
    """Concepts of some neurons of a layer on the crops ``numbers``."""
    neurons = sorted(targets)
    phi = np.asarray(bench.activations[layer])[numbers]
    images = bench.crops.image_of(numbers)
    chosen, values = top_crops(
        blocks(phi, neurons, bench.minus(layer)),
        config.k,
        images=images + (images.max() + 1) * _occurrence(numbers),  # each copy is an image
        per_image=crops_limit(config, round(len(numbers) * len(bench.crops.chosen) / len(bench))),
    )
    mean = phi.mean(axis=0, dtype=np.float64)
    return {
        a: concept(
            numbers[row],
            active,
            bench.activations[previous],
            config,
            images[row],
            company(phi[row], mean, config),
        )
        for a, row, active in zip(neurons, chosen, values, strict=True)
    }


def _occurrence(numbers: np.ndarray) -> np.ndarray:
    """How often each of ``numbers`` has been there before: 0, 0, 1 of 4, 7, 4."""
    order = np.argsort(numbers, kind="stable")
    found = np.empty(len(numbers), dtype=np.int64)
    found[order] = np.arange(len(numbers)) - np.searchsorted(numbers[order], numbers[order])
    return found


def _edges(
    bench: Bench,
    groups: Mapping[str, Groups],
    concepts: Mapping[str, Mapping[int, Concept]],
    cores: Mapping[str, Mapping[int, Core]],
    config: Config,
) -> dict[Edge, float]:
    found: dict[Edge, float] = {}
    for position, (lower, upper) in enumerate(pairwise(bench.names)):
        previous = bench.activations[bench.names[max(position - 1, 0)]]
        pairs = drives(concepts[upper], concepts[lower], cores[upper], previous)
        weights = group_interactions(groups[upper], groups[lower], pairs, config)
        found |= {
            (GroupId(upper, g), GroupId(lower, h)): weight for (g, h), weight in weights.items()
        }
    return found
