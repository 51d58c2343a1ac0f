"""From what the stages found to the frozen ``Circuit``, with pictures of the exemplars."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from PIL import Image

from neurflow.activations import Activations, blocks
from neurflow.circuit import (
    CircuitLayer,
    Crop,
    GroupEdge,
    Histogram,
    Member,
    Neuron,
    NeuronGroup,
    SemanticGroup,
)
from neurflow.concepts import Concept
from neurflow.config import Config
from neurflow.core_neurons import Core
from neurflow.crops import CropSet
from neurflow.groups import Groups, group_interactions, neuron_groups
from neurflow.model import Model
from neurflow.scores import usual

GROUP_CROPS = 64
"""crops listed for a group"""
PICTURED = 16
"""crops of a group that get a thumbnail; of a semantic group a quarter of it"""
BINS = 24
"""of a neuron's histogram of activations"""
THUMBNAIL = 112
"""longest side of a thumbnail in pixels"""


def assemble(
    activations: Activations,
    layers: Sequence[str],
    concepts: Mapping[str, Mapping[int, Concept]],
    cores: Mapping[str, Mapping[int, Core]],
    config: Config,
    *,
    minus: int | None = None,
) -> tuple[tuple[CircuitLayer, ...], tuple[GroupEdge, ...]]:
    """Group each layer's neurons, weigh the groups' interactions, and freeze both.

    ``minus`` is the class that a difference subtracts, in the last layer.
    """
    groups = {name: neuron_groups(concepts[name], config) for name in layers}
    frozen = []
    for name in layers:
        last = name == layers[-1]
        subtracted = minus if last else None
        phi = np.concatenate(list(blocks(activations[name], list(concepts[name]), subtracted)))
        neurons = {
            a: _neuron(
                a, concept, cores.get(name, {}).get(a), activations.crops, _histogram(values)
            )
            for (a, concept), values in zip(concepts[name].items(), phi.T, strict=True)
        }
        frozen.append(
            CircuitLayer(
                name=name,
                neurons=neurons,
                groups=tuple(
                    _group(f"{name}/{i}", members, neurons, activations, subtracted)
                    for i, members in enumerate(groups[name])
                ),
                means=tuple(activations[name].mean(axis=0, dtype=np.float64).tolist()),
            )
        )
    return tuple(frozen), tuple(_edges(activations, layers, groups, concepts, cores, config))


def _neuron(
    index: int, concept: Concept, core: Core | None, crops: CropSet, histogram: Histogram
) -> Neuron:
    parts = tuple(
        SemanticGroup(
            crops=tuple(positions.tolist()),
            weights=dict(core.weights[i]) if core else {},
            concept_vector=concept.vectors[i],
        )
        for i, positions in enumerate(concept.parts)
    )
    return Neuron(
        index=index,
        crops=tuple(map(crops.crop, concept.crops)),
        activations=tuple(concept.phi.tolist()),
        semantic_groups=parts,
        importance=dict(core.importance) if core else {},
        steps=core.steps if core else None,
        completeness_error=core.completeness_error if core else None,
        histogram=histogram,
    )


def _histogram(phi: np.ndarray) -> Histogram:
    """Of one neuron's activations ``[crop]``."""
    counts, ends = np.histogram(phi, bins=BINS)
    return Histogram(low=float(ends[0]), high=float(ends[-1]), counts=tuple(counts.tolist()))


def _group(
    id: str,
    members: Sequence[Member],
    neurons: Mapping[int, Neuron],
    activations: Activations,
    minus: int | None,
) -> NeuronGroup:
    group = NeuronGroup(id=id, members=tuple(members), crops=_exemplars(members, neurons))
    array, crops = activations[id.rpartition("/")[0]], activations.crops
    phi = np.concatenate(list(blocks(array, group.neurons, minus)))
    own = [crops.number(crop) for crop in group.crops]
    return group.model_copy(update={"usual": usual(phi, own, len(crops.boxes))})


def _exemplars(members: Sequence[Member], neurons: Mapping[int, Neuron]) -> tuple[Crop, ...]:
    """A group's crops: those most members share first, then the strongest for their neuron."""
    shared: Counter[Crop] = Counter()
    strength: dict[Crop, float] = {}
    for a, i in members:
        neuron = neurons[a]
        peak = abs(neuron.activations[0]) or 1.0
        for position in neuron.semantic_groups[i].crops:
            crop = neuron.crops[position]
            shared[crop] += 1
            strength[crop] = max(strength.get(crop, -np.inf), neuron.activations[position] / peak)
    order = sorted(shared, key=lambda crop: (-shared[crop], -strength[crop], crop))
    return tuple(order[:GROUP_CROPS])


def _edges(
    activations: Activations,
    layers: Sequence[str],
    groups: Mapping[str, Groups],
    concepts: Mapping[str, Mapping[int, Concept]],
    cores: Mapping[str, Mapping[int, Core]],
    config: Config,
) -> Iterator[GroupEdge]:
    for position, (lower, upper) in enumerate(pairwise(layers)):
        previous = layers[max(position - 1, 0)]
        found = group_interactions(
            groups[upper],
            groups[lower],
            (concepts[upper], concepts[lower]),
            cores[upper],
            activations[previous],
            config,
        )
        for (g, h), weight in sorted(found.items()):
            yield GroupEdge(upper=f"{upper}/{g}", lower=f"{lower}/{h}", weight=weight)


def thumbnails(model: Model, crops: CropSet, layers: Sequence[CircuitLayer]) -> dict[Crop, bytes]:
    """WebP pictures of the crops that a person will be shown."""
    wanted: set[Crop] = set()
    for layer in layers:
        for group in layer.groups:
            wanted.update(group.crops[:PICTURED])
        for neuron in layer.neurons.values():
            for part in neuron.semantic_groups:
                wanted.update(neuron.crops[position] for position in part.crops[: PICTURED // 4])
    return {crop: _webp(model.picture(crops.pixels_of(crop))) for crop in sorted(wanted)}


def _webp(picture: Image.Image) -> bytes:
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=80)
    return data.getvalue()
