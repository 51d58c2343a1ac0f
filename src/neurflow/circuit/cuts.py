"""Other cuts of the layers' trees: more or fewer groups, without a new run.

1. The tree of a layer is cut into the requested number of groups. Each group is a branch of the tree,
   and a branch has the same id in every cut.
2. Groups that are in the old and in the new cut stay the same, with all their measurements. The
   members and crops of the others follow from the neurons, and the weights between groups from the
   inputs of each pair (``interactions``).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurflow.circuit.interactions import exemplars, regrouped
from neurflow.circuit.trees import branches, cut
from neurflow.circuit.types import C, CircuitLayer, NeuronGroup
from neurflow.errors import RequestError, ResultError
from neurflow.refs import GroupId


def recut(circuit: C, groups: Mapping[str, int]) -> C:
    """Return the circuit with some layers cut into other numbers of groups.

    Args:
        circuit: any circuit. Groups of these layers that were edited by hand are replaced.
        groups: layer → number of groups.

    Raises:
        LayerError: the circuit has no such layer.
        RequestError: a layer cannot be cut into this number of groups.
        ResultError: an earlier version made the circuit, without trees.
    """
    found = {name: _recut(circuit.layer(name), count) for name, count in groups.items()}
    return regrouped(circuit, [found.get(layer.name, layer) for layer in circuit.layers])


def _recut(layer: CircuitLayer, count: int) -> CircuitLayer:
    tree = layer.tree
    if tree is None:
        raise ResultError(
            f"This result has no tree of the groups of {layer.name}, because an earlier version made "
            "it. Create it again with neurflow discover."
        )
    if not 1 <= count <= len(tree.members):
        raise RequestError(
            f"Layer {layer.name} can be cut into 1 to {len(tree.members)} groups, not into {count}."
        )
    owns = branches(tree.merges)
    known = {group.id: group for group in layer.groups}
    made = []
    for branch in sorted(cut(tree.merges, count), key=tree.numbers.__getitem__):
        id = GroupId(layer.name, tree.numbers[branch])
        members = tuple(tree.members[pair] for pair in np.flatnonzero(owns[branch]))
        fresh = NeuronGroup(id=id, members=members, crops=exemplars(members, layer.neurons))
        made.append(known.get(id, fresh))
    made.sort(key=lambda group: -len(group.members))
    return layer.model_copy(update={"groups": tuple(made), "note": None})
