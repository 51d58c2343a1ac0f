"""What debugging finds, as frozen data.

::

    DebugReport
    ├── pictures: PictureReport              why this answer
    │   ├── top: Prediction, best first
    │   └── groups: GroupReading             fires or not, where, and how it is reached from below
    ├── what_if: WhatIf                      what if that group were gone
    │   ├── effects: Effect, one a picture
    │   ├── crops: CropEffect                where the target falls most
    │   └── overall: Overall                 over a set: accuracy, flips
    └── mistakes: Mistakes                   pictures of the class that are missed, and taken for it

    AuditReport
    └── groups: GroupAudit, the most suspect first, each with its Signals
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import AliasChoices, Field

from neurflow.refs import Frozen, GroupId, ModelInfo, SkippedImage, Target
from neurflow.runtime.renaming import FormerName
from neurflow.stats import Interval

Filler = Literal["zero", "mean"]
"""what masked neurons are set to: zero, or their mean over the concept set's crops"""
PathWeight = Annotated[
    float,
    Field(validation_alias=AliasChoices("path_weight", "reach"), serialization_alias="reach"),
]
STORED_AS_BY = Field(validation_alias=AliasChoices("ablation", "by"), serialization_alias="by")
Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels of the picture as the model sees it"""


class Prediction(Frozen):
    """One class in an answer."""

    index: int
    name: str
    logit: float
    probability: float


class ScoredBox(NamedTuple):
    """A crop of the picture and the group's score on it."""

    box: Box
    score: float


class GroupReading(Frozen):
    """What a group does on one picture."""

    id: GroupId
    score: float
    """that of the best crop; about 1 is as on the group's own crops"""
    threshold: float
    """score from which on it fires"""
    fires: bool
    frequency: float = Field(
        validation_alias=AliasChoices("frequency", "usual"), serialization_alias="usual"
    )
    """share of the concept set's images on which it fires"""
    percentile: float
    """share of the concept set's images that score no more"""
    unlike: float
    """how far the log score lies from the concept set's median, in robust standard deviations"""
    path_weight: PathWeight
    """signed weight along all paths to the target"""
    missing: bool
    """usual for the target, and silent here"""
    crops: tuple[ScoredBox, ...]
    """its best crops, strongest first"""
    heat: tuple[tuple[float, ...], ...] = ()
    """rows of its neurons' mean feature map; 1 is the mean over its own crops. () without space"""
    chain: tuple[GroupId, ...] = ()
    """the strongest lower group that also fires, that one's strongest, and so on down"""
    usual, reach = FormerName("frequency"), FormerName("path_weight")


class PictureReport(Frozen):
    """Why the model answers as it does on one picture."""

    name: str
    label: str | None = None
    """true class, where the source knows it"""
    top: tuple[Prediction, ...]
    target: float
    """activation of the target: a logit, a difference of logits, or φ of a neuron"""
    groups: tuple[GroupReading, ...]
    """layer by layer, input side first"""
    picture: bytes = Field(default=b"", exclude=True, repr=False)
    """WebP of the picture as the model sees it"""

    @property
    def firing(self) -> tuple[GroupReading, ...]:
        """Groups that fire, those that carry most to the target first."""
        return tuple(sorted((g for g in self.groups if g.fires), key=lambda g: -abs(g.path_weight)))

    @property
    def missing(self) -> tuple[GroupReading, ...]:
        """Groups that the target's images usually have and this one has not, likewise."""
        return tuple(
            sorted((g for g in self.groups if g.missing), key=lambda g: -abs(g.path_weight))
        )

    def group(self, id: str) -> GroupReading:
        """The reading of one group."""
        return next(reading for reading in self.groups if reading.id == id)


Factor = Annotated[float, Field(allow_inf_nan=False)]


class Change(Frozen):
    """What is done to the network."""

    groups: tuple[str, ...]
    neurons: dict[str, tuple[int, ...]]
    """layer → neurons of the groups there, input side first"""
    keep: bool
    """whether all *other* neurons of these layers are changed"""
    ablation: Annotated[Filler | Factor, STORED_AS_BY]
    """set to zero, to the mean over the concept set, or scaled by a factor"""
    by = FormerName("ablation")


class Effect(Frozen):
    """One picture before and after the change."""

    name: str
    label: str | None = None
    before: tuple[Prediction, ...]
    """the classes that are among the best before or after, and the target's; best first"""
    after: tuple[Prediction, ...]
    """the same classes, in the order that they have now"""
    target_before: float
    target_after: float
    random: Interval | None = None
    """the same difference for random neurons: mean and 5th to 95th percentile"""

    @property
    def change(self) -> float:
        """Of the target's activation; negative is a fall."""
        return self.target_after - self.target_before


