"""What follows from which pairs are grouped: how groups act on groups, and a group's crops.

``W(G, H)``: over the pairs ``(a, i)`` of ``G`` and the neurons ``s`` of ``H`` in the layer below, the
sum (or mean over the pairs) of ``w(a, s, V_a^i)``.

*conserving*: a lower neuron's weight is split among its meanings by how much each has to do with the
crops of ``V_a^i``, so that what flows into a pair adds up to 1 in absolute value;
*published*: every group that holds the neuron gets the whole weight, once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np

from neurflow.circuit.types import C, CircuitData, CircuitLayer, GroupEdge, Neuron
from neurflow.config import Config
from neurflow.errors import ResultError
from neurflow.refs import Crop, GroupId, Member

Groups = Sequence[Sequence[Member]]
"""members of each group of a layer, the largest group first"""
GROUP_CROPS = 64
"""crops listed for a group"""


class Driven(Protocol):
    """A (neuron, semantic group) pair, as far as it matters what drives it."""

    @property
    def weights(self) -> Mapping[int, float]:
        """Core neuron s of the layer below → signed weight."""

    @property
    def shares(self) -> Mapping[int, tuple[float, ...]]:
        """Core neuron s with several meanings → share of the pair's crops nearest to each."""


class Drive(NamedTuple):
    """What drives a pair, by itself."""

    weights: Mapping[int, float]
    shares: Mapping[int, tuple[float, ...]]


def group_interactions(
    upper: Groups, lower: Groups, pairs: Mapping[Member, Driven], config: Config
) -> dict[tuple[int, int], float]:
    """``W(G, H)`` for every pair of groups with any weight between them.

    Args:
        upper: groups of the upper layer.
        lower: groups of the layer below; all of them.
        pairs: what drives each member of the upper groups.
        config: sharing and aggregation.

    Returns:
        (number of G, number of H) → signed weight.
    """
    group_of = {member: number for number, group in enumerate(lower) for member in group}
    meanings = Counter(s for s, _ in group_of)
    total: dict[tuple[int, int], float] = defaultdict(float)
    for number, group in enumerate(upper):
        scale = 1 / len(group) if config.aggregation == "mean" else 1.0
        for member in group:
            pair = pairs[member]
            for s, weight in pair.weights.items():
                of_groups: dict[int, float] = defaultdict(float)
                for j, share in enumerate(pair.shares.get(s, (1.0,))):
                    of_groups[group_of[Member(s, j)]] += share
                if config.sharing == "published":
                    of_groups = {group_of[Member(s, j)]: 1.0 for j in range(meanings[s])}
                for below, share in of_groups.items():
                    if share:
                        total[number, below] += scale * weight * share
    return dict(total)


def exemplars(members: Sequence[Member], neurons: Mapping[int, Neuron]) -> tuple[Crop, ...]:
    """A group's crops: those most members share first, then the strongest for their neuron."""
    shared: Counter[Crop] = Counter()
    strength: dict[Crop, float] = {}
    for a, i in members:
        neuron = neurons[a]
        peak = abs(neuron.activations[0]) or 1.0
        for position in neuron.semantic_groups[i].crops:
            crop = neuron.crops[position]
            shared[crop] += 1
            strength[crop] = max(strength.get(crop, -np.inf), neuron.activations[position] / peak)
    order = sorted(shared, key=lambda crop: (-shared[crop], -strength[crop], crop))
    return tuple(order[:GROUP_CROPS])


def regrouped(circuit: C, layers: Sequence[CircuitLayer]) -> C:
    """The circuit with its layers grouped otherwise, and the weights between groups that follow.

    What is known of groups that stand as they were, edges between them included, stays.

    Args:
        circuit: as it was.
        layers: its layers, with other groups.

    Raises:
        ResultError: the circuit does not say how weights are shared among meanings.
    """
    kept = {group.id: group.members for layer in layers for group in layer.groups}
    known = (group for layer in circuit.layers for group in layer.groups)
    stands = {group.id for group in known if kept.get(group.id) == group.members}
    return circuit.model_copy(
        update={
            "layers": tuple(layers),
            "edges": tuple(_edges(circuit, layers, stands)),
            "heat": {key: heat for key, heat in circuit.heat.items() if key[0] in stands},
        }
    )


def _edges(
    circuit: CircuitData, layers: Sequence[CircuitLayer], stands: Collection[GroupId]
) -> Sequence[GroupEdge]:
    """Edges between groups that stand as they are, and anew those of the others."""
    edges = [edge for edge in circuit.edges if edge.upper in stands and edge.lower in stands]
    for lower, upper in pairwise(layers):
        ids = [[group.id for group in layer.groups] for layer in (upper, lower)]
        if all(id in stands for id in ids[0] + ids[1]):
            continue
        pairs = {
            Member(a, i): part
            for a, neuron in upper.neurons.items()
            for i, part in enumerate(neuron.semantic_groups)
        }
        refuse_without_shares(upper, lower.neurons)
        above, below = ([group.members for group in layer.groups] for layer in (upper, lower))
        found = group_interactions(above, below, pairs, circuit.config)
        for (g, h), weight in sorted(found.items()):
            ends = ids[0][g], ids[1][h]
            if not all(id in stands for id in ends):
                edges.append(GroupEdge(upper=ends[0], lower=ends[1], weight=weight))
    return edges


def refuse_without_shares(upper: CircuitLayer, lower: Mapping[int, Neuron]) -> None:
    """Raise ``ResultError`` if a result does not say how weights are shared among meanings."""
    for neuron in upper.neurons.values():
        for part in neuron.semantic_groups:
            for s in part.weights:
                meanings = len(lower[s].semantic_groups)
                if meanings > 1 and len(part.shares.get(s, ())) != meanings:
                    raise ResultError(
                        "This result does not say how weights are shared among a neuron's meanings: it "
                        "was made by an earlier version. Make it again with neurflow discover."
                    )
