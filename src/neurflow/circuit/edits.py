"""Edits by hand: a person merges groups with one meaning, and splits a group with two meanings.

1. An edit names the groups that it replaces and the new groups. The number of a group is never used
   again, so a label always stays with its own group.
2. Applying edits to a circuit is a pure function. The weights between groups are recomputed by their
   definition (``interactions``) from the weights of each (neuron, semantic group) pair. A merged group
   therefore has the same weights as if the clustering had formed it.
3. New groups do not inherit measurements of the old ones (evidence of the label, stability,
   calibration, heat maps). Groups that an edit does not touch keep theirs.
4. The edits are stored in a file beside the circuit, together with those that were undone, so undoing
   loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from neurflow.circuit.beside import FileBeside
from neurflow.circuit.interactions import exemplars, regrouped
from neurflow.circuit.types import C, CircuitData, CircuitLayer, NeuronGroup
from neurflow.errors import RequestError
from neurflow.refs import Frozen, GroupId, Member

SCHEMA_VERSION = 1
MAX_EDITS = 1000
"""largest number of edits in a file, and of undone edits"""


class Merge(Frozen):
    """Several groups of one layer become one."""

    kind: Literal["merge"] = "merge"
    groups: Annotated[tuple[GroupId, ...], Field(min_length=2, max_length=1000)]
    into: GroupId


class Split(Frozen):
    """A group becomes two: the named members, and the others."""

    kind: Literal["split"] = "split"
    group: GroupId
    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=100_000)]
    into: tuple[GroupId, GroupId]


Edit = Annotated[Merge | Split, Field(discriminator="kind")]


class Edits(FileBeside):
    """The contents of ``edits-DIGEST.json``: the edits in force, and those that were undone."""

    stem: ClassVar[str] = "edits"

    format: Literal["neurflow edits"] = "neurflow edits"
    schema_version: Literal[1] = 1
    done: Annotated[tuple[Edit, ...], Field(max_length=MAX_EDITS)] = ()
    undone: Annotated[tuple[Edit, ...], Field(max_length=MAX_EDITS)] = ()
    """in the order of undoing; ``redo`` takes the last one"""


def merge(circuit: CircuitData, edits: Edits, groups: Sequence[str]) -> Edits:
    """Merge groups of the circuit that results from ``edits``.

    Raises:
        RequestError: fewer than two groups, a missing group, or groups of two layers.
    """
    now = apply(circuit, edits)
    chosen = tuple(dict.fromkeys(now.group(id).id for id in groups))
    layers = {id.layer for id in chosen}
    if len(chosen) < 2:
        raise RequestError("A merge needs two groups or more. Give another group.")
    if len(layers) > 1:
        raise RequestError(
            f"Only groups of one layer can be merged; these are in {', '.join(sorted(layers))}."
        )
    (into,) = _numbers(circuit, edits, layers.pop(), 1)
    return _with(circuit, edits, Merge(groups=chosen, into=into))


def split(circuit: CircuitData, edits: Edits, group: str, members: Sequence[Member]) -> Edits:
    """Split some members of a group from the others.

    Raises:
        RequestError: there is no such group, a member is not in it, or none or all of them are named.
    """
    found = apply(circuit, edits).group(group)
    named = tuple(dict.fromkeys(Member(*member) for member in members))
    strange = [member for member in named if member not in found.members]
    if strange:
        raise RequestError(
            f"Group {found.id} has no member {strange[0].neuron}.{strange[0][1]}. "
            f"List its members: neurflow show RUN --group {found.id}"
        )
    if not 0 < len(named) < len(found.members):
        raise RequestError(
            f"A split must name some of the {len(found.members)} members of {group}, but not all."
        )
    first, second = _numbers(circuit, edits, found.id.layer, 2)
    return _with(circuit, edits, Split(group=found.id, members=named, into=(first, second)))


def undo(edits: Edits) -> Edits:
    """Undo the last edit; raise ``RequestError`` if there is none."""
    if not edits.done:
        raise RequestError("There is nothing to undo.")
    *rest, last = edits.done
    return edits.model_copy(
        update={"done": tuple(rest), "undone": (*edits.undone, last)[-MAX_EDITS:]}
    )


def redo(edits: Edits) -> Edits:
    """Redo the edit that was undone last; raise ``RequestError`` if there is none."""
    if not edits.undone:
        raise RequestError("There is nothing to redo.")
    *rest, last = edits.undone
    return edits.model_copy(update={"done": (*edits.done, last), "undone": tuple(rest)})


def replay(circuit: CircuitData, edits: Edits, wanted: Edits) -> Edits:
    """Apply the edits of another file to a circuit without edits.

    Raises:
        RequestError: the circuit has edits already, or one of ``wanted`` does not fit it.
    """
    if edits.done:
        raise RequestError(
            f"The circuit has {len(edits.done)} edits already, and the edits of a file apply only to a "
            "circuit without edits. Undo them first: neurflow edit RUN --undo"
        )
    apply(circuit, wanted)
    return wanted


def apply(circuit: C, edits: Edits) -> C:
    """Return the circuit with its edits applied.

    Raises:
        RequestError: an edit does not fit the circuit.
        ResultError: the circuit lacks the shares of its weights among meanings.
    """
    if not edits.done:
        return circuit
    layers = {layer.name: layer for layer in circuit.layers}
    for edit in edits.done:
        name = (edit.groups[0] if isinstance(edit, Merge) else edit.group).layer
        if name not in layers:
            raise _misfit(f"names layer {name!r}, which the circuit does not have")
        layers[name] = _edited(layers[name], edit)
    return regrouped(circuit, [layers[layer.name] for layer in circuit.layers])


def _with(circuit: CircuitData, edits: Edits, edit: Merge | Split) -> Edits:
    if len(edits.done) == MAX_EDITS:
        raise RequestError(
            f"A circuit holds at most {MAX_EDITS} edits. Undo some first: neurflow edit RUN --undo"
        )
    changed = edits.model_copy(update={"done": (*edits.done, edit), "undone": ()})
    apply(circuit, changed)
    return changed


def _misfit(problem: str) -> RequestError:
    return RequestError(
        f"An edit {problem}. Edits apply only to the circuit that they were made for."
    )


def _numbers(circuit: CircuitData, edits: Edits, layer: str, count: int) -> list[GroupId]:
    """Return ids that no group of the layer has or had."""
    found = circuit.layer(layer)
    used = [group.id for group in found.groups]
    for edit in (*edits.done, *edits.undone):
        used += [edit.into] if isinstance(edit, Merge) else edit.into
    numbers = [id.number for id in used if id.layer == layer]
    numbers += found.tree.numbers if found.tree else ()
    return [GroupId(layer, max(numbers) + 1 + i) for i in range(count)]


def _edited(layer: CircuitLayer, edit: Merge | Split) -> CircuitLayer:
    """Return the layer with one edit applied."""
    groups = {group.id: group for group in layer.groups}
    taken = edit.groups if isinstance(edit, Merge) else (edit.group,)
    made = (edit.into,) if isinstance(edit, Merge) else edit.into
    for id in taken:
        if id not in groups:
            raise _misfit(f"names group {id!r}, which does not exist")
    for id in made:
        if id in groups or id.layer != layer.name or made.count(id) > 1:
            raise _misfit(f"gives a group the id {id!r}, which is taken or of another layer")
    members = [member for id in dict.fromkeys(taken) for member in groups[id].members]
    parts = [members]
    if isinstance(edit, Split):
        named = set(edit.members)
        parts = [[m for m in members if m in named], [m for m in members if m not in named]]
        if not all(parts) or len(parts[0]) != len(named):
            raise _misfit(f"does not split the members of {edit.group!r} in two")
    new = [
        NeuronGroup(id=id, members=tuple(part), crops=exemplars(part, layer.neurons))
        for id, part in zip(made, parts, strict=True)
    ]
    rest = [group for group in layer.groups if group.id not in taken]
    ordered = sorted([*rest, *new], key=lambda group: -len(group.members))
    return layer.model_copy(update={"groups": tuple(ordered)})