class CropEffect(Frozen):
    """One crop before and after: where the target falls most, the group matters most."""

    name: str
    box: Box
    before: float
    after: float


class Overall(Frozen):
    """The change over a set of pictures."""

    pictures: int
    labelled: int
    accuracy_before: float | None
    accuracy_after: float | None
    accuracy_random: Interval | None
    """after changing random neurons: mean and 5th to 95th percentile"""
    change: float
    """mean change of the target's activation"""
    change_random: Interval | None
    flips: tuple[str, ...]
    """names of the pictures whose first class changes"""


class WhatIf(Frozen):
    """What if these neurons were gone: the pictures before and after."""

    change: Change
    effects: tuple[Effect, ...]
    """in the order of the pictures"""
    crops: tuple[CropEffect, ...]
    """crops whose target falls most, first the furthest"""
    overall: Overall | None
    """over more than one picture"""
    draws: int
    """sets of random neurons, in each layer as many as the groups' and of matched activation"""
    matched: float | None
    """mean activation of the random neurons over that of the groups', mean over layers"""
    seed: int

    @property
    def falls(self) -> tuple[Effect, ...]:
        """The pictures, those whose target falls most first."""
        return tuple(sorted(self.effects, key=lambda effect: effect.change))


class GroupContrast(Frozen):
    """How often a group fires on mistakes of one kind, next to the target's own images."""

    id: GroupId
    path_weight: PathWeight
    on_mistakes: Interval
    """share, with Wilson's 95 % interval"""
    on_others: Interval
    """on the pictures it is compared with"""
    evidence: float
    """difference of the shares over its standard error, signed; 0 is no difference"""
    reach = FormerName("path_weight")


class Mistake(Frozen):
    """A picture that is missed or taken for the target, and the groups that are unlike the target."""

    name: str
    label: str
    predicted: str
    groups: tuple[GroupReading, ...]
    """most telling first: how unusual, times how much it carries"""


class Mistakes(Frozen):
    """The errors of one class."""

    right: int
    """pictures of the class that are recognised"""
    missed: tuple[Mistake, ...]
    """false negatives"""
    taken: tuple[Mistake, ...]
    """false positives"""
    missed_for: dict[str, int]
    """what the missed are called instead, most frequent first"""
    why_missed: tuple[GroupContrast, ...]
    """missed pictures next to recognised ones of the class, most telling first"""
    why_taken: tuple[GroupContrast, ...]
    """pictures taken for the class next to others that are not of it"""


class DebugReport(Frozen):
    """Why these answers, and what if."""

    model: ModelInfo
    target: Target
    pictures: tuple[PictureReport, ...]
    what_if: WhatIf | None = None
    mistakes: Mistakes | None = None
    skipped: tuple[SkippedImage, ...] = ()
    notes: tuple[str, ...] = ()


class Signals(Frozen):
    """Evidence that a group is a shortcut, each with a 95 % interval; None where it has no measure."""

    raises: Interval
    """probability of the class that it adds on pictures of other classes"""
    mends: Interval
    """right answers won by masking less those lost, over pictures of the class or taken for it"""
    fixes: Interval | None
    """share of the false positives that masking it turns"""
    cost: Interval | None
    """share of the right answers, on pictures of all classes, that masking it spoils"""
    fixed: Interval | None
    """how alike its heat maps are from picture to picture: mean correlation"""
    apart: Interval | None
    """how far its heat lies from what else speaks for the class: 0 same place, 1 opposite"""


class GroupAudit(Frozen):
    """One group's place in the ranking."""

    id: GroupId
    rank: int
    """from 1, the most suspect"""
    evidence: float
    """weighted sum of the signals; see ``audit``"""
    ablation: Annotated[Filler, STORED_AS_BY]
    """the way of masking that the signals tell of: the one with more evidence"""
    signals: Signals
    by = FormerName("ablation")


class AuditReport(Frozen):
    """Groups by the evidence that they are a shortcut: a ranking, not a verdict."""

    model: ModelInfo
    target: Target
    pictures: int
    of_class: int
    false_positives: int
    groups: tuple[GroupAudit, ...]
    skipped: tuple[SkippedImage, ...] = ()
    notes: tuple[str, ...] = ()
