"""Groups by hand: merged where two are one to a person, split where one is two.

1. An edit names the groups it takes and the groups it makes; a number that was used once is never
   used for another group, so that labels stay with what they were given to.
2. Applying edits to a circuit is a pure function. Weights between groups are those of the definition
   (``interactions``), computed anew from what drives each (neuron, semantic group) pair:
   a merged group has the weights that the clustering would have given it.
3. What was measured of a group (label's evidence, stability, what is usual, heat) does not pass on to
   groups made of it; what an edit does not touch stays as it is.
4. The edits lie in a file beside the circuit, with those taken back: undoing forgets nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from neurflow.circuit.interactions import exemplars, regrouped
from neurflow.circuit.types import C, CircuitData, CircuitLayer, NeuronGroup
from neurflow.errors import RequestError
from neurflow.refs import Frozen, GroupId, Member

SCHEMA_VERSION = 1
MOST = 1000
"""edits in a file, and those taken back"""


class Merge(Frozen):
    """Groups of one layer that become one."""

    kind: Literal["merge"] = "merge"
    groups: Annotated[tuple[GroupId, ...], Field(min_length=2, max_length=1000)]
    into: GroupId


class Split(Frozen):
    """A group that becomes two: the members named, and the others."""

    kind: Literal["split"] = "split"
    group: GroupId
    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=100_000)]
    into: tuple[GroupId, GroupId]


Edit = Annotated[Merge | Split, Field(discriminator="kind")]


class Edits(Frozen):
    """The contents of ``edits-DIGEST.json``: what was done, and what of it was taken back."""

    format: Literal["neurflow edits"] = "neurflow edits"
    schema_version: Literal[1] = 1
    done: Annotated[tuple[Edit, ...], Field(max_length=MOST)] = ()
    undone: Annotated[tuple[Edit, ...], Field(max_length=MOST)] = ()
    """the next to be done again is the last"""

    def encoded(self) -> bytes:
        """The file's bytes."""
        return self.model_dump_json().encode()


def file_name(index: bytes) -> str:
    """Name of the file for a circuit whose ``circuit.json`` has these bytes."""
    return f"edits-{hashlib.sha256(index).hexdigest()[:16]}.json"


def merge(circuit: CircuitData, edits: Edits, groups: Sequence[str]) -> Edits:
    """Merge groups of a circuit as it is after ``edits``.

    Raises:
        RequestError: fewer than two groups, one that is not there, or groups of two layers.
    """
    now = apply(circuit, edits)
    chosen = tuple(dict.fromkeys(now.group(id).id for id in groups))
    layers = {id.layer for id in chosen}
    if len(chosen) < 2:
        raise RequestError("It takes two groups to merge: give another one.")
    if len(layers) > 1:
        raise RequestError(
            f"Only groups of one layer can be merged, and these are of {', '.join(sorted(layers))}."
        )
    (into,) = _numbers(circuit, edits, layers.pop(), 1)
    return _with(circuit, edits, Merge(groups=chosen, into=into))


def split(circuit: CircuitData, edits: Edits, group: str, members: Sequence[Member]) -> Edits:
    """Split the members named from the others of a group.

    Raises:
        RequestError: no such group, a member of another one, or none or all of its members named.
    """
    found = apply(circuit, edits).group(group)
    named = tuple(dict.fromkeys(Member(*member) for member in members))
    strange = [member for member in named if member not in found.members]
    if strange:
        raise RequestError(f"Group {group} has no member {strange[0].neuron}.{strange[0][1]}.")
    if not 0 < len(named) < len(found.members):
        raise RequestError(
            f"A split names some of the {len(found.members)} members of {group}, and leaves some."
        )
    first, second = _numbers(circuit, edits, found.id.layer, 2)
    return _with(circuit, edits, Split(group=found.id, members=named, into=(first, second)))


