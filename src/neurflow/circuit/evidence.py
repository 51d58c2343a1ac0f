"""The evidence for a group's label: who gave it, from which crops, and how it did on unseen crops.

The evidence is stored with the label, so that readers see whether the words distinguish the group's
crops from others::

    Evidence
    ├── who and when: source, author, time, pin
    ├── what was said: confidence, features, combination; for zero-shot labels the best words
    ├── shown: the crops that the labeler saw
    ├── validation: Validation     on crops that it did not see, next to chance and other labels
    └── concept: ConceptCheck      on pictures of named concepts (CoSy)

Text may come from a model that was shown a hostile picture, or from an untrusted file. It is cleaned
and shortened when it is read.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from neurflow.refs import Frozen
from neurflow.stats import Interval, Share

SHORT, LONG = 80, 400
"""largest number of characters of a label, feature or name, and of a sentence"""
VERDICTS = ("beats_chance", "beats_others", "beats_nonsense", "beats_constant")
"""on a label, by its validation"""


def clean(text: str, limit: int) -> str:
    """Text on one line, without control and direction characters, at most ``limit`` long."""
    kept = "".join(
        " " if letter.isspace() else letter
        for letter in text[: 8 * limit]
        if letter.isspace() or unicodedata.category(letter)[0] != "C"
    )
    words = " ".join(kept.split())
    return words if len(words) <= limit else f"{words[: limit - 1].rstrip()}…"


def _cleaned(limit: int) -> BeforeValidator:
    return BeforeValidator(
        lambda value: clean(value, limit) if isinstance(value, str) else value,
    )


Short = Annotated[str, _cleaned(SHORT)]
Sentence = Annotated[str, _cleaned(LONG)]
Named = Annotated[str, _cleaned(SHORT), Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]


class WordScore(NamedTuple):
    """A word of the vocabulary and its contrast, in standard deviations; see ``labels.zero_shot``."""

    word: Named
    score: float


TOLERATED = 0.05
"""share of other labels that may fit a group's crops as well as its own"""


def _without(*names: str) -> Any:
    """Drop figures that earlier versions stored and that are no evidence."""

    def drop(values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if name not in names}

    return drop


class Constant(Frozen):
    """The same judge's result on the same crops with one text that is used for every group."""

    text: Short
    auprc: Interval
    gain: Interval
    """AUPRC of the label less AUPRC of this text, on the same crops"""

    _earlier = model_validator(mode="before")(_without("accuracy"))


class Rivals(Frozen):
    """The same judge's results on the same crops with other texts."""

    count: Annotated[int, Field(ge=1)]
    as_good: Count
    """of them with an AUPRC at least that of the label"""
    best: Short
    """the one with the largest AUPRC"""
    auprc: Share
    """of that one"""


