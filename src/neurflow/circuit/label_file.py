"""The labels of a stored circuit, in a separate file beside it.

::

    runs/bee/
    ├── circuit.json
    ├── …
    └── labels-DIGEST.json      DIGEST of the circuit.json that the labels belong to

Labels arrive one at a time, from programs that may be interrupted and from people, while the circuit
itself does not change. The file is therefore small and contains only labels. ``attachments.LabelStore``
reads it under a lock, changes one group and replaces the file atomically, so nothing is lost if two
programs write at once. The name of the file identifies the circuit, so a new circuit cannot inherit the
labels of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from neurflow.circuit.beside import FileBeside
from neurflow.circuit.evidence import Evidence, Named, Rejected, Sentence
from neurflow.circuit.types import C, CircuitData, CircuitLayer, NeuronGroup
from neurflow.refs import Frozen

SCHEMA_VERSION = 2
"""version 2 compares labels by AUPRC; the figures of version 1 are ignored"""


class GroupLabel(Frozen):
    """The label of a group and its evidence."""

    model_config = ConfigDict(from_attributes=True)

    label: Named | None = None
    caption: Sentence | None = None
    evidence: Evidence | None = None
    rejected: Annotated[tuple[Rejected, ...], Field(max_length=64)] = ()


class LabelFile(FileBeside):
    """The contents of ``labels-DIGEST.json``."""

    stem: ClassVar[str] = "labels"

    format: Literal["neurflow labels"] = "neurflow labels"
    schema_version: int = SCHEMA_VERSION
    groups: dict[str, GroupLabel] = Field(default_factory=dict)


def label_of(group: NeuronGroup) -> GroupLabel:
    """Return a group's label in the form in which it is stored."""
    return GroupLabel.model_validate(group)


def labels_of(circuit: CircuitData) -> dict[str, GroupLabel]:
    """Return the labels of groups with evidence or rejected labels.

    ``circuit.json`` itself has only the words.
    """
    return {
        group.id: label_of(group)
        for layer in circuit.layers
        for group in layer.groups
        if group.evidence or group.rejected
    }


def with_label(group: NeuronGroup, label: GroupLabel) -> NeuronGroup:
    """Return the group with another label."""
    return group.model_copy(update=dict(label))


def with_labels(circuit: C, labels: Mapping[str, GroupLabel]) -> C:
    """Return the circuit with some labels replaced; other groups keep theirs."""

    def labelled(layer: CircuitLayer) -> CircuitLayer:
        groups = tuple(
            with_label(group, labels[group.id]) if group.id in labels else group
            for group in layer.groups
        )
        return layer.model_copy(update={"groups": groups})

    return circuit.model_copy(update={"layers": tuple(map(labelled, circuit.layers))})
