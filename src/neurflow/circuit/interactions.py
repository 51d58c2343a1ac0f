"""Interactions between groups, and the crops of a group: the values that follow from a grouping.

``W(G, H)`` is the sum (or mean over the pairs) of ``w(a, s, V_a^i)`` over the pairs ``(a, i)`` of
``G`` and the neurons ``s`` of ``H`` in the layer below. Weights of opposite signs cancel in it, so
the sums of the positive and of the negative weights are stored as well. ``routes`` defines how the
weight of a lower neuron is divided among the groups of its meanings, and ``uncertainty`` computes the
intervals of ``W(G, H)``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from neurflow.circuit.routes import routes
from neurflow.circuit.types import C, CircuitData, CircuitLayer, GroupEdge, Neuron
from neurflow.circuit.uncertainty import intervals
from neurflow.config import Config
from neurflow.errors import ResultError
from neurflow.refs import Crop, GroupId, Member

Groups = Sequence[Sequence[Member]]
"""members of each group of a layer, the largest group first"""
GROUP_CROPS = 64
"""number of crops listed for a group"""


class Driven(Protocol):
    """The inputs of a (neuron, semantic group) pair."""

    @property
    def weights(self) -> Mapping[int, float]:
        """Core neuron s of the layer below → signed weight."""

    @property
    def shares(self) -> Mapping[int, tuple[float, ...]]:
        """Core neuron s with several meanings → share of the pair's crops nearest to each."""


class Drive(NamedTuple):
    """A plain ``Driven``."""

    weights: Mapping[int, float]
    shares: Mapping[int, tuple[float, ...]]


class Flow(NamedTuple):
    """An interaction, by the sign of the weights that it sums."""

    positive: float
    negative: float

    @property
    def weight(self) -> float:
        """``W(G, H)``."""
        return self.positive + self.negative


def weights_are_shares(config: Config) -> bool:
    """Return whether ``W(G, H)`` can be read as the share of G's activation that H accounts for."""
    return (config.aggregation, config.sharing) == ("mean", "conserving")


def flows(
    upper: Groups, lower: Groups, pairs: Mapping[Member, Driven], config: Config
) -> dict[tuple[int, int], Flow]:
    """Return the positive and negative part of ``W(G, H)`` for all groups with any weight between them.

    Args:
        upper: groups of the upper layer.
        lower: all groups of the layer below.
        pairs: inputs of each member of the upper groups.
        config: sharing and aggregation.

    Returns:
        (number of G, number of H) → flow.
    """
    group_of = {member: number for number, group in enumerate(lower) for member in group}
    total: dict[tuple[int, int], Flow] = defaultdict(lambda: Flow(0.0, 0.0))
    for number, group in enumerate(upper):
        scale = 1 / len(group) if config.aggregation == "mean" else 1.0
        for member in group:
            pair = pairs[member]
            for s, weight in pair.weights.items():
                for below, share in routes(s, pair.shares, group_of, config).items():
                    if share:
                        plus, minus = total[number, below]
                        part = scale * weight * share
                        total[number, below] = Flow(plus + max(part, 0.0), minus + min(part, 0.0))
    return dict(total)


def group_interactions(
    upper: Groups, lower: Groups, pairs: Mapping[Member, Driven], config: Config
) -> dict[tuple[int, int], float]:
    """Return ``W(G, H)`` by (number of G, number of H); the arguments are those of ``flows``."""
    return {ends: flow.weight for ends, flow in flows(upper, lower, pairs, config).items()}


def edge(
    upper: GroupId, lower: GroupId, flow: Flow, spread: tuple[float, float] | None = None
) -> GroupEdge:
    """Return the edge between two groups with these ids; ``spread`` has the ends of its interval."""
    low, high = spread or (None, None)
    return GroupEdge(
        upper=upper,
        lower=lower,
        weight=flow.weight,
        positive=flow.positive,
        negative=flow.negative,
        low=low,
        high=high,
    )


def exemplars(members: Sequence[Member], neurons: Mapping[int, Neuron]) -> tuple[Crop, ...]:
    """Return a group's crops: those that most members share first, then by relative activation."""
    shared: Counter[Crop] = Counter()
    strength: dict[Crop, float] = {}
    for a, i in members:
        neuron = neurons[a]
        peak = max(map(abs, neuron.activations)) or 1.0
        for position in neuron.semantic_groups[i].crops:
            crop = neuron.crops[position]
            shared[crop] += 1
            strength[crop] = max(strength.get(crop, 0.0), abs(neuron.activations[position]) / peak)
    order = sorted(shared, key=lambda crop: (-shared[crop], -strength[crop], crop))
    return tuple(order[:GROUP_CROPS])


def regrouped(circuit: C, layers: Sequence[CircuitLayer]) -> C:
    """Return the circuit with other groups in its layers, and the interactions that follow from them.

    Groups that do not change keep their measurements, and the edges between them.

    Args:
        circuit: the circuit before the change.
        layers: its layers with their new groups.

    Raises:
        ResultError: the circuit does not contain the shares of weights among meanings.
    """
    kept = {group.id: group.members for layer in layers for group in layer.groups}
    known = (group for layer in circuit.layers for group in layer.groups)
    unchanged = {group.id for group in known if kept.get(group.id) == group.members}
    return circuit.model_copy(
        update={
            "layers": tuple(layers),
            "edges": tuple(_edges(circuit, layers, unchanged)),
            "heat": {key: heat for key, heat in circuit.heat.items() if key[0] in unchanged},
        }
    )


def _edges(
    circuit: CircuitData, layers: Sequence[CircuitLayer], unchanged: set[GroupId]
) -> Sequence[GroupEdge]:
    """Keep edges between unchanged groups, and compute all others."""
    edges = [known for known in circuit.edges if {known.upper, known.lower} <= unchanged]
    for lower, upper in pairwise(layers):
        ids = [[group.id for group in layer.groups] for layer in (upper, lower)]
        if unchanged.issuperset(ids[0] + ids[1]):
            continue
        pairs = {
            Member(a, i): part
            for a, neuron in upper.neurons.items()
            for i, part in enumerate(neuron.semantic_groups)
        }
        refuse_without_shares(upper, lower.neurons)
        above, below = ([group.members for group in layer.groups] for layer in (upper, lower))
        found = flows(above, below, pairs, circuit.config)
        spreads = intervals(upper, lower, circuit.config)
        for (g, h), flow in sorted(found.items()):
            ends = ids[0][g], ids[1][h]
            if not unchanged.issuperset(ends):
                edges.append(edge(*ends, flow, spreads.get(ends)))
    return edges


def refuse_without_shares(upper: CircuitLayer, lower: Mapping[int, Neuron]) -> None:
    """Raise ``ResultError`` if the result lacks the shares of weights among meanings."""
    for neuron in upper.neurons.values():
        for part in neuron.semantic_groups:
            for s in part.weights:
                meanings = len(lower[s].semantic_groups)
                if meanings > 1 and len(part.shares.get(s, ())) != meanings:
                    raise ResultError(
                        "This result does not contain the shares of a neuron's meanings, because an "
                        "earlier version made it. Create it again with neurflow discover."
                    )
