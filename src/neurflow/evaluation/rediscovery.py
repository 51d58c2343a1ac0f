"""Finds the circuit again on other crops of its concept set, without another pass over the crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurflow.circuit import Circuit
from neurflow.config import Config
from neurflow.evaluation.laboratory import Bench
from neurflow.method.find import find
from neurflow.pictures.crops import CropSet
from neurflow.refs import GroupId, Member

Edge = tuple[GroupId, GroupId]
"""ids of the upper and the lower group"""


@dataclass(frozen=True)
class Found:
    """The parts of a circuit that are compared.

    Attributes:
        cores: layer → neuron → S_a.
        groups: layer → id → members of each group.
        meanings: layer → neuron → crop → semantic group.
        edges: (G, H) → W(G, H).
    """

    cores: Mapping[str, Mapping[int, Sequence[int]]]
    groups: Mapping[str, Mapping[GroupId, Sequence[Member]]]
    meanings: Mapping[str, Mapping[int, Mapping[int, int]]]
    edges: Mapping[Edge, float]

    def group_of(self, layer: str) -> dict[Member, str]:
        """Return (neuron, semantic group) → id of its group."""
        return {member: id for id, group in self.groups[layer].items() for member in group}


def as_found(circuit: Circuit, crops: CropSet) -> Found:
    """Return the parts of a circuit that are compared."""
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
    """Find the circuit of the same target on some crops.

    Args:
        bench: the concept set.
        numbers: ``[crop]`` numbers of the crops; a number may occur several times.
        config: configuration of the circuit.

    Raises:
        RequestError: there are fewer crops than k.
    """
    found = find(bench, config, numbers)
    return Found(
        cores={
            name: {a: tuple(core.importance) for a, core in found.cores.get(name, {}).items()}
            for name in bench.layers
        },
        groups={
            name: {GroupId(name, number): group for number, group in enumerate(grouping.groups)}
            for name, grouping in found.groupings.items()
        },
        meanings={
            name: {
                a: dict(zip(each.crops.tolist(), each.meaning.tolist(), strict=True))
                for a, each in concepts.items()
            }
            for name, concepts in found.concepts.items()
        },
        edges={ends: flow.weight for ends, flow in found.edges.items()},
    )
