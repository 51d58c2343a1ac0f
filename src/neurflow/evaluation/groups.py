"""Groups: do they recur on other pictures, does each show one thing, and how many are there?

1. An *item* is a pair of a neuron and a crop of its V_a on all images. The group of an item is that of
   the neuron's meaning whose concept vector is nearest to the crop.
2. *Agreement:* meanings and groups of the same neurons are found separately on two disjoint halves of
   the images. For two items of different neurons, each half says whether they are in one group. The
   agreement is Cohen's kappa of the two halves. Chance is estimated by shuffling the pairs of one half
   among its groups.
3. *Purity* is the mean cosine of two crops of different photographs in one group, minus that of two
   crops in different groups. The cosine is that of another network's embedding (``Settings.eyes``),
   centred. Purity is compared with that of single (neuron, meaning) pairs, and of shuffled items.
4. *Largest:* the largest share of the items, and of the absolute weight to the layer above, in one
   group.
5. *Photographs:* the median number of images in a group.
6. *Edges:* the rank correlation of the weights to the layer above on two resamples of the photographs,
   with the same groups, core neurons and crops (``circuit.uncertainty``), averaged over pairs of
   resamples. *Unsure:* the share of these edges whose 95 % interval includes 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import AliasChoices, Field

from neurflow.circuit import Circuit, CircuitLayer
from neurflow.circuit.uncertainty import resampled
from neurflow.config import Config
from neurflow.errors import RequestError
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.settings import Settings
from neurflow.evaluation.statistics import mean_interval
from neurflow.method.clustering import unit
from neurflow.method.concepts import Concept, find_concepts
from neurflow.method.grouping.features import LayerOnCrops
from neurflow.method.grouping.reproducibility import agreement
from neurflow.method.groups import neuron_groups
from neurflow.model import load_model
from neurflow.pictures.crops import CropSet
from neurflow.pictures.images import load_images
from neurflow.refs import Member
from neurflow.runtime.renaming import FormerName
from neurflow.runtime.workspace import Workspace
from neurflow.stats import Interval, correlation
from neurflow.study.activations import collect
from neurflow.study.study import Study

SHUFFLES = 10
"""number of shuffles for the estimate of chance, and of pairs of resamples"""


class GroupsRow(Row):
    """One layer."""

    layer: str = Field(description="layer")
    pairs: int = Field(description="(neuron, meaning) pairs")
    groups: int = Field(description="groups they form")
    agreement: Interval | None = Field(
        description="kappa of the groups found on disjoint halves of the images; 0 is chance"
    )
    agreement_shuffled: float | None = Field(
        description="the same with the pairs of one half shuffled",
        validation_alias=AliasChoices("agreement_shuffled", "dealt"),
    )
    largest: float = Field(description="share of (neuron, crop) items in the largest group")
    weight: float | None = Field(
        description="largest share of the weight from above in one group; None in the last layer"
    )
    photographs: float = Field(description="median number of images in a group")
    edges: float | None = Field(
        description="rank correlation of the weights to the layer above on two resamples of the "
        "photographs; None if the circuit has no attributions of single crops"
    )
    unsure: float | None = Field(description="share of these weights whose sign is not certain")
    purity: float | None = Field(
        description="mean cosine of crops within groups minus between groups, in the embedding of "
        "another network (--eyes); None without one"
    )
    alone: float | None = Field(description="purity if every pair is a group")
    chance: float | None = Field(description="purity with the items shuffled")

    dealt = FormerName("agreement_shuffled")


@dataclass(frozen=True)
class Items:
    """The (neuron, crop) pairs of a layer.

    Attributes:
        neurons: ``[item]`` index of the neuron.
        crops: ``[item]`` number of the crop in D.
        images: ``[item]`` image of the crop.
    """

    neurons: np.ndarray
    crops: np.ndarray
    images: np.ndarray


def groups(lab: Laboratory) -> Table[GroupsRow]:
    """Measure the agreement, purity and sizes of the groups of each layer below the target."""
    embedding = _embedding(lab)
    rows = [_row(lab, index, embedding) for index in range(len(lab.names) - 1)]
    notes = [] if embedding is not None else ["Purity needs another network. Give one with --eyes."]
    if any(row.agreement is None for row in rows):
        notes.append(
            "Agreement is not measured in layers with a single group, or if the halves have too few "
            "crops."
        )
    return Table(
        protocol="groups",
        title="Groups",
        question="Whether a layer's groups are found again on other pictures of the class, and whether "
        "the crops of a group are similar to another network. Good groups agree, are few, and are "
        "about as pure as single pairs.",
        chart=Chart(x="layer", y=("agreement", "purity", "alone"), y_label="agreement, purity"),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _row(lab: Laboratory, index: int, embedding: np.ndarray | None) -> GroupsRow:
    layer = lab.circuit.layers[index]
    items = items_of(layer, lab.own.crops)
    group_of = {m: g for g, group in enumerate(layer.groups) for m in group.members}
    own = {
        (a, lab.own.crops.number(neuron.crops[position])): Member(a, i)
        for a, neuron in layer.neurons.items()
        for i, part in enumerate(neuron.semantic_groups)
        for position in part.crops
    }
    pairs = [own[a, crop] for a, crop in zip(items.neurons, items.crops, strict=True)]
    label = np.array([group_of[pair] for pair in pairs])
    alone = np.unique(np.array(pairs), axis=0, return_inverse=True)[1]
    found, shuffled = agreement_of_halves(
        lab.own, layer.name, items, lab.circuit.config, lab.settings
    )
    rng = np.random.default_rng(lab.settings.seed)
    seen = [np.unique(items.images[label == g]).size for g in range(len(layer.groups))]
    measured = embedding is not None
    return GroupsRow(
        layer=layer.name,
        pairs=len(group_of),
        groups=len(layer.groups),
        agreement=mean_interval(found, lab.settings) if found else None,
        agreement_shuffled=float(np.mean(shuffled)) if shuffled else None,
        largest=float(np.bincount(label).max() / len(label)),
        weight=largest_weight(lab.circuit, layer),
        photographs=float(np.median(seen)),
        edges=edge_correlation(lab.circuit, index),
        unsure=_unsure(lab.circuit, layer),
        purity=purity(embedding, items, label) if measured else None,
        alone=purity(embedding, items, alone) if measured else None,
        chance=float(
            np.mean([purity(embedding, items, rng.permutation(label)) for _ in range(SHUFFLES)])
        )
        if measured
        else None,
    )


def items_of(layer: CircuitLayer, crops: CropSet) -> Items:
    """Return the items of a layer: each neuron with each crop of its V_a."""
    found = [(a, crops.number(c)) for a, neuron in layer.neurons.items() for c in neuron.crops]
    neurons, numbers = np.array(found).T
    return Items(neurons, numbers, crops.image_of(numbers))


def largest_weight(circuit: Circuit, layer: CircuitLayer) -> float | None:
    """Return one group's largest share of the absolute weight to the layer above.

    None if no group has an edge to the layer above.
    """
    flow = dict.fromkeys((group.id for group in layer.groups), 0.0)
    for edge in circuit.edges:
        if edge.lower in flow:
            flow[edge.lower] += abs(edge.weight)
    total = sum(flow.values())
    return max(flow.values()) / total if total else None


def edge_correlation(circuit: Circuit, index: int) -> float | None:
    """Return the mean rank correlation of the weights to the layer above on two resamples.

    Args:
        circuit: a circuit with attributions of single crops.
        index: index of the lower layer.

    Returns:
        The correlation over the edges of the circuit. None if there are fewer than three edges, or if
        the weights do not vary.
    """
    lower, upper = circuit.layers[index : index + 2]
    drawn = resampled(upper, lower, circuit.config, 2 * SHUFFLES)
    if drawn is None:
        return None
    row = {group.id: g for g, group in enumerate(upper.groups)}
    column = {group.id: h for h, group in enumerate(lower.groups)}
    ends = [(row[e.upper], column[e.lower]) for e in circuit.edges if e.lower in column]
    weights = drawn[:, [g for g, _ in ends], [h for _, h in ends]]
    pairs = zip(weights[::2], weights[1::2], strict=True)
    found = [correlation(one, other, rank=True) for one, other in pairs]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def _unsure(circuit: Circuit, layer: CircuitLayer) -> float | None:
    """Return the share of the edges to the layer above with an uncertain sign."""
    ids = {group.id for group in layer.groups}
    known = [e.certain for e in circuit.edges if e.lower in ids and e.certain is not None]
    return 1 - sum(known) / len(known) if known else None


def purity(embedding: np.ndarray | None, items: Items, label: np.ndarray) -> float:
    """Return the mean cosine of crops of different images within groups, minus that between groups.

    Args:
        embedding: ``[crop, feature]`` unit vectors.
        items: items of a layer.
        label: ``[item]`` group of each item.
    """
    assert embedding is not None
    within = np.sum([_cosines(embedding, items, label == g) for g in np.unique(label)], axis=0)
    between = _cosines(embedding, items, np.ones(len(label), dtype=bool)) - within
    inner, outer = (total / count if count else 0.0 for total, count in (within, between))
    return float(inner - outer)


def _cosines(embedding: np.ndarray, items: Items, chosen: np.ndarray) -> np.ndarray:
    """Return (sum of the cosines, number) over all pairs of chosen items from different images."""
    vectors = embedding[items.crops[chosen]]
    image = np.unique(items.images[chosen], return_inverse=True)[1]
    sums = np.zeros((image.max() + 1, vectors.shape[1]))
    np.add.at(sums, image, vectors)
    counts = np.bincount(image).astype(np.float64)
    total = vectors.sum(0)
    return np.array([total @ total - (sums**2).sum(), counts.sum() ** 2 - (counts**2).sum()])


@dataclass(frozen=True)
class Found:
    """The concepts of a layer's neurons on some images, and the group of each of their pairs."""

    concepts: Mapping[int, Concept]
    group_of: Mapping[Member, int]


