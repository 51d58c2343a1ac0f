"""Make the data of a circuit's page (:mod:`~neurflow.pages.circuit_data`).

Data that a page cannot show, such as concept vectors, are left out. Numbers are rounded to six digits;
with all digits they would take a third of a large page.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from neurflow.circuit import (
    Circuit,
    CircuitLayer,
    Histogram,
    Neuron,
    NeuronGroup,
    SemanticGroup,
)
from neurflow.circuit.evidence import Evidence
from neurflow.circuit.group_columns import GROUP_COLUMNS, figures
from neurflow.circuit.interactions import exemplars, weights_are_shares
from neurflow.circuit.trees import branches
from neurflow.circuit.uncertainty import branch_intervals
from neurflow.pages.circuit_data import (
    ColumnData,
    CropData,
    EdgeData,
    EvidenceData,
    GroupData,
    HistogramData,
    LayerData,
    MeaningData,
    NeuronData,
    PageData,
    SightData,
    SpreadData,
    TreeData,
)
from neurflow.pages.model_name import model_name
from neurflow.pages.page_data import data_uri
from neurflow.pictures.crops import Box
from neurflow.refs import Crop, HeatMap, Member

CROPS_PER_GROUP = 16
CROPS_PER_MEANING = 4
CROPS_PER_BRANCH = 8
"""crops listed for a branch of the tree that is not a group of the stored cut"""
CERTAIN_CUTS = 24
"""largest number of groups of a cut whose weights have intervals on the page"""


class _Crops:
    """Tables of crops and pictures, each listed once."""

    def __init__(self, circuit: Circuit) -> None:
        self._thumbnails, self._pictures = circuit.thumbnails, circuit.pictures
        self._heat = circuit.heat
        self._places: dict[int, int] = {}
        self._numbers: dict[Crop, int] = {}
        self.crops: list[CropData] = []
        self.pictures: list[str] = []

    def sights(self, group: NeuronGroup, count: int) -> list[SightData]:
        """Return the images of a group's first crops that have a picture."""
        boxes: dict[int, list[Box]] = {}
        for crop in group.crops[:count]:
            boxes.setdefault(crop.image, []).append(crop.box)
        return [
            SightData(
                image=image,
                picture=self._whole(image),
                boxes=found,
                heat=_heat(self._heat.get((group.id, image))),
            )
            for image, found in boxes.items()
            if image in self._pictures
        ][: max(count // 2, 1)]

    def _whole(self, image: int) -> int:
        if image not in self._places:
            self._places[image] = self._kept(self._pictures[image])
        return self._places[image]

    def _kept(self, picture: bytes) -> int:
        self.pictures.append(data_uri(picture))
        return len(self.pictures) - 1

    def exemplars(self, crops: Sequence[Crop], count: int) -> list[int]:
        """Return positions of a group's crops: one of each image first, then a second of each, …

        Crops without a picture come last.
        """
        seen: Counter[int] = Counter()
        turns = []
        for crop in crops:
            turns.append((crop not in self._thumbnails, seen[crop.image]))
            seen[crop.image] += 1
        order = sorted(range(len(crops)), key=turns.__getitem__)
        return self.numbers(crops[i] for i in order[:count])

    def known(self, crops: Iterable[Crop]) -> list[Crop]:
        """Return the crops that are in the table with a picture."""
        return [crop for crop in crops if crop in self._numbers and crop in self._thumbnails]

    def numbers(self, crops: Iterable[Crop]) -> list[int]:
        """Return positions of crops in the table; add those that are new."""
        return [self._number(crop) for crop in crops]

    def _number(self, crop: Crop) -> int:
        if crop not in self._numbers:
            picture = self._thumbnails.get(crop)
            place = None if picture is None else self._kept(picture)
            self._numbers[crop] = len(self.crops)
            self.crops.append(CropData(image=crop.image, box=crop.box, picture=place))
        return self._numbers[crop]


def payload(
    circuit: Circuit,
    *,
    crops_per_group: int = CROPS_PER_GROUP,
    crops_per_meaning: int = CROPS_PER_MEANING,
) -> PageData:
    """Return the page's data; the numbers of crops for a group and for a meaning bound its size."""
    crops = _Crops(circuit)
    # The page opens at the target, so the pictures of its layer come first.
    from_target = [
        _layer(layer, crops, crops_per_group, crops_per_meaning)
        for layer in reversed(circuit.layers)
    ]
    return PageData(
        target=circuit.target.name,
        model=model_name(circuit.model.reference),
        images=[image.name for image in circuit.images],
        side=circuit.model.input_size[1:],
        skipped=[(image.name, image.reason) for image in circuit.skipped],
        notes=list(circuit.notes),
        crop_count=circuit.crop_count,
        tau=circuit.config.tau,
        k=circuit.config.k,
        steps=circuit.config.steps,
        shares=weights_are_shares(circuit.config),
        aggregation=circuit.config.aggregation,
        sharing=circuit.config.sharing,
        group_columns=_columns(from_target),
        layers=from_target[::-1],
        edges=[
            EdgeData(
                upper=edge.upper,
                lower=edge.lower,
                weight=_short(edge.weight),
                positive=_maybe(edge.positive),
                negative=_maybe(edge.negative),
                low=_maybe(edge.low),
                high=_maybe(edge.high),
                significance=_maybe(edge.significance),
                stability=_maybe(edge.stability),
            )
            for edge in circuit.edges
        ],
        spreads=_spreads(circuit),
        crops=crops.crops,
        pictures=crops.pictures,
    )


def _columns(layers: Sequence[LayerData]) -> list[ColumnData]:
    known = {name for layer in layers for group in layer.groups for name in group.figures}
    return [
        ColumnData(key=each.name, title=each.title, about=each.about, form=each.form)
        for each in GROUP_COLUMNS
        if each.name in known
    ]


def _spreads(circuit: Circuit) -> list[SpreadData]:
    spreads = []
    for lower, upper in pairwise(circuit.layers):
        if not (_is_cut(upper) and _is_cut(lower)):
            continue
        found = branch_intervals(upper, lower, circuit.config, CERTAIN_CUTS)
        if found:
            above, below = (dict.fromkeys(ends[i].number for ends in found) for i in (0, 1))
            spreads.append(
                SpreadData(
                    upper=upper.name,
                    above=list(above),
                    below=list(below),
                    low=[float(f"{low:.3g}") for low, _ in found.values()],
                    high=[float(f"{high:.3g}") for _, high in found.values()],
                )
            )
    return spreads


def _heat(found: HeatMap | None) -> tuple[int, int, str] | None:
    if found is None:
        return None
    return found.height, found.width, base64.b64encode(found.values).decode()


def _short(value: float) -> float:
    """Round to six significant digits: more than is shown, and half as long as full precision."""
    return float(f"{value:.6g}")


def _maybe(value: float | None) -> float | None:
    return None if value is None else _short(value)


def _layer(
    layer: CircuitLayer, crops: _Crops, crops_per_group: int, crops_per_meaning: int
) -> LayerData:
    group_of = {member: group.id for group in layer.groups for member in group.members}
    groups = [_group(layer, group, crops, crops_per_group) for group in layer.groups]
    neurons = {
        a: _neuron(neuron, group_of, crops, crops_per_meaning)
        for a, neuron in layer.neurons.items()
    }
    return LayerData(
        name=layer.name,
        groups=groups,
        neurons=neurons,
        note=layer.note,
        tree=_tree(layer, crops),
    )


def _group(layer: CircuitLayer, group: NeuronGroup, crops: _Crops, count: int) -> GroupData:
    returns = layer.returns(group)
    return GroupData(
        id=group.id,
        label=group.label,
        caption=group.caption,
        evidence=_evidence(group.evidence),
        members=[(m.neuron, m.semantic_group) for m in group.members],
        crops=crops.exemplars(group.crops, count),
        sights=crops.sights(group, count),
        stability=group.stability,
        returns=None if returns is None else round(returns, 3),
        figures={name: _short(value) for name, value in figures(layer, group).items()},
        measured=group.calibration is not None,
        scores=[round(x, 2) for x in group.calibration.image_scores] if group.calibration else [],
    )


def _tree(layer: CircuitLayer, crops: _Crops) -> TreeData | None:
    """Return the layer's tree, or None if its groups are not a cut of it.

    Crops of the branches are chosen among those that the page shows anyway.
    """
    tree = layer.tree
    if tree is None or not _is_cut(layer):  # the first test is for the type checker
        return None
    pairs = len(tree.members)
    owns = branches(tree.merges)[pairs:]
    stored = {frozenset(group.members) for group in layer.groups}

    def listed(members: Sequence[Member]) -> list[int]:
        if frozenset(members) in stored:
            return []
        return crops.exemplars(crops.known(exemplars(members, layer.neurons)), CROPS_PER_BRANCH)

    return TreeData(
        members=[(m.neuron, m.semantic_group) for m in tree.members],
        merges=list(tree.merges),
        numbers=list(tree.numbers),
        returns=[None if value is None else round(value, 2) for value in tree.returns],
        agreement=[round(value, 2) for value in tree.agreement],
        crops=[listed([tree.members[p] for p in own.nonzero()[0]]) for own in owns],
    )


def _is_cut(layer: CircuitLayer) -> bool:
    """Return whether every group is a branch of the layer's tree; groups edited by hand are not."""
    tree = layer.tree
    if tree is None:
        return False
    owns = branches(tree.merges)
    known = {
        number: frozenset(tree.members[p] for p in own.nonzero()[0])
        for number, own in zip(tree.numbers, owns, strict=True)
    }
    return all(known.get(group.id.number) == frozenset(group.members) for group in layer.groups)


def _evidence(evidence: Evidence | None) -> EvidenceData | None:
    if evidence is None:
        return None
    return EvidenceData(
        source=evidence.source,
        author=evidence.author,
        time=evidence.time.isoformat(timespec="seconds"),
        pinned=evidence.pinned,
        confidence=evidence.confidence,
        features=list(evidence.features),
        combination=evidence.combination,
        words=[(word, score) for word, score in evidence.words],
        validation=evidence.validation,
        concept=evidence.concept,
        doubt=evidence.doubt,
    )


def _neuron(
    neuron: Neuron, group_of: Mapping[Member, str], crops: _Crops, crops_per_meaning: int
) -> NeuronData:
    return NeuronData(
        index=neuron.index,
        strongest=_short(neuron.activations[0]),
        weakest=_short(neuron.activations[-1]),
        meanings=[
            _meaning(neuron, part, group_of[Member(neuron.index, i)], crops, crops_per_meaning)
            for i, part in enumerate(neuron.semantic_groups)
        ],
        steps=neuron.steps,
        rule=neuron.rule,
        score_error=neuron.score_error,
        cancellation=neuron.cancellation,
        completeness_error=neuron.completeness_error,
        histogram=_histogram(neuron.histogram),
    )


def _histogram(found: Histogram | None) -> HistogramData | None:
    if found is None:
        return None
    low, high = _short(found.low), _short(found.high)
    return HistogramData(low=low, high=high, counts=list(found.counts))


def _meaning(
    neuron: Neuron, part: SemanticGroup, group: str, crops: _Crops, count: int
) -> MeaningData:
    shown = part.crops[:count]
    return MeaningData(
        group=group,
        size=len(part.crops),
        mean=_short(fmean(neuron.activations[p] for p in part.crops)),
        least=_short(min(neuron.activations[p] for p in part.crops)),
        crops=crops.numbers(neuron.crops[p] for p in shown),
        activations=[_short(neuron.activations[p]) for p in shown],
        weights={s: _short(weight) for s, weight in part.weights.items()},
        shares={s: [_short(share) for share in found] for s, found in part.shares.items()},
    )
