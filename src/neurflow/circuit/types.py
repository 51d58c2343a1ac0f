"""The result: neurons, their meanings, the groups they form, and how groups act on groups.

Frozen types with data and look-ups; nothing here computes or touches a file. ::

    Circuit
    ├── layers: CircuitLayer, input side first
    │   ├── neurons: index → Neuron a
    │   │   └── semantic_groups: SemanticGroup V_a^i, with weights w(a, s, V_a^i) and concept vector
    │   └── groups: NeuronGroup G, members are (neuron, semantic group) pairs
    └── edges: GroupEdge W(G, H)

The same types are the schema of the file on disk (``storage``) and of the page (``neurflow.pages``).
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
    PlainSerializer,
    PlainValidator,
    SerializationInfo,
    ValidationInfo,
    WithJsonSchema,
)

from neurflow.circuit.evidence import Evidence, Rejected
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


def _pack(array: np.ndarray | None, info: SerializationInfo) -> Any:
    """Hand an array to the store in the context, and leave its address in the JSON."""
    if array is None:
        return None
    store = (info.context or {}).get("arrays")
    return array.tolist() if store is None else store.put(array)


def _unpack(value: Any, info: ValidationInfo) -> np.ndarray:
    """An array as given, as a list of numbers, or as an address in the store of the context."""
    store = (info.context or {}).get("arrays")
    array = store.get(value) if store is not None else np.asarray(value, dtype=np.float32)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("a vector of finite numbers is needed")
    array.setflags(write=False)
    return array


Vector = Annotated[
    np.ndarray,
    PlainValidator(_unpack),
    PlainSerializer(_pack),
    WithJsonSchema({"type": "array", "items": {"type": "number"}}),
]
"""A frozen one-dimensional float32 array; in storage it lives in the array file, not in JSON."""
MaybeVector = Annotated[
    np.ndarray | None,
    PlainValidator(lambda value, info: None if value is None else _unpack(value, info)),
    PlainSerializer(_pack),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]}),
]
"""A ``Vector``, or None."""


Plain = (
    bool
    | int
    | float
    | Annotated[str, Field(max_length=100)]
    | Annotated[tuple[int | float, ...], Field(max_length=64)]
    | None
)
"""a setting of a preprocessing"""
ClassNames = Annotated[
    tuple[Annotated[str, Field(max_length=2000)], ...], Field(max_length=1_000_000)
]


class SemanticGroup(Frozen):
    """V_a^i: crops of one neuron that share a meaning, and what drives the neuron on them."""

    crops: tuple[Index, ...]
    """positions in ``Neuron.crops``, strongest first"""
    weights: dict[Index, float]
    """core neuron s of the layer below → signed w(a, s, V_a^i); absolute values sum to 1

    Empty at l_0, and where nothing acts on the neuron.
    """
    shares: dict[Index, tuple[float, ...]] = Field(default_factory=dict)
    """core neuron s with several meanings → share of these crops that are nearest to each

    How the weight of s is split among the groups that hold its meanings; adds up to 1. Missing in
    results of earlier versions.
    """
    attributions: MaybeVector = None
    """T(a, s, v) of each crop and core neuron, in the order of ``crops`` and ``weights``, crop by crop

    None where nothing acts on the neuron, and in results of earlier versions.
    """
    concept_vector: Vector
    """``[neuron of the previous layer]`` mean pooled activation over the crops (at l_0: of l_0)"""

    def __eq__(self, other: object) -> bool:
        """Equal crops, weights and vector; numpy's own ``==`` gives no single answer."""
        return (
            isinstance(other, SemanticGroup)
            and self.crops == other.crops
            and self.weights == other.weights
            and self.shares == other.shares
            and np.array_equal(self.concept_vector, other.concept_vector)
            and _equal(self.attributions, other.attributions)
        )

    __hash__ = None  # type: ignore[assignment]


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