def undo(edits: Edits) -> Edits:
    """Take the last edit back; ``RequestError`` if there is none."""
    if not edits.done:
        raise RequestError("There is nothing to undo.")
    *rest, last = edits.done
    return edits.model_copy(update={"done": tuple(rest), "undone": (*edits.undone, last)[-MOST:]})


def redo(edits: Edits) -> Edits:
    """Do again what was taken back last; ``RequestError`` if there is nothing."""
    if not edits.undone:
        raise RequestError("There is nothing to do again.")
    *rest, last = edits.undone
    return edits.model_copy(update={"done": (*edits.done, last), "undone": tuple(rest)})


def replay(circuit: CircuitData, edits: Edits, wanted: Edits) -> Edits:
    """Make the edits of another file of this circuit, where none stand yet.

    Raises:
        RequestError: edits stand, or one of ``wanted`` does not fit the circuit.
    """
    if edits.done:
        raise RequestError(
            f"{len(edits.done)} edits stand already, and those of a file begin with the circuit as it "
            "was found. Take them back first: neurflow edit RUN --undo"
        )
    apply(circuit, wanted)
    return wanted


def apply(circuit: C, edits: Edits) -> C:
    """The circuit with its groups as edited.

    Raises:
        RequestError: an edit does not fit the circuit.
        ResultError: the circuit does not say how weights are shared among meanings.
    """
    if not edits.done:
        return circuit
    layers = {layer.name: layer for layer in circuit.layers}
    for edit in edits.done:
        name = (edit.groups[0] if isinstance(edit, Merge) else edit.group).layer
        if name not in layers:
            raise RequestError(f"An edit names layer {name!r}, which the circuit does not have.")
        layers[name] = _edited(layers[name], edit)
    return regrouped(circuit, [layers[layer.name] for layer in circuit.layers])


def _with(circuit: CircuitData, edits: Edits, edit: Merge | Split) -> Edits:
    if len(edits.done) == MOST:
        raise RequestError(f"A circuit holds at most {MOST} edits.")
    changed = edits.model_copy(update={"done": (*edits.done, edit), "undone": ()})
    apply(circuit, changed)
    return changed


def _numbers(circuit: CircuitData, edits: Edits, layer: str, count: int) -> list[GroupId]:
    """Ids that no group of the layer has or had."""
    found = circuit.layer(layer)
    used = [group.id for group in found.groups]
    for edit in (*edits.done, *edits.undone):
        used += [edit.into] if isinstance(edit, Merge) else edit.into
    numbers = [id.number for id in used if id.layer == layer]
    numbers += found.tree.numbers if found.tree else ()
    return [GroupId(layer, max(numbers) + 1 + i) for i in range(count)]


def _edited(layer: CircuitLayer, edit: Merge | Split) -> CircuitLayer:
    """The layer with one edit made."""
    groups = {group.id: group for group in layer.groups}
    taken = edit.groups if isinstance(edit, Merge) else (edit.group,)
    made = (edit.into,) if isinstance(edit, Merge) else edit.into
    for id in taken:
        if id not in groups:
            raise RequestError(f"An edit names group {id!r}, which is not there.")
    for id in made:
        if id in groups or id.layer != layer.name or made.count(id) > 1:
            raise RequestError(f"An edit cannot call a group {id!r}.")
    members = [member for id in dict.fromkeys(taken) for member in groups[id].members]
    parts = [members]
    if isinstance(edit, Split):
        named = set(edit.members)
        parts = [[m for m in members if m in named], [m for m in members if m not in named]]
        if not all(parts) or len(parts[0]) != len(named):
            raise RequestError(f"An edit does not split the members of {edit.group!r} in two.")
    new = [
        NeuronGroup(id=id, members=tuple(part), crops=exemplars(part, layer.neurons))
        for id, part in zip(made, parts, strict=True)
    ]
    rest = [group for group in layer.groups if group.id not in taken]
    ordered = sorted([*rest, *new], key=lambda group: -len(group.members))
    return layer.model_copy(update={"groups": tuple(ordered)})
