"""The types of a result: neurons, their meanings, the groups of meanings, and edges between groups.

The types are frozen and contain data and look-ups. They compute nothing and access no files. ::

    Circuit
    ├── layers: CircuitLayer, input side first
    │   ├── neurons: index → Neuron a
    │   │   └── semantic_groups: SemanticGroup V_a^i, with weights w(a, s, V_a^i) and concept vector
    │   └── groups: NeuronGroup G, members are (neuron, semantic group) pairs
    └── edges: GroupEdge W(G, H)

The same types define the file on disk (``storage``) and the data of the page (``neurflow.pages``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
)

from neurflow.circuit.evidence import Evidence, Rejected
from neurflow.circuit.vectors import MaybeVector, Vector, equal
from neurflow.config import Config
from neurflow.errors import LayerError, RequestError, near
from neurflow.refs import (
    Crop,
    Frozen,
    GroupId,
    HeatMap,
    ImageRef,
    Index,
    Member,
    ModelInfo,
    SkippedImage,
    Target,
)
from neurflow.runtime.renaming import FormerName
from neurflow.stats import Interval, Share

Plain = (
    bool
    | int
    | float
    | Annotated[str, Field(max_length=100)]
    | Annotated[tuple[int | float, ...], Field(max_length=64)]
    | None
)
"""the type of a preprocessing setting"""
ClassNames = Annotated[
    tuple[Annotated[str, Field(max_length=2000)], ...], Field(max_length=1_000_000)
]


class SemanticGroup(Frozen):
    """V_a^i: crops of one neuron that share a meaning, and what drives the neuron on them."""

    crops: tuple[Index, ...]
    """positions in ``Neuron.crops``, strongest first"""
    weights: dict[Index, float]
    """core neuron s of the layer below → signed w(a, s, V_a^i); absolute values sum to 1

    Empty at l_0, and if all scores are 0.
    """
    shares: dict[Index, tuple[float, ...]] = Field(default_factory=dict)
    """core neuron s with several meanings → share of these crops that is nearest to each meaning

    The weight of s is divided among the groups of its meanings by these shares, which sum to 1.
    Missing in results of earlier versions.
    """
    attributions: MaybeVector = None
    """T(a, s, v) of each crop and core neuron, in the order of ``crops`` and ``weights``, crop by crop

    None if all scores are 0, and in results of earlier versions.
    """
    concept_vector: Vector
    """``[neuron of the previous layer]`` mean pooled activation over the crops (at l_0: of l_0)"""

    def __eq__(self, other: object) -> bool:
        """Compare crops, weights and vector; numpy's own ``==`` returns an array."""
        return (
            isinstance(other, SemanticGroup)
            and self.crops == other.crops
            and self.weights == other.weights
            and self.shares == other.shares
            and np.array_equal(self.concept_vector, other.concept_vector)
            and equal(self.attributions, other.attributions)
        )

    __hash__ = None  # type: ignore[assignment]


RuleName = Literal["gauss", "secants", "midpoints", "steep", "sinh", "graded"]
"""placement of the points of an integration (``attribution.integrated_gradients``)"""


class Histogram(Frozen):
    """Histogram of a neuron's activations on the crops of the concept set."""

    low: float
    high: float
    """ends of the first and the last bin"""
    counts: Annotated[tuple[Index, ...], Field(min_length=1, max_length=256)]
    """number of crops in each bin; all bins have the same width"""


class Neuron(Frozen):
    """One channel: the crops that excite it, their meanings, and its core neurons below."""

    index: Index
    crops: tuple[Crop, ...]
    """V_a: the k crops with the largest activation, strongest first"""
    activations: tuple[float, ...]
    """φ_a of each crop, descending

    For a difference of classes, the crops of the second class follow, the most negative first.
    """
    semantic_groups: tuple[SemanticGroup, ...]
    """largest first; every crop belongs to exactly one"""
    importance: dict[Index, float] = Field(default_factory=dict)
    """core neuron s → mean |IG| over V_a, largest first. Empty at l_0"""
    steps: Index | None = None
    """N, number of points of the integration; None at l_0"""
    rule: RuleName | None = None
    """placement of the points; None at l_0"""
    score_error: float | None = None
    """estimated Σ |IG at N − IG| over V_a and the layer below, relative to Σ |IG|

    It is estimated from some crops of V_a; this is the upper end of a one-sided 97.5 % interval.
    """
    cancellation: Annotated[float, Field(ge=1)] | None = None
    """Σ_s |IG_s| over |Σ_s IG_s|, both summed over V_a: how far positive and negative scores cancel

    1 means no cancellation. None at l_0, if the sums are 0, and in results of earlier versions.
    """
    completeness_error: float | None = None
    """|Σ_s IG_s − (φ_a(x) − φ_a(0))| summed over V_a, relative to the summed |φ_a(x) − φ_a(0)|; None
    if scores are complete by construction
    """
    histogram: Histogram | None = None
    """histogram of φ_a over all crops of the concept set; None in results of earlier versions"""

    @property
    def core_neurons(self) -> tuple[int, ...]:
        """S_a: neurons of the layer below, most important first."""
        return tuple(self.importance)


