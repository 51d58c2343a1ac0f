"""From what the stages found to the frozen ``Circuit``, with pictures of the exemplars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from neurflow.circuit import (
    CircuitLayer,
    GroupEdge,
    Histogram,
    Neuron,
    NeuronGroup,
    SemanticGroup,
)
from neurflow.circuit.interactions import Drive, edge, exemplars, flows
from neurflow.circuit.scores import calibrate
from neurflow.config import Config
from neurflow.decoding import webp
from neurflow.method.concepts import Concept
from neurflow.method.core_neurons import Core
from neurflow.method.grouping.features import Seen
from neurflow.method.groups import drives, neuron_groups
from neurflow.model import Model
from neurflow.pictures.crops import CropSet
from neurflow.refs import Crop, GroupId, Member
from neurflow.study.activations import Activations, blocks

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
    images = activations.crops.image_of(np.arange(len(activations.crops)))
    grouped = {
        name: neuron_groups(concepts[name], Seen(activations[name], images), config)
        for name in layers
    }
    groups = {name: found.groups for name, found in grouped.items()}
    pairs: dict[Member, Drive] = {}
    frozen, edges = [], []
    for position, name in enumerate(layers):
        if position:
            lower, previous = layers[position - 1], layers[max(position - 2, 0)]
            pairs = drives(concepts[name], concepts[lower], cores[name], activations[previous])
            found = flows(groups[name], groups[lower], pairs, config)
            edges += [
                edge(GroupId(name, g), GroupId(lower, h), flow)
                for (g, h), flow in sorted(found.items())
            ]
        subtracted = minus if name == layers[-1] else None
        phi = np.concatenate(list(blocks(activations[name], list(concepts[name]), subtracted)))
        neurons = {
            a: _neuron(
                a,
                concept,
                cores.get(name, {}).get(a),
                [pairs.get(Member(a, i)) for i in range(len(concept.parts))],
                activations.crops,
                _histogram(values),
            )
            for (a, concept), values in zip(concepts[name].items(), phi.T, strict=True)
        }
        frozen.append(
            CircuitLayer(
                name=name,
                neurons=neurons,
                groups=tuple(
                    _group(GroupId(name, i), members, neurons, activations, subtracted)
                    for i, members in enumerate(groups[name])
                ),
                tree=grouped[name].tree,
                note=grouped[name].note,
                means=tuple(activations[name].mean(axis=0, dtype=np.float64).tolist()),
            )
        )
    return tuple(frozen), tuple(edges)


def _neuron(
    index: int,
    concept: Concept,
    core: Core | None,
    driven: Sequence[Drive | None],
    crops: CropSet,
    histogram: Histogram,
) -> Neuron:
    parts = tuple(
        SemanticGroup(
            crops=tuple(positions.tolist()),
            weights=dict(drive.weights) if drive else {},
            shares=dict(drive.shares) if drive else {},
            concept_vector=vector,
        )
        for positions, drive, vector in zip(concept.parts, driven, concept.vectors, strict=True)
    )
    return Neuron(
        index=index,
        crops=tuple(map(crops.crop, concept.crops)),
        activations=tuple(concept.phi.tolist()),
        semantic_groups=parts,
        importance=dict(core.importance) if core else {},
        steps=core.steps if core else None,
        rule=core.rule if core else None,
        score_error=core.score_error if core else None,
        completeness_error=core.completeness_error if core else None,
        histogram=histogram,
    )


def _histogram(phi: np.ndarray) -> Histogram:
    """Of one neuron's activations ``[crop]``."""
    counts, ends = np.histogram(phi, bins=BINS)
    return Histogram(low=float(ends[0]), high=float(ends[-1]), counts=tuple(counts.tolist()))


def _group(
    id: GroupId,
    members: Sequence[Member],
    neurons: Mapping[int, Neuron],
    activations: Activations,
    minus: int | None,
) -> NeuronGroup:
    group = NeuronGroup(id=id, members=tuple(members), crops=exemplars(members, neurons))
    array, crops = activations[id.layer], activations.crops
    phi = np.concatenate(list(blocks(array, group.neurons, minus)))
    own = [crops.number(crop) for crop in group.crops]
    return group.model_copy(update={"calibration": calibrate(phi, own, len(crops.boxes))})


def thumbnails(model: Model, crops: CropSet, layers: Sequence[CircuitLayer]) -> dict[Crop, bytes]:
    """WebP pictures of the crops that a person will be shown."""
    wanted: set[Crop] = set()
    for layer in layers:
        for group in layer.groups:
            wanted.update(group.crops[:PICTURED])
        for neuron in layer.neurons.values():
            for part in neuron.semantic_groups:
                wanted.update(neuron.crops[position] for position in part.crops[: PICTURED // 4])
    return {
        crop: webp(model.picture(crops.pixels_of(crop)), THUMBNAIL, quality=80)
        for crop in sorted(wanted)
    }
