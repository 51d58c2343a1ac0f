"""Paths through the circuit.

1. *Path weight*: the sum over all paths from a group to the target of the product of the edge weights,
   computed from the target down. If the target has several groups, they share a weight of 1 in
   proportion to their numbers of members.
2. *Chain*: among the lower groups that also fire, take the one with the largest positive weight into
   the group. Repeat from that group until ``l_0``, or until no lower group fires.
"""

from __future__ import annotations

from collections.abc import Collection

from neurflow.circuit import Circuit
from neurflow.refs import GroupId


def path_weights(circuit: Circuit) -> dict[GroupId, float]:
    """Return the path weight of each group."""
    top = circuit.layers[-1].groups
    members = sum(len(group.members) for group in top)
    found = {group.id: len(group.members) / members for group in top}
    for layer in reversed(circuit.layers[:-1]):
        for group in layer.groups:
            edges = circuit.outputs(group.id)
            found[group.id] = sum(edge.weight * found[edge.upper] for edge in edges)
    return found


def chain(circuit: Circuit, id: str, firing: Collection[str]) -> tuple[GroupId, ...]:
    """Return the chain of firing groups below the group ``id``, from the top down."""
    found: list[GroupId] = []
    while True:
        below = [e for e in circuit.inputs(id) if e.weight > 0 and e.lower in firing]
        if not below:
            return tuple(found)
        id = below[0].lower
        found.append(id)