RuleName = Literal["gauss", "secants", "midpoints", "steep", "sinh", "graded"]
"""how the points of an integration lie (``attribution.integrated_gradients``)"""


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
    """φ_a of each crop, descending; of a difference of classes, those for the second one follow, the
    most negative first"""
    semantic_groups: tuple[SemanticGroup, ...]
    """largest first; every crop belongs to exactly one"""
    importance: dict[Index, float] = Field(default_factory=dict)
    """core neuron s → mean |IG| over V_a, largest first. Empty at l_0"""
    steps: Index | None = None
    """points N of the integration; None at l_0"""
    rule: RuleName | None = None
    """how the points lie; None at l_0"""
    score_error: float | None = None
    """estimated Σ |IG at N − IG| over V_a and the layer below, relative to Σ |IG|: the upper end of a
    one-sided 97.5 % interval from some crops of V_a"""
    cancellation: Annotated[float, Field(ge=1)] | None = None
    """Σ_s |IG_s| over |Σ_s IG_s|, both summed over V_a: how much of the scores takes back what others
    give. 1 is nothing; None at l_0, where the sums are 0, and in results of earlier versions"""
    completeness_error: float | None = None
    """|Σ_s IG_s − (φ_a(x) − φ_a(0))| summed over V_a, relative to the summed |φ_a(x) − φ_a(0)|; None
    where the rule completes by construction"""
    histogram: Histogram | None = None
    """of φ_a over all crops of the concept set; None in results of earlier versions"""

    @property
    def core_neurons(self) -> tuple[int, ...]:
        """S_a: neurons of the layer below, most important first."""
        return tuple(self.importance)


class Calibration(Frozen):
    """What a group does on the concept set: the measure for its scores on other pictures."""

    means: tuple[float, ...]
    """mean φ of each of the group's neurons over the group's crops, in the order of the neurons"""
    crop_scores: tuple[float, ...]
    """the group's score on each of its crops"""
    image_scores: tuple[float, ...]
    """and on each image of the concept set: that of the image's best crop"""


class NeuronGroup(Frozen):
    """G: (neuron, semantic group) pairs of a layer whose concept vectors fall together."""

    id: GroupId
    """``LAYER/NUMBER``; numbers count from 0, largest group first"""
    members: tuple[Member, ...]
    crops: tuple[Crop, ...]
    """the group's crops, those that most members share first, then the strongest"""
    label: str | None = None
    """a few words for what its crops share"""
    caption: str | None = None
    """the same in a sentence"""
    evidence: Evidence | None = None
    """who gave the label, and how it was validated"""
    rejected: tuple[Rejected, ...] = ()
    """labels that a person rejected"""
    calibration: Calibration | None = Field(
        default=None,
        validation_alias=AliasChoices("calibration", "usual"),
        serialization_alias="usual",
    )
    """None in results that were made before it was stored"""
    usual = FormerName("calibration")
    stability: Interval | None = None
    """Jaccard of its neurons with those of the group most like it when the circuit is found again on
    resampled images: mean, 5th and 95th percentile; None until ``neurflow evaluate`` has measured it"""

    @property
    def neurons(self) -> tuple[int, ...]:
        """The neurons of its members, each once, in ascending order."""
        return tuple(sorted({member.neuron for member in self.members}))


class GroupTree(Frozen):
    """How the pairs of a layer join, step by step: every cut of it is a grouping (``Circuit.cut``).

    Of n pairs, the branches are the pairs 0 … n − 1 themselves, and n + i made by merge i.
    """

    members: Annotated[tuple[Member, ...], Field(min_length=1)]
    """the pairs"""
    merges: tuple[tuple[Index, Index], ...]
    """the two branches that each of the n − 1 merges joins, the most alike first"""
    heights: tuple[float, ...]
    """distance of the two, of each merge; ascending"""
    numbers: tuple[Index, ...]
    """number of each of the 2n − 1 branches in the id of its group; the same in every cut"""
    returns: tuple[float | None, ...]
    """how far each branch comes back on halves of the images: 1 always, 0 no more than by chance

    None for a pair by itself and for the whole layer, which always do, and where it was not measured.
    """
    agreement: tuple[float, ...] = ()
    """kappa of halves of the images, of the cut into 1, 2, … groups, as far as it was measured"""
    default: Annotated[int, Field(ge=1)]
    """groups that discovery cut it into"""


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
    """mean φ of every neuron of the layer over all crops of the concept set; () where not kept"""

    def returns(self, group: NeuronGroup) -> float | None:
        """How far a group comes back on halves of the images: ``GroupTree.returns`` of its branch.

        None where that was not measured, and of a group made by hand.
        """
        if self.tree is None:
            return None
        found = dict(zip(self.tree.numbers, self.tree.returns, strict=True))
        return found.get(group.id.number)

    @property
    def score_error(self) -> float | None:
        """The largest of its neurons; None at l_0."""
        known = [n.score_error for n in self.neurons.values() if n.score_error is not None]
        return max(known, default=None)

    @property
    def measured(self) -> tuple[NeuronGroup, ...]:
        """The groups of which it is known what is usual: all but those made by hand (``edits``)."""
        return tuple(group for group in self.groups if group.calibration is not None)


