"""The evidence for a group's label: its author, the crops shown, and its results on unseen crops.

The evidence is stored with the label, so that readers can see whether the words distinguish the
group's crops from others::

    Evidence
    ├── source, author, time, pin
    ├── answer: confidence, features, combination; for zero-shot labels the best words
    ├── shown: the crops that the labeler saw
    ├── validation: Validation     on unseen crops, compared with chance and other labels
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
"""largest number of characters of a label, feature or name, and of a sentence, respectively"""
VERDICTS = ("beats_chance", "beats_others", "beats_nonsense", "beats_constant")
"""verdicts on a label, from its validation"""


def clean(text: str, limit: int) -> str:
    """Return text on one line of at most ``limit`` letters, without control characters."""
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
    """Return a validator that drops figures of earlier versions that are not evidence."""

    def drop(values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if name not in names}

    return drop


class Constant(Frozen):
    """The result of the same judge on the same crops with one text that is used for every group."""

    text: Short
    auprc: Interval
    gain: Interval
    """AUPRC of the label minus AUPRC of this text, on the same crops"""

    _earlier = model_validator(mode="before")(_without("accuracy"))


class Rivals(Frozen):
    """The results of the same judge on the same crops with other texts."""

    count: Annotated[int, Field(ge=1)]
    as_good: Count
    """number of texts with an AUPRC of at least that of the label"""
    best: Short
    """the text with the largest AUPRC"""
    auprc: Share
    """AUPRC of the best text"""


class Validation(Frozen):
    """How well a judge who reads only the label finds the group's unseen crops among others.

    Crops are weighted by how many they were drawn from, so that the group's share equals its share
    among the exemplars of the circuit.
    """

    judge: Named
    held_out: Count
    """crops of the group that the labeler did not see"""
    random: Count
    """exemplars of other layers"""
    hard: Count
    """exemplars of the other groups of the layer"""
    share: Share | None = None
    """share of the group's crops among the exemplars; None in results of earlier versions"""
    auprc: Interval
    """average precision (area under the precision-recall curve) of the judge's scores"""
    chance: Interval
    """AUPRC of the same scores in random order: mean and 95 % range"""
    found: Share
    """share of the group's crops that the judge picked: the published accuracy"""
    random_rejected: Share | None
    hard_rejected: Share | None
    """share of the other crops of each kind that the judge did not pick"""
    constant: Constant | None = None
    others: Rivals | None = None
    """labels of other groups and words of the vocabulary; None if there were none"""
    nonsense: Rivals | None = None
    """meaningless texts that the judge prefers; None for judges without such texts"""

    _earlier = model_validator(mode="before")(_without("accuracy"))

    @property
    def beats_chance(self) -> bool:
        """Whether the AUPRC is above the range of random scores."""
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
        """Whether the label beats chance, and the whole interval of its gain is above 0."""
        if self.constant is None:
            return None
        return self.beats_chance and self.constant.gain.low > 0

    @property
    def doubt(self) -> str | None:
        """The reason to distrust the label, in a few words; None if there is none."""
        if not self.beats_chance:
            return "does not beat chance"
        if self.beats_nonsense is False:
            return "does not beat meaningless words"
        if self.beats_others is None:
            return "not compared with other labels"
        return None if self.beats_others else "does not beat other labels"


class ConceptCheck(Frozen):
    """Whether the group's neurons respond to pictures of the concept that the label names (CoSy)."""

    concept: Named
    """the concept of the vocabulary that the label names"""
    auprc: Interval
    """average precision of recognising pictures of the concept by the responses of the group"""
    share: Share
    """share of the concept's pictures among all: the AUPRC of a group that responds at random"""
    rank: Count
    """rank of the concept among all, from 1, by its AUPRC minus its share"""
    concepts: Count
    best: Named
    """the concept in first place"""


class Mark(Frozen):
    """The author and the time of a decision."""

    author: Named
    time: AwareDatetime


class Rejected(Mark):
    """A label that a person rejected; labelers must not propose it again."""

    label: Named


class Evidence(Frozen):
    """The origin of a label and the evidence for it."""

    source: Literal["model", "words", "person"]
    """a language model, the nearest words of a vocabulary, or a person"""
    author: Named
    """name of the model or of the person"""
    time: AwareDatetime
    pin: Mark | None = None
    """who pinned the label, so that labelers must not change it; None if they may"""
    confidence: Share | None = None
    """as stated by the labeler; this is not evidence (see ``validation``)"""
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
        """The lead of the best word over the second."""
        return self.words[0].score - self.words[1].score if len(self.words) > 1 else None

    @property
    def doubt(self) -> str | None:
        """The reason to distrust the label, in a few words; None if there is none."""
        return "not validated" if self.validation is None else self.validation.doubt

    @field_validator("concept", mode="before")
    @classmethod
    def _of_before(cls, value: Any) -> Any:
        """Drop the checks by AUC of earlier versions."""
        return None if isinstance(value, dict) and "auc" in value else value


def evidence_data(evidence: Evidence | None) -> dict[str, Any] | None:
    """Return evidence as plain data for JSON, including the verdicts."""
    if evidence is None:
        return None
    data = evidence.model_dump(mode="json")
    if evidence.validation:
        data["validation"] |= {name: getattr(evidence.validation, name) for name in VERDICTS}
    return data | {"pinned": evidence.pinned, "margin": evidence.margin, "doubt": evidence.doubt}
