"""What is asked of a labeler, and what it answers: the small protocol that everything rests on.

A labeler sees a group's crops together with the groups below that feed it most, and names what the
crops share. A judge, as a rule the same, reads a label and says of crops in random order how well
each fits. Both are handed data and return data; neither knows of circuits, files or HTTP.
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
    """A crop as it is looked at: the WebP of its exemplar and where it lies.

    ``side`` is the crop's side in pixels of the image, before it was scaled for the thumbnail.
    """

    data: bytes
    side: int
    image: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class LowerGroup:
    """A group of the layer below that feeds the asked-for group, with its sign."""

    id: str
    weight: float
    """signed W(G, H)"""
    label: str | None
    doubt: str | None
    """why the label should not be believed as it stands"""
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class LabelRequest:
    """What a labeler is shown of one group."""

    group: str
    layer: str
    pictures: tuple[Picture, ...]
    """crops of the group, those its members share most first"""
    lower: tuple[LowerGroup, ...] = ()
    """the groups that feed it most, strongest first; none at l_0"""
    others: tuple[Picture, ...] = ()
    """crops that are not the group's: what zero-shot labels are a contrast to"""
    rejected: tuple[str, ...] = ()
    """labels that a person refused"""


class LabelAnswer(BaseModel):
    """What a labeler says of a group; text is cleaned and cut to size as it enters."""

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
    """of a vocabulary, with their contrast; best first"""


@dataclass(frozen=True)
class JudgeRequest:
    """A label, and crops in random order."""

    label: str
    caption: str | None
    pictures: tuple[Picture, ...] = field(repr=False)


class Labeler(Protocol):
    """Names groups of crops.

    Raise ``LabelFailed`` where this one group cannot be had, and any other error of neurflow where
    going on is pointless. The method is called from several threads. A labeler that waits between
    attempts may have a method ``stop()``, which is called when the work ends early.
    """

    name: str
    """of the model; it becomes the label's author"""
    source: str
    """``model`` or ``words``; see ``Evidence.source``"""

    def label(self, request: LabelRequest) -> LabelAnswer:
        """Name what the group's crops share."""


@runtime_checkable
class Judge(Protocol):
    """Tells crops by a label; as a rule a labeler is one too. Errors and threads as there."""

    name: str

    def judge(self, request: JudgeRequest) -> Sequence[float]:
        """How well each picture fits the label, 0 to 1; from 0.5 on it is picked."""


@runtime_checkable
class Comparer(Protocol):
    """A judge that scores crops by several labels at once, where every request costs something."""

    def compare(
        self, labels: Sequence[str], pictures: Sequence[Picture]
    ) -> Sequence[Sequence[float]]:
        """How well each picture fits each label: ``[label][picture]``, 0 to 1."""


@runtime_checkable
class Controls(Protocol):
    """A judge of a vocabulary that can tell which texts without meaning it prefers.

    Crops of a group look alike, and to a judge that understands nothing some text fits whatever looks
    alike. What it makes of nonsense, chosen in the way that a label is, shows how far that goes.
    """

    vocabulary: tuple[str, ...]
    """words that it labels by; judging by one costs next to nothing"""

    def controls(self, request: LabelRequest, choice: int) -> Sequence[str]:
        """Texts without meaning for the crops shown, each the best of ``choice`` such texts."""


class LabelFailed(WorkError):
    """One request has no usable answer: refused, malformed again and again, or a server's fault."""


class NoPictures(RequestError):
    """The model reads no pictures, so it cannot label any."""


def digest(*parts: bytes | str) -> str:
    """SHA-256 of parts, so that no two lists of parts give the same text to hash."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(f"{len(data)}:".encode() + data)
    return sha.hexdigest()