class Validation(Frozen):
    """How well a judge who reads the label alone finds the group's unseen crops among others.

    Each crop counts for as many as it was drawn from, so that the group has the share that it has
    among the circuit's exemplars.
    """

    judge: Named
    held_out: Count
    """crops of the group that the labeler did not see"""
    random: Count
    """exemplars of other layers"""
    hard: Count
    """exemplars of the other groups of the layer"""
    share: Share | None = None
    """of the group's crops among the exemplars; None in results of earlier versions"""
    auprc: Interval
    """average precision (area under the precision-recall curve) of the judge's scores"""
    chance: Interval
    """AUPRC of the same scores in random order: mean and 95 % range"""
    found: Share
    """share of the group's crops that were picked: the published accuracy"""
    random_rejected: Share | None
    hard_rejected: Share | None
    """share of the others, by kind, that were not picked"""
    constant: Constant | None = None
    others: Rivals | None = None
    """labels of other groups and words of the vocabulary; None if there were none to compare with"""
    nonsense: Rivals | None = None
    """meaningless texts that the judge prefers; None for judges without such texts"""

    _earlier = model_validator(mode="before")(_without("accuracy"))

    @property
    def beats_chance(self) -> bool:
        """Whether the AUPRC is beyond what random scores reach."""
        return self.auprc.value > self.chance.high

    @property
    def beats_others(self) -> bool | None:
        """Whether hardly any other label fits the crops as well; None if no other was tried."""
        if self.others is None:
            return None
        return self.others.as_good <= TOLERATED * self.others.count

    @property
    def beats_nonsense(self) -> bool | None:
        """Whether every meaningless text fits worse; None if none was tried."""
        return None if self.nonsense is None else self.nonsense.as_good == 0

    @property
    def beats_constant(self) -> bool | None:
        """Whether the label beats chance, and the constant text beyond the interval of the gain."""
        if self.constant is None:
            return None
        return self.beats_chance and self.constant.gain.low > 0

    @property
    def doubt(self) -> str | None:
        """Why the label should not be trusted, in a few words; None if there is no reason."""
        if not self.beats_chance:
            return "does not beat chance"
        if self.beats_nonsense is False:
            return "does not beat nonsense"
        if self.beats_others is None:
            return "not compared with other labels"
        return None if self.beats_others else "does not beat other labels"


class ConceptCheck(Frozen):
    """Do the group's neurons answer to pictures of what the label names (CoSy)?"""

    concept: Named
    """the concept of the vocabulary that the label names"""
    auprc: Interval
    """average precision at telling pictures of the concept by what the group does on them"""
    share: Share
    """of the concept's pictures among all: the AUPRC of a group that says nothing"""
    rank: Count
    """rank of the concept among all, from 1, by the margin of its AUPRC over its share"""
    concepts: Count
    best: Named
    """the concept in first place"""


class Mark(Frozen):
    """Who decided something, and when."""

    author: Named
    time: AwareDatetime


class Rejected(Mark):
    """A label that a person rejected; labelers must not propose it again."""

    label: Named


class Evidence(Frozen):
    """Where a label comes from and what supports it."""

    source: Literal["model", "words", "person"]
    """a language model, the nearest words of a vocabulary, or a person"""
    author: Named
    """name of the model or of the person"""
    time: AwareDatetime
    pin: Mark | None = None
    """who forbade labelers to change the label; None if they may"""
    confidence: Share | None = None
    """stated by the labeler; it is not evidence, see ``validation``"""
    features: Annotated[tuple[Short, ...], Field(max_length=8)] = ()
    combination: Sentence | None = None
    """how the groups below combine into this one"""
    words: Annotated[tuple[WordScore, ...], Field(max_length=8)] = ()
    shown: Annotated[tuple[Count, ...], Field(max_length=256)] = ()
    """positions in ``NeuronGroup.crops``"""
    validation: Validation | None = None
    concept: ConceptCheck | None = None

    @property
    def pinned(self) -> bool:
        """Whether labelers must not change the label."""
        return self.pin is not None

    @property
    def margin(self) -> float | None:
        """By how much the best word leads."""
        return self.words[0].score - self.words[1].score if len(self.words) > 1 else None

    @property
    def doubt(self) -> str | None:
        """Why the label should not be trusted, in a few words; None if there is no reason."""
        return "not validated" if self.validation is None else self.validation.doubt

    @field_validator("concept", mode="before")
    @classmethod
    def _of_before(cls, value: Any) -> Any:
        """Drop checks by AUC, which earlier versions made."""
        return None if isinstance(value, dict) and "auc" in value else value


def evidence_data(evidence: Evidence | None) -> dict[str, Any] | None:
    """Evidence as plain data for JSON, with the verdicts spelt out."""
    if evidence is None:
        return None
    data = evidence.model_dump(mode="json")
    if evidence.validation:
        data["validation"] |= {name: getattr(evidence.validation, name) for name in VERDICTS}
    return data | {"pinned": evidence.pinned, "margin": evidence.margin, "doubt": evidence.doubt}
