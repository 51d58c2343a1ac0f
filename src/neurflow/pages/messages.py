"""What the page asks the server, and what it is answered: the contract, in types.

``web/src/live/types.ts`` is generated from these (``python -m neurflow.server.schema``); OpenAPI
tells them at ``/api/openapi.json``. Answers hold what ``neurflow.debug`` and ``neurflow.audit`` return,
as it is.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from neurflow.circuit.edits import Edits
from neurflow.circuit.evidence import LONG, SHORT
from neurflow.debugging.result import AuditReport, WhatIf
from neurflow.pages.debug_payload import ShownPicture
from neurflow.refs import Member

MOST_PICTURES = 4
"""masked at once"""
MOST_DRAWS = 100

Number = Annotated[int, Field(ge=0, lt=2**31)]
Phase = Literal["not started", "running", "done", "failed"]
LayerName = Annotated[str, Field(min_length=1, max_length=500)]
GroupId = Annotated[str, Field(min_length=1, max_length=500)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Problem(_Message):
    """Why a request was refused or failed, for a person to read."""

    error: str


class Sample(_Message):
    """A picture that the server was given to try."""

    number: int
    name: str
    label: str | None


class Status(_Message):
    """Whether the model is there."""

    state: Literal["loading", "ready", "failed"]
    message: str
    """why it failed, or why there are no samples; empty otherwise"""
    maskable: bool
    """whether masking can be told by: the target is a class"""
    means: bool
    """whether neurons can be set to their means"""


class LivePicture(_Message):
    """A picture that the server holds, with why the model answers so."""

    number: int
    """by which it is asked for again"""
    shown: ShownPicture


class MaskRequest(_Message):
    """What if these groups were gone."""

    pictures: Annotated[list[Number], Field(min_length=1, max_length=MOST_PICTURES)]
    groups: Annotated[list[GroupId], Field(min_length=1, max_length=1000)]
    by: Literal["zero", "mean"] = "zero"
    draws: Annotated[int, Field(ge=0, le=MOST_DRAWS)] = 20
    """sets of random neurons to compare with; 0 is quickest"""
    seed: Number = 0
    cuts: Annotated[dict[LayerName, Annotated[int, Field(ge=1)]], Field(max_length=1000)] = Field(
        default_factory=dict
    )
    """layer → number of groups, where ``groups`` are those of another cut (``Circuit.cut``)"""


class AuditState(_Message):
    """How far the audit is."""

    state: Phase
    message: str
    """what is being done, or why it failed"""
    done: int
    total: int
    report: AuditReport | None


class LabelRequest(_Message):
    """What a person calls a group; null takes the label away."""

    label: Annotated[str, Field(min_length=1, max_length=SHORT)] | None
    caption: Annotated[str, Field(max_length=LONG)] | None = None


class LabelReply(_Message):
    """What a group is called now."""

    id: str
    label: str | None
    caption: str | None


class MergeRequest(_Message):
    """Make one group of these."""

    kind: Literal["merge"]
    groups: Annotated[list[GroupId], Field(min_length=2, max_length=1000)]


class SplitRequest(_Message):
    """Make two groups of one: these members, and the others."""

    kind: Literal["split"]
    group: GroupId
    members: Annotated[list[Member], Field(min_length=1, max_length=100_000)]


class BackRequest(_Message):
    """Take the last edit back, or do again what was taken back last."""

    kind: Literal["undo", "redo"]


EditRequest = Annotated[MergeRequest | SplitRequest | BackRequest, Field(discriminator="kind")]


class Messages(_Message):
    """All of them: the root that the front end's types are generated from."""

    problem: Problem
    status: Status
    sample: Sample
    picture: LivePicture
    mask: MaskRequest
    what_if: WhatIf
    audit: AuditState
    name: LabelRequest
    named: LabelReply
    edit: EditRequest
    edits: Edits
