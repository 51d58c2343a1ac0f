"""The types of the data of a circuit's page: the contract between Python and the front end.

1. Crops and pictures are listed once and referred to by position.
2. Each layer's clustering tree is included, with crops for every branch. The page computes other cuts
   from it, with the weights that each pair keeps (``web/src/circuit/cuts.ts``).

``payload`` makes the data. ``web/src/shared/types.ts`` is generated from these types
(``pages.schema``).
"""

from __future__ import annotations

from typing import Literal

from neurflow.circuit.evidence import ConceptCheck, Validation
from neurflow.circuit.group_columns import Form
from neurflow.pages.page_data import PageModel
from neurflow.stats import Interval


class CropData(PageModel):
    """A crop, with its picture if there is one."""

    image: int
    box: tuple[int, int, int, int]
    picture: int | None
    """position in ``PageData.pictures``"""


class SightData(PageModel):
    """An image with the group's crops on it."""

    image: int
    picture: int
    """position in ``PageData.pictures``"""
    boxes: list[tuple[int, int, int, int]]
    """the group's crops in it"""
    heat: tuple[int, int, str] | None
    """height, width and base64 bytes of the group's heat map; None for layers without space"""


class HistogramData(PageModel):
    """Histogram of a neuron's activations on the concept set's crops."""

    low: float
    high: float
    counts: list[int]


class MeaningData(PageModel):
    """A semantic group of a neuron."""

    group: str
    """id of the neuron group it belongs to"""
    size: int
    """number of crops"""
    mean: float
    """mean activation over all its crops"""
    least: float
    """smallest activation of its crops"""
    crops: list[int]
    """positions of the strongest ones in ``PageData.crops``"""
    activations: list[float]
    """activation of the neuron on each of ``crops``"""
    weights: dict[int, float]
    """core neuron of the layer below → signed weight"""
    shares: dict[int, list[float]]
    """core neuron with several meanings → share of its weight for each of them"""


class NeuronData(PageModel):
    """A neuron with its meanings."""

    index: int
    strongest: float
    weakest: float
    """largest and smallest activation among its crops"""
    meanings: list[MeaningData]
    steps: int | None
    rule: str | None
    score_error: float | None
    """estimated distance of the scores from integrated gradients, relative"""
    cancellation: float | None
    """summed |score| over the absolute value of the sum"""
    completeness_error: float | None
    histogram: HistogramData | None


class EvidenceData(PageModel):
    """The evidence for a group's label."""

    source: str
    """model, words or person"""
    author: str
    time: str
    """ISO 8601"""
    pinned: bool
    confidence: float | None
    features: list[str]
    combination: str | None
    words: list[tuple[str, float]]
    """words of a vocabulary with their contrast, best first"""
    validation: Validation | None
    concept: ConceptCheck | None
    doubt: str | None
    """why the label should not be believed as it stands"""


class ColumnData(PageModel):
    """A column of the table of groups; see ``GroupColumn``."""

    key: str
    title: str
    about: str
    form: Form


class GroupData(PageModel):
    """A neuron group."""

    id: str
    label: str | None
    caption: str | None
    evidence: EvidenceData | None
    members: list[tuple[int, int]]
    """(neuron, meaning)"""
    crops: list[int]
    sights: list[SightData]
    """whole images of its first crops"""
    stability: Interval | None
    """Jaccard index with the most similar group when the circuit is found on resampled images"""
    returns: float | None
    """reproducibility of the group on halves of the images: 1 if it always recurs, 0 at chance level"""
    figures: dict[str, float]
    """column → its value, if it is known"""
    measured: bool
    """whether the group is calibrated, so that it can be scored on a picture"""
    scores: list[float]
    """its score on each image of the concept set, if they are known"""


class TreeData(PageModel):
    """The tree of a layer's pairs; see ``GroupTree``."""

    members: list[tuple[int, int]]
    """(neuron, meaning) of each pair"""
    merges: list[tuple[int, int]]
    """the two branches that each merge joins"""
    numbers: list[int]
    """number of each branch in the id of its group"""
    returns: list[float | None]
    """reproducibility of each branch"""
    agreement: list[float]
    """kappa of the cut into 1, 2, … groups on halves of the images, as far as it was measured"""
    crops: list[list[int]]
    """exemplars of the branch that each merge makes; empty for groups of the stored cut"""


class LayerData(PageModel):
    """A layer with its groups and neurons."""

    name: str
    groups: list[GroupData]
    neurons: dict[int, NeuronData]
    note: str | None
    """a note on the groups for the reader"""
    tree: TreeData | None
    """None if the result does not store it, or if groups were edited by hand"""


class EdgeData(PageModel):
    """W(G, H)."""

    upper: str
    lower: str
    weight: float
    positive: float | None
    negative: float | None
    """positive and negative part; None in results that did not store them"""
    low: float | None
    high: float | None
    """ends of the weight's 95 % interval; None if it is not known"""
    significance: float | None
    """p-value; None if it was not tested"""
    stability: float | None
    """share of resamples of the images in which it is found again; None if not measured"""


class SpreadData(PageModel):
    """95 % intervals of the weights between branches of two neighbouring layers' trees."""

    upper: str
    """layer"""
    above: list[int]
    """numbers of branches of the upper layer"""
    below: list[int]
    """numbers of branches of the lower layer"""
    low: list[float]
    """ends of the interval of each branch above with each branch below, in this order"""
    high: list[float]


class PageData(PageModel):
    """Everything the page of a circuit shows."""

    kind: Literal["circuit"] = "circuit"
    target: str
    model: str
    images: list[str]
    side: tuple[int, int]
    """height and width of the network's input, in which boxes are measured"""
    skipped: list[tuple[str, str]]
    """(name, reason)"""
    notes: list[str]
    crop_count: int
    tau: int
    k: int
    steps: int | Literal["auto"]
    shares: bool
    """whether edges are shares of the input of the upper group: means, with no weight counted twice"""
    aggregation: Literal["sum", "mean"]
    """over the pairs of the upper group"""
    sharing: Literal["conserving", "published"]
    """division of a core neuron's weight among the groups with its meanings"""
    group_columns: list[ColumnData]
    """columns of the table of groups with a known value"""
    layers: list[LayerData]
    edges: list[EdgeData]
    spreads: list[SpreadData]
    """for cuts other than the stored one; empty where they are not known"""
    crops: list[CropData]
    pictures: list[str]
    """data URIs"""