class Calibration(Frozen):
    """Activations of a group on the concept set, to which its scores on other pictures are compared."""

    means: tuple[float, ...]
    """mean φ of each of the group's neurons over the group's crops, in the order of the neurons"""
    crop_scores: tuple[float, ...]
    """the group's score on each of its crops"""
    image_scores: tuple[float, ...]
    """the group's score on each image of the concept set: the largest score of the image's crops"""


class NeuronGroup(Frozen):
    """G: (neuron, semantic group) pairs of a layer that respond to the same kind of picture."""

    id: GroupId
    """``LAYER/NUMBER``; numbers count from 0, largest group first"""
    members: tuple[Member, ...]
    crops: tuple[Crop, ...]
    """the group's crops, those that most members share first, then the strongest"""
    label: str | None = None
    """a few words that describe its crops"""
    caption: str | None = None
    """a sentence that describes its crops"""
    evidence: Evidence | None = None
    """author and validation of the label"""
    rejected: tuple[Rejected, ...] = ()
    """labels that a person rejected"""
    calibration: Calibration | None = Field(
        default=None,
        validation_alias=AliasChoices("calibration", "usual"),
        serialization_alias="usual",
    )
    """None in results of earlier versions"""
    usual = FormerName("calibration")
    stability: Interval | None = None
    """similarity to the group that is most like it when the circuit is found again on resampled images

    The Jaccard index of their neurons: mean, 5th and 95th percentile. None until ``neurflow evaluate``
    has measured it.
    """

    @property
    def neurons(self) -> tuple[int, ...]:
        """The neurons of its members, each once, in ascending order."""
        return tuple(sorted({member.neuron for member in self.members}))


class GroupTree(Frozen):
    """The clustering tree of a layer's pairs; every cut of it is a grouping (``Circuit.cut``).

    With n pairs, branches 0 … n − 1 are the pairs, and branch n + i is made by merge i.
    """

    members: Annotated[tuple[Member, ...], Field(min_length=1)]
    """the pairs"""
    merges: tuple[tuple[Index, Index], ...]
    """the two branches that each of the n − 1 merges joins, the most similar first"""
    heights: tuple[float, ...]
    """distance of the two branches of each merge; ascending"""
    numbers: tuple[Index, ...]
    """number of each of the 2n − 1 branches in the id of its group; the same in every cut"""
    returns: tuple[float | None, ...]
    """reproducibility of each branch on halves of the images: 1 if it always recurs, 0 at chance level

    None for single pairs and the whole layer, which always recur, and if it was not measured.
    """
    agreement: tuple[float, ...] = ()
    """kappa of the cut into 1, 2, … groups on halves of the images, as far as it was measured"""
    default: Annotated[int, Field(ge=1)]
    """number of groups into which discovery cut it"""


class CircuitLayer(Frozen):
    """One studied layer: its neurons in the circuit and the groups they form."""

    name: str
    neurons: dict[Index, Neuron]
    groups: tuple[NeuronGroup, ...]
    tree: GroupTree | None = None
    """None in results of earlier versions"""
    note: str | None = None
    """a remark on the groups for the reader"""
    means: tuple[float, ...] = ()
    """mean φ of every neuron of the layer over all crops of the concept set; () if not stored"""

    def returns(self, group: NeuronGroup) -> float | None:
        """Return the reproducibility of a group on halves of the images (``GroupTree.returns``).

        None if it was not measured, and for a group made by hand.
        """
        if self.tree is None:
            return None
        found = dict(zip(self.tree.numbers, self.tree.returns, strict=True))
        return found.get(group.id.number)

    @property
    def score_error(self) -> float | None:
        """The largest score error of its neurons; None at l_0."""
        known = [n.score_error for n in self.neurons.values() if n.score_error is not None]
        return max(known, default=None)

    @property
    def measured(self) -> tuple[NeuronGroup, ...]:
        """The groups with calibration: all except those made by hand (``edits``)."""
        return tuple(group for group in self.groups if group.calibration is not None)


