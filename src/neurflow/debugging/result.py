"""The results of debugging and auditing, as frozen data.

::

    DebugReport
    ├── pictures: PictureReport              explanation of one picture's prediction
    │   ├── top: Prediction, best first
    │   └── groups: GroupReading             whether it fires, where, and through which lower groups
    ├── what_if: WhatIf                      effect of masking
    │   ├── effects: Effect, one per picture
    │   ├── crops: CropEffect                crops on which the target falls most
    │   └── overall: Overall                 over all pictures: accuracy, flips
    └── mistakes: Mistakes                   false negatives and false positives of the class

    AuditReport
    └── groups: GroupAudit, most suspicious first, each with its Signals
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import AliasChoices, Field

from neurflow.refs import Frozen, GroupId, ModelInfo, SkippedImage, Target
from neurflow.runtime.renaming import FormerName
from neurflow.stats import Interval

Filler = Literal["zero", "mean"]
"""value of masked neurons: zero, or their mean over the concept set's crops"""
PathWeight = Annotated[
    float,
    Field(validation_alias=AliasChoices("path_weight", "reach"), serialization_alias="reach"),
]
STORED_AS_BY = Field(validation_alias=AliasChoices("ablation", "by"), serialization_alias="by")
Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels of the picture as the model sees it"""


class Prediction(Frozen):
    """A class with its logit and probability."""

    index: int
    name: str
    logit: float
    probability: float | None
    """None for a quantity, which is not a class"""

    @property
    def formatted(self) -> str:
        """The probability in percent, or the value of a quantity."""
        return f"{self.logit:.4g}" if self.probability is None else f"{self.probability:.0%}"


class ScoredBox(NamedTuple):
    """A crop of the picture and the group's score on it."""

    box: Box
    score: float


class GroupReading(Frozen):
    """The response of a group to one picture."""

    id: GroupId
    score: float
    """score of its best crop; the group's own crops have about 1"""
    threshold: float
    """smallest score at which it fires"""
    fires: bool
    frequency: float = Field(
        validation_alias=AliasChoices("frequency", "usual"), serialization_alias="usual"
    )
    """share of the concept set's images on which it fires"""
    percentile: float
    """share of the concept set's images with a score that is not larger"""
    unlike: float
    """distance of the log score from the concept set's median, in robust standard deviations"""
    path_weight: PathWeight
    """signed weight along all paths to the target"""
    missing: bool
    """whether it fires on most images of the target, but not here"""
    crops: tuple[ScoredBox, ...]
    """its best crops, strongest first"""
    heat: tuple[tuple[float, ...], ...] = ()
    """rows of its neurons' mean feature map, where 1 is the mean over its own crops; () for a layer
    without spatial positions"""
    chain: tuple[GroupId, ...] = ()
    """the strongest lower group that also fires, then the strongest one below that, and so on"""
    usual, reach = FormerName("frequency"), FormerName("path_weight")


class PictureReport(Frozen):
    """The explanation of one picture's prediction."""

    name: str
    label: str | None = None
    """true class, if the source has it"""
    top: tuple[Prediction, ...]
    target: float
    """activation of the target: a logit, a difference of logits, or φ of a neuron"""
    groups: tuple[GroupReading, ...]
    """layer by layer, input side first"""
    picture: bytes = Field(default=b"", exclude=True, repr=False)
    """WebP of the picture as the model sees it"""

    @property
    def firing(self) -> tuple[GroupReading, ...]:
        """Groups that fire, by decreasing absolute path weight."""
        return tuple(sorted((g for g in self.groups if g.fires), key=lambda g: -abs(g.path_weight)))

    @property
    def missing(self) -> tuple[GroupReading, ...]:
        """Groups that fire on most images of the target but not here, in the same order."""
        return tuple(
            sorted((g for g in self.groups if g.missing), key=lambda g: -abs(g.path_weight))
        )

    def group(self, id: str) -> GroupReading:
        """Return the response of one group."""
        return next(reading for reading in self.groups if reading.id == id)


Factor = Annotated[float, Field(allow_inf_nan=False)]


class Change(Frozen):
    """A change of the network."""

    groups: tuple[str, ...]
    neurons: dict[str, tuple[int, ...]]
    """layer → neurons of its groups, input side first"""
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
    """the target's classes and those among the best before or after; best first"""
    after: tuple[Prediction, ...]
    """the same classes in their new order"""
    target_before: float
    target_after: float
    random: Interval | None = None
    """the same difference for random neurons: mean and 5th to 95th percentile"""

    @property
    def change(self) -> float:
        """Change of the target's activation; negative if it falls."""
        return self.target_after - self.target_before


