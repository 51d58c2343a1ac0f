"""Requests of the live page and the server's answers: the contract between both.

The front end's types are generated from these types (``pages.schema``), and OpenAPI describes them
at ``/api/openapi.json``. Answers contain the results of ``neurflow.debug`` and ``neurflow.audit``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from neurflow.circuit.edits import Edits
from neurflow.circuit.evidence import LONG, SHORT
from neurflow.debugging.result import AuditReport, GroupEffect, Prediction, WhatIf
from neurflow.pages.debug_payload import ShownPicture
from neurflow.refs import Member

MOST_PICTURES = 4
"""pictures that one request may mask"""
MOST_DRAWS = 100

Number = Annotated[int, Field(ge=0, lt=2**31)]
Phase = Literal["not started", "running", "done", "failed"]
LayerName = Annotated[str, Field(min_length=1, max_length=500)]
GroupId = Annotated[str, Field(min_length=1, max_length=500)]
Ablation = Literal["zero", "mean"] | Annotated[float, Field(ge=0, le=1)]
"""what masked neurons are set to, or the factor that they are scaled by"""
Cuts = Annotated[dict[LayerName, Annotated[int, Field(ge=1)]], Field(max_length=1000)]
"""layer → number of groups, where groups are those of another cut (``Circuit.cut``)"""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Problem(_Message):
    """The reason why a request was refused or failed."""

    error: str


class Sample(_Message):
    """A picture that the server offers to try."""

    number: int
    name: str
    label: str | None


class Status(_Message):
    """Whether the model is loaded."""

    state: Literal["loading", "ready", "failed"]
    message: str
    """why loading failed, why there are no samples, or which of them were skipped"""
    maskable: bool
    """whether groups can be masked: the target is a class"""
    means: bool
    """whether neurons can be set to their means"""
    classes: list[int]
    """indices of the classes that the target is made of: one, two for a difference, or none"""


class LivePicture(_Message):
    """A picture that the server keeps, with the report on it."""

    number: int
    """number to ask for it again"""
    shown: ShownPicture


class _MaskingRequest(_Message):
    """The common fields of requests that mask groups."""

    groups: Annotated[list[GroupId], Field(min_length=1, max_length=1000)]
    by: Ablation = "zero"
    seed: Number = 0
    cuts: Cuts = Field(default_factory=dict)


class MaskRequest(_MaskingRequest):
    """Mask these groups."""

    pictures: Annotated[list[Number], Field(min_length=1, max_length=MOST_PICTURES)]
    draws: Annotated[int, Field(ge=0, le=MOST_DRAWS)] = 20
    """sets of random neurons to compare with; 0 is fastest"""


class EffectsRequest(_MaskingRequest):
    """Mask each of these groups by itself, on one picture."""

    picture: Number
    rival: Number | Literal["nearest", "none"] = "nearest"
    """the class that the answer is compared with: its index; ``nearest``, the circuit's class, or the
    second best if the circuit's class is the answer; or ``none``, for the answer's logit alone"""
    draws: Annotated[int, Field(ge=0, le=MOST_DRAWS)] = 0
    """sets of random neurons to compare with; 0 is fastest"""


class Effects(_Message):
    """The effect of each group on the answer's logit, or on its lead over the rival."""

    answer: Prediction
    rival: Prediction | None
    value: float
    """the figure that is explained: the answer's logit, less the rival's"""
    classes: list[Prediction]
    """classes that can be chosen as rivals, best first"""
    effects: list[GroupEffect]
    """in the order of the groups asked for"""


class ClassName(_Message):
    """A class of the network."""

    index: int
    name: str


class Likeness(_Message):
    """How much better a group's crops fit the words than other crops."""

    id: str
    contrast: float
    """in standard deviations"""


class Findings(_Message):
    """The results of a search: classes by their names, and groups by their crops, best first."""

    classes: list[ClassName]
    groups: list[Likeness]
    """empty without a CLIP-style model"""


class NeuronMap(_Message):
    """The map of a neuron's response on a picture."""

    neuron: int
    strength: float
    """its largest value there; 1 is the neuron's mean activation on its own crops"""
    heat: str
    """base64 bytes, row by row; 255 is three times that mean and more. Empty without space"""


class NeuronMaps(_Message):
    """The response maps of all neurons of a layer on a picture."""

    layer: str
    height: int
    width: int
    neurons: list[NeuronMap]


class AuditState(_Message):
    """The state of the audit."""

    state: Phase
    message: str
    """the current stage, or why the audit failed"""
    done: int
    total: int
    report: AuditReport | None


class LabelRequest(_Message):
    """A label given by a person; null removes it."""

    label: Annotated[str, Field(min_length=1, max_length=SHORT)] | None
    caption: Annotated[str, Field(max_length=LONG)] | None = None


class LabelReply(_Message):
    """The label of a group after a request."""

    id: str
    label: str | None
    caption: str | None


class MergeRequest(_Message):
    """Merge these groups into one."""

    kind: Literal["merge"]
    groups: Annotated[list[GroupId], Field(min_length=2, max_length=1000)]


class SplitRequest(_Message):
    """Split a group in two: these members, and the others."""

    kind: Literal["split"]
    group: GroupId
    members: Annotated[list[Member], Field(min_length=1, max_length=100_000)]


class BackRequest(_Message):
    """Undo the last edit, or redo the edit that was undone last."""

    kind: Literal["undo", "redo"]


EditRequest = Annotated[MergeRequest | SplitRequest | BackRequest, Field(discriminator="kind")]


class Messages(_Message):
    """All messages: the root that the front end's types are generated from."""

    problem: Problem
    status: Status
    sample: Sample
    picture: LivePicture
    mask: MaskRequest
    what_if: WhatIf
    why: EffectsRequest
    effects: Effects
    findings: Findings
    neuron_maps: NeuronMaps
    audit: AuditState
    name: LabelRequest
    named: LabelReply
    edit: EditRequest
    edits: Edits
