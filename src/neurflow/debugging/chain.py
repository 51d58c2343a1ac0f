"""Ways through the circuit: how much a group carries to the target, and what it is reached by.

1. *Reach*: from the target down, a group passes on what its outputs do, times their weights; the
   target's own groups share 1 by their number of members.
2. *Chain*: of the lower groups that also fire, the one with the largest positive weight into the
   group; then that one's; down to ``l_0`` or to where nothing below fires.
"""

from __future__ import annotations

from collections.abc import Collection

from neurflow.circuit import Circuit
from neurflow.refs import GroupId


def path_weights(circuit: Circuit) -> dict[GroupId, float]:
    """Signed weight of each group along all paths to the target, summed over the paths."""
    top = circuit.layers[-1].groups
    members = sum(len(group.members) for group in top)
    found = {group.id: len(group.members) / members for group in top}
    for layer in reversed(circuit.layers[:-1]):
        for group in layer.groups:
            edges = circuit.outputs(group.id)
            found[group.id] = sum(edge.weight * found[edge.upper] for edge in edges)
    return found


def chain(circuit: Circuit, id: str, firing: Collection[str]) -> tuple[GroupId, ...]:
    """The groups below ``id`` that it is reached by, the nearest first."""
    found: list[GroupId] = []
    while True:
        below = [e for e in circuit.inputs(id) if e.weight > 0 and e.lower in firing]
        if not below:
            return tuple(found)
        id = below[0].lower
        found.append(id)