class GroupEffect(Frozen):
    """The effect of one group on the prediction for one picture."""

    id: GroupId
    effect: float
    """explained value with the group minus that without it; positive if it supports the prediction"""
    random: Interval | None = None
    """the same for random neurons of matched activation: mean and 5th to 95th percentile"""


class CropEffect(Frozen):
    """One crop before and after the change."""

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
    """names of the pictures whose predicted class changes"""


class WhatIf(Frozen):
    """The effect of a change: the pictures before and after."""

    change: Change
    effects: tuple[Effect, ...]
    """in the order of the pictures"""
    crops: tuple[CropEffect, ...]
    """crops on which the target falls most, largest fall first"""
    overall: Overall | None
    """None for a single picture"""
    draws: int
    """number of sets of random neurons, of the same size and similar activation in each layer"""
    matched: float | None
    """mean activation of random neurons relative to that of the groups, averaged over layers"""
    seed: int

    @property
    def falls(self) -> tuple[Effect, ...]:
        """The pictures by change of the target, largest fall first."""
        return tuple(sorted(self.effects, key=lambda effect: effect.change))


class GroupContrast(Frozen):
    """How often a group fires on mistakes of one kind and on correctly classified pictures."""

    id: GroupId
    path_weight: PathWeight
    on_mistakes: Interval
    """share, with Wilson's 95 % interval"""
    on_others: Interval
    """share on the pictures that the mistakes are compared with"""
    evidence: float
    """signed difference of the shares, in standard errors"""
    reach = FormerName("path_weight")


class Mistake(Frozen):
    """A false negative or false positive, and its most unusual groups."""

    name: str
    label: str
    predicted: str
    groups: tuple[GroupReading, ...]
    """groups by decreasing product of ``unlike`` and ``path_weight``"""


class Mistakes(Frozen):
    """The mistakes of one class."""

    right: int
    """number of pictures of the class that are predicted as it"""
    missed: tuple[Mistake, ...]
    """false negatives"""
    taken: tuple[Mistake, ...]
    """false positives"""
    missed_for: dict[str, int]
    """class predicted for missed pictures → their number, most frequent first"""
    why_missed: tuple[GroupContrast, ...]
    """missed pictures compared with recognised ones of the class, largest difference first"""
    why_taken: tuple[GroupContrast, ...]
    """false positives compared with other pictures that are not of the class"""


class DebugReport(Frozen):
    """The result of ``neurflow.debug``."""

    model: ModelInfo
    target: Target
    pictures: tuple[PictureReport, ...]
    what_if: WhatIf | None = None
    mistakes: Mistakes | None = None
    skipped: tuple[SkippedImage, ...] = ()
    notes: tuple[str, ...] = ()


class Signals(Frozen):
    """Evidence that a group is a shortcut, with 95 % intervals; None if it cannot be measured."""

    raises: Interval
    """increase in the probability of the class on pictures of other classes"""
    mends: Interval
    """predictions that masking corrects minus those that it breaks, relative to the pictures that are
    of the class or predicted as it"""
    fixes: Interval | None
    """share of the false positives that masking corrects"""
    cost: Interval | None
    """share of the correct predictions, on pictures of all classes, that masking breaks"""
    fixed: Interval | None
    """similarity of its heat maps across pictures: mean correlation"""
    apart: Interval | None
    """distance of its heat map from those of other groups that support the class: 0 for the same place,
    1 for the opposite"""


class GroupAudit(Frozen):
    """One group of the ranking."""

    id: GroupId
    rank: int
    """1 is the most suspicious"""
    evidence: float
    """weighted sum of the signals; see ``audit``"""
    ablation: Annotated[Filler, STORED_AS_BY]
    """the ablation with more evidence, to which the signals belong"""
    signals: Signals
    by = FormerName("ablation")


class AuditReport(Frozen):
    """The result of ``neurflow.audit``: groups ranked by the evidence that they are shortcuts."""

    model: ModelInfo
    target: Target
    pictures: int
    of_class: int
    false_positives: int
    groups: tuple[GroupAudit, ...]
    skipped: tuple[SkippedImage, ...] = ()
    notes: tuple[str, ...] = ()