def groups_on(
    study: Study,
    layer: str,
    neurons: Iterable[int],
    config: Config,
    images: np.ndarray | None = None,
) -> Found:
    """Find the groups of some neurons of a layer on some images, by default on all."""
    rows = None
    if images is not None:
        rows = np.concatenate([study.crops.of_image(i) for i in images.tolist()])
    concepts = find_concepts(study, layer, neurons, config, rows)
    seen = LayerOnCrops(study.activations[layer], study.image_of, rows)
    found = neuron_groups(concepts, seen, config)
    return Found(concepts, {m: g for g, group in enumerate(found.groups) for m in group})


def group_of_items(study: Study, layer: str, items: Items, found: Found) -> np.ndarray:
    """Return the group of each item: that of the meaning with the nearest concept vector."""
    previous = study.activations[study.below(layer)]
    label = np.empty(len(items.neurons), dtype=np.int64)
    for a, concept in found.concepts.items():
        own = np.flatnonzero(items.neurons == a)
        points = np.asarray(previous[items.crops[own]], dtype=np.float64)
        distances = ((points[:, None] - concept.vectors[None]) ** 2).sum(2)
        label[own] = [found.group_of[Member(a, int(i))] for i in distances.argmin(1)]
    return label


def agreement_of_halves(
    study: Study, layer: str, items: Items, config: Config, settings: Settings
) -> tuple[list[float], list[float]]:
    """Return kappa on two halves, and kappa with the pairs of one half shuffled, for each split.

    Args:
        study: the network on the crops of D.
        layer: a layer of the study.
        items: items of the layer.
        config: configuration of the meanings and groups.
        settings: number and seed of the splits.
    """
    images, neurons = len(study.crops.chosen), np.unique(items.neurons).tolist()
    splitting = np.random.default_rng(settings.seed)
    shuffling = np.random.default_rng([settings.seed, 1])
    found, shuffled = [], []
    for _ in range(settings.splits if images > 1 else 0):
        halves = np.split(splitting.permutation(images)[: images // 2 * 2], 2)
        try:
            one, other = (groups_on(study, layer, neurons, config, np.sort(h)) for h in halves)
        except RequestError:  # a half has too few crops
            break
        first, second = (group_of_items(study, layer, items, half) for half in (one, other))
        kappa = agreement(items.neurons, first, second)
        if kappa is None:
            continue
        found.append(kappa)
        groups = shuffling.permutation(list(other.group_of.values())).tolist()
        reshuffled = Found(other.concepts, dict(zip(other.group_of, groups, strict=True)))
        shuffled.append(
            agreement(items.neurons, first, group_of_items(study, layer, items, reshuffled)) or 0.0
        )
    return found, shuffled


def _embedding(lab: Laboratory) -> np.ndarray | None:
    """Return the centred embedding of D as unit vectors ``[crop, feature]``; None if none is given."""
    if lab.settings.eyes is None:
        return None
    file = Path(lab.settings.eyes)
    seen = _read(file, len(lab.own)) if file.suffix == ".npy" else _embedded(lab, str(file))
    return unit(seen - seen.mean(0))


def _read(file: Path, crops: int) -> np.ndarray:
    """Read an embedding of all crops from a file."""
    try:
        found = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RequestError(
            f"{file} cannot be read as an array: {error}. Give a .npy file: --eyes FILE"
        ) from None
    if found.ndim != 2 or len(found) != crops or not np.isfinite(found).all():
        raise RequestError(
            f"{file} is not an embedding of the circuit's crops. It must have a row of finite numbers "
            f"for each of the {crops} crops, image by image."
        )
    return found.astype(np.float64)


def _embedded(lab: Laboratory, reference: str) -> np.ndarray:
    """Return the pooled activations ``[crop, feature]`` of another network's last hidden layer."""
    own = lab.images
    if own is None or own.root is None:
        raise RequestError("Purity needs the pictures as files: --images FOLDER")
    model = load_model(reference)
    images = load_images(own.root, model)
    names = {ref.name: i for i, ref in enumerate(images.refs)}
    chosen = [names[ref.name] for ref in lab.circuit.images]
    granularities = lab.circuit.config.granularities
    crops = CropSet(images, chosen, model.input_size[1:], granularities)
    if len(crops) != len(lab.own):
        raise RequestError(
            f"The input of {reference} has another shape, so its crops differ. "
            "Give a network with square inputs: --eyes"
        )
    layer = [name for name in model.proposed_layers() if name != model.network.output_name][-1]
    work = Workspace(lab.work.folder / "eyes")
    batch = model.batch(lab.budget)
    phi = collect(model, crops, [layer], work, batch=batch, progress=lab.progress)[layer]
    return np.asarray(phi, dtype=np.float64)
