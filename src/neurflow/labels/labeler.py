"""Protocols for labelers and judges, with their requests and answers.

A labeler sees a group's crops and the lower groups that drive it most, and names the content that the
crops share. A judge, usually the same object, reads a label and scores how well each of some crops in
random order fits it. Both receive and return plain data, and need not know about circuits, files or
HTTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from neurflow.circuit.evidence import Named, Sentence, Short, WordScore
from neurflow.errors import RequestError, WorkError
from neurflow.stats import Share


@dataclass(frozen=True)
class Picture:
    """A crop: its thumbnail, and its position in the image."""

    data: bytes
    """the thumbnail as WebP"""
    side: int
    """side of the crop in pixels of the image"""
    image: int
    """index of the image"""
    box: tuple[int, int, int, int]
    """left, top, right, bottom in pixels of the image"""


@dataclass(frozen=True)
class LowerGroup:
    """A group of the layer below that drives the group, with its signed weight."""

    id: str
    weight: float
    """signed W(G, H)"""
    label: str | None
    doubt: str | None
    """why the label should not be trusted"""
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class LabelRequest:
    """The request to label one group."""

    group: str
    layer: str
    pictures: tuple[Picture, ...]
    """crops of the group; those that most members share come first"""
    lower: tuple[LowerGroup, ...] = ()
    """the lower groups that drive it most, strongest first; none at l_0"""
    others: tuple[Picture, ...] = ()
    """crops of other groups, with which zero-shot labels contrast the group's crops"""
    rejected: tuple[str, ...] = ()
    """labels that a person rejected"""


class LabelAnswer(BaseModel):
    """A labeler's answer for one group; text is cleaned and shortened."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    features: Annotated[tuple[Short, ...], Field(max_length=8)] = ()
    """visual features that the crops share"""
    label: Named
    """a few words"""
    caption: Sentence | None = None
    """one sentence"""
    combination: Sentence | None = None
    """how the lower groups' features combine into this one"""
    confidence: Share | None = None
    words: Annotated[tuple[WordScore, ...], Field(max_length=8)] = ()
    """words of a vocabulary with their contrast, best first"""


@dataclass(frozen=True)
class JudgeRequest:
    """A label, and crops in random order."""

    label: str
    caption: str | None
    pictures: tuple[Picture, ...] = field(repr=False)


class Labeler(Protocol):
    """Names groups.

    Implementations raise ``LabelFailed`` if this group cannot be labelled, and another error of
    ``neurflow.errors`` if all further requests would fail too. ``label`` is called from several
    threads. A labeler that waits between attempts may have a method ``stop()``, which is called when
    the work ends early.
    """

    name: str
    """name of the model; it becomes the label's author"""
    source: str
    """``model`` or ``words``; see ``Evidence.source``"""

    def label(self, request: LabelRequest) -> LabelAnswer:
        """Name the content that the group's crops share."""


@runtime_checkable
class Judge(Protocol):
    """Scores crops by a label; usually the labeler itself. See ``Labeler`` on errors and threads."""

    name: str

    def judge(self, request: JudgeRequest) -> Sequence[float]:
        """Score how well each picture fits the label, from 0 to 1. From 0.5 on, a picture is picked."""


@runtime_checkable
class Comparer(Protocol):
    """A judge that can score crops by several labels in one request, to save requests."""

    def compare(
        self, labels: Sequence[str], pictures: Sequence[Picture]
    ) -> Sequence[Sequence[float]]:
        """Score how well each picture fits each label: ``[label][picture]``, from 0 to 1."""


@runtime_checkable
class Controls(Protocol):
    """A judge with a vocabulary that can find the meaningless texts that it prefers.

    Crops of a group look similar, so even for a judge that understands nothing, some text fits all of
    them. Meaningless texts that are chosen in the same way as labels show how large this effect is.
    """

    vocabulary: tuple[str, ...]
    """words from which it chooses labels; scoring by a word must be cheap"""

    def controls(self, request: LabelRequest, choice: int) -> Sequence[str]:
        """Return meaningless texts for the crops shown, each the best of ``choice`` texts."""


class LabelFailed(WorkError):
    """A request got no usable answer: a refusal, a malformed answer or a failure of the server."""


class NoPictures(RequestError):
    """The model does not accept pictures."""


def digest(*parts: bytes | str) -> str:
    """Return the SHA-256 of the parts with their lengths: ("ab", "c") differs from ("a", "bc")."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(f"{len(data)}:".encode() + data)
    return sha.hexdigest()
