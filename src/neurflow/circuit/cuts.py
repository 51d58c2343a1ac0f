"""Other cuts of the layers' trees: more groups or fewer, without a new run.

1. A layer's tree is cut into as many groups as are asked for; each is a branch, and a branch has one id
   whatever the cut.
2. A group that stands before and after is the same one, with all that is known of it. The members and
   crops of the others follow from the neurons, the weights between groups from what drives each pair
   (``interactions``).
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
    """The circuit with some layers cut into other numbers of groups.

    Args:
        circuit: any circuit; groups that were edited by hand in these layers give way to the cut.
        groups: layer → number of groups.

    Raises:
        LayerError: the circuit has no such layer.
        RequestError: a layer cannot be cut into so many groups.
        ResultError: the circuit is of an earlier version, which kept no trees.
    """
    found = {name: _recut(circuit.layer(name), count) for name, count in groups.items()}
    return regrouped(circuit, [found.get(layer.name, layer) for layer in circuit.layers])


def _recut(layer: CircuitLayer, count: int) -> CircuitLayer:
    tree = layer.tree
    if tree is None:
        raise ResultError(
            f"This result does not keep how the groups of {layer.name} join: it was made by an earlier "
            "version. Make it again with neurflow discover."
        )
    if not 1 <= count <= len(tree.members):
        raise RequestError(
            f"Layer {layer.name} can be cut into 1 to {len(tree.members)} groups, and not into {count}."
        )
    owns = branches(tree.merges)
    stands = {group.id: group for group in layer.groups}
    made = []
    for branch in sorted(cut(tree.merges, count), key=tree.numbers.__getitem__):
        id = GroupId(layer.name, tree.numbers[branch])
        members = tuple(tree.members[pair] for pair in np.flatnonzero(owns[branch]))
        fresh = NeuronGroup(id=id, members=members, crops=exemplars(members, layer.neurons))
        made.append(stands.get(id, fresh))
    made.sort(key=lambda group: -len(group.members))
    return layer.model_copy(update={"groups": tuple(made), "note": None})