class GroupEdge(Frozen):
    """W(G, H): signed weight with which the lower group H drives the upper group G."""

    upper: GroupId
    lower: GroupId
    weight: float
    positive: Annotated[float, Field(ge=0)] | None = None
    negative: Annotated[float, Field(le=0)] | None = None
    """its part that drives and its part that holds back; None in results that did not keep them"""
    low: float | None = None
    high: float | None = None
    """ends of the 95 % interval of the weight on resamples of the photographs (``uncertainty``); None
    where fewer than three photographs are behind it, and in results of earlier versions"""
    significance: Annotated[float, Field(gt=0, le=1)] | None = None
    """p-value: how often |W| is as large when the lower layer's pairs are dealt to groups at random"""
    stability: Share | None = None
    """share of resamples of the images in which the edge is found again with the same sign"""

    @property
    def certain(self) -> bool | None:
        """Whether all of the interval has one sign; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return self.low > 0 or self.high < 0


class CircuitData(Frozen):
    """The fields and look-ups of a circuit; ``circuit.Circuit`` adds files, tables and the page."""

    model: ModelInfo
    class_names: ClassNames = ()
    """of the model, in the order of the logits; () where it has none, or they were not kept"""
    preprocessing: dict[str, Plain] | None = None
    """settings of ``model.preprocessing.Preprocessing``; None for a transform of the user's own"""
    target: Target
    config: Annotated[Config, BeforeValidator(Config.stored)]
    images: tuple[ImageRef, ...]
    """the concept set's images"""
    skipped: tuple[SkippedImage, ...] = ()
    crop_count: Index
    """size of the concept set D in crops"""
    layers: tuple[CircuitLayer, ...]
    """input side first; the last holds the target"""
    edges: tuple[GroupEdge, ...]
    notes: tuple[str, ...] = ()
    """remarks for the user: fallbacks, too few crops, …"""
    thumbnails: Mapping[Crop, bytes] = Field(default_factory=dict, exclude=True, repr=False)
    """WebP pictures of the exemplars; crops that are nobody's exemplar have none"""
    pictures: Mapping[int, bytes] = Field(default_factory=dict, exclude=True, repr=False)
    """WebP pictures of images, whole: those that groups are shown on"""
    heat: Mapping[tuple[str, int], HeatMap] = Field(default_factory=dict, exclude=True, repr=False)
    """(group, image) → where the group fires on it"""

    @cached_property
    def _groups(self) -> dict[str, NeuronGroup]:
        return {group.id: group for layer in self.layers for group in layer.groups}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values; it looks its groups up anew."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("_groups", None)
        return copy

    def layer(self, name: str) -> CircuitLayer:
        """The layer called ``name``; ``LayerError`` with similar names if there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        raise LayerError(f"The circuit has no layer {name!r}.{near(name, names)}")

    def group(self, id: str) -> NeuronGroup:
        """The group called ``LAYER/NUMBER``; ``RequestError`` with similar names if there is none."""
        try:
            return self._groups[id]
        except KeyError:
            raise RequestError(
                f"The circuit has no group {id!r}.{near(id, self._groups)}"
            ) from None

    def inputs(self, id: str) -> tuple[GroupEdge, ...]:
        """Edges into a group from the layer below, strongest first."""
        return self._strongest(edge for edge in self.edges if edge.upper == id)

    def outputs(self, id: str) -> tuple[GroupEdge, ...]:
        """Edges from a group to the layer above, strongest first."""
        return self._strongest(edge for edge in self.edges if edge.lower == id)

    @staticmethod
    def _strongest(edges: Any) -> tuple[GroupEdge, ...]:
        return tuple(sorted(edges, key=lambda edge: -abs(edge.weight)))

    def __repr__(self) -> str:
        """One line: thousands of weights say nothing."""
        groups = sum(len(layer.groups) for layer in self.layers)
        return (
            f"<{type(self).__name__} of {self.target.name!r} in {self.model.reference}: "
            f"{len(self.layers)} layers, {groups} groups, {len(self.edges)} edges>"
        )

    __str__ = __repr__


C = TypeVar("C", bound=CircuitData)
"""the kind of circuit that a function takes and returns"""