class GroupEdge(Frozen):
    """W(G, H): signed weight with which the lower group H drives the upper group G."""

    upper: GroupId
    lower: GroupId
    weight: float
    positive: Annotated[float, Field(ge=0)] | None = None
    negative: Annotated[float, Field(le=0)] | None = None
    """its positive and negative part; None in results that did not store them"""
    low: float | None = None
    high: float | None = None
    """ends of the 95 % interval of the weight on resamples of the photographs (``uncertainty``)

    None with fewer than three photographs, and in results of earlier versions.
    """
    significance: Annotated[float, Field(gt=0, le=1)] | None = None
    """p-value: how often |W| is as large if the lower layer's pairs are assigned to groups at random"""
    stability: Share | None = None
    """share of resamples of the images in which the edge is found again with the same sign"""

    @property
    def certain(self) -> bool | None:
        """Whether the whole interval has one sign; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return self.low > 0 or self.high < 0


class CircuitData(Frozen):
    """The fields and look-ups of a circuit. ``circuit.Circuit`` adds files, tables and the page."""

    model: ModelInfo
    class_names: ClassNames = ()
    """class names of the model, in the order of the logits; () if they are unknown"""
    preprocessing: dict[str, Plain] | None = None
    """settings of ``model.preprocessing.Preprocessing``; None if the user gave a transform"""
    target: Target
    config: Annotated[Config, BeforeValidator(Config.stored)]
    images: tuple[ImageRef, ...]
    """the concept set's images"""
    skipped: tuple[SkippedImage, ...] = ()
    crop_count: Index
    """number of crops of the concept set D"""
    layers: tuple[CircuitLayer, ...]
    """input side first; the last layer contains the target"""
    edges: tuple[GroupEdge, ...]
    notes: tuple[str, ...] = ()
    """notes for the user, for example on fallbacks or too few crops"""
    thumbnails: Mapping[Crop, bytes] = Field(default_factory=dict, exclude=True, repr=False)
    """WebP pictures of the exemplars; other crops have none"""
    pictures: Mapping[int, bytes] = Field(default_factory=dict, exclude=True, repr=False)
    """WebP pictures of the whole images on which groups are shown"""
    heat: Mapping[tuple[str, int], HeatMap] = Field(default_factory=dict, exclude=True, repr=False)
    """(group, image) → heat map of the group on the image"""

    @cached_property
    def _groups(self) -> dict[str, NeuronGroup]:
        return {group.id: group for layer in self.layers for group in layer.groups}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some values replaced; the look-up of groups is built again."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("_groups", None)
        return copy

    def layer(self, name: str) -> CircuitLayer:
        """Return the layer called ``name``; ``LayerError`` with similar names if there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        raise LayerError(f"The circuit has no layer {name!r}.{near(name, names)}")

    def group(self, id: str) -> NeuronGroup:
        """Return the group with the id ``LAYER/NUMBER``.

        An id that begins with ``…``, as in tables, stands for the only group whose id ends like this.

        Raises:
            RequestError: there is no such group, or several; the message lists similar ids.
        """
        if id.startswith("…"):
            ends = [group for name, group in self._groups.items() if name.endswith(id[1:])]
            if len(ends) == 1:
                return ends[0]
            if ends:
                listed = ", ".join(group.id for group in ends[:5])
                raise RequestError(
                    f"Several groups end in {id[1:]!r}: {listed}. Write one in full."
                )
        try:
            return self._groups[id]
        except KeyError:
            raise RequestError(
                f"The circuit has no group {id!r}.{near(id, self._groups)}"
            ) from None

    def inputs(self, id: str) -> tuple[GroupEdge, ...]:
        """Return the edges into a group from the layer below, strongest first."""
        return self._strongest(edge for edge in self.edges if edge.upper == id)

    def outputs(self, id: str) -> tuple[GroupEdge, ...]:
        """Return the edges from a group to the layer above, strongest first."""
        return self._strongest(edge for edge in self.edges if edge.lower == id)

    @staticmethod
    def _strongest(edges: Any) -> tuple[GroupEdge, ...]:
        return tuple(sorted(edges, key=lambda edge: -abs(edge.weight)))

    def __repr__(self) -> str:
        """Return one line, without the weights."""
        groups = sum(len(layer.groups) for layer in self.layers)
        return (
            f"<{type(self).__name__} of {self.target.name!r} in {self.model.reference}: "
            f"{len(self.layers)} layers, {groups} groups, {len(self.edges)} edges>"
        )

    __str__ = __repr__


C = TypeVar("C", bound=CircuitData)
"""the type of circuit that a function takes and returns"""
