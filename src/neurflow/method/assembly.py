"""Makes the layers and edges of a ``Circuit`` from findings, and thumbnails of the exemplars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from neurflow.circuit import (
    CircuitLayer,
    GroupEdge,
    Histogram,
    Neuron,
    NeuronGroup,
    SemanticGroup,
)
from neurflow.circuit.interactions import Drive, edge, exemplars
from neurflow.circuit.scores import calibrate
from neurflow.circuit.uncertainty import intervals
from neurflow.config import Config
from neurflow.method.concepts import Concept
from neurflow.method.core_neurons import Core
from neurflow.method.find import Findings
from neurflow.model import Model
from neurflow.pictures.crops import CropSet
from neurflow.pictures.decoding import webp
from neurflow.refs import Crop, GroupId, Member
from neurflow.study.activations import blocks
from neurflow.study.study import Study

PICTURED = 16
"""number of crops of a group with a thumbnail; a semantic group has a quarter of it"""
BINS = 24
"""number of bins of a neuron's histogram of activations"""
THUMBNAIL = 112
"""longest side of a thumbnail in pixels"""


def assemble(
    study: Study, found: Findings, config: Config
) -> tuple[tuple[CircuitLayer, ...], tuple[GroupEdge, ...]]:
    """Return the layers of the circuit and the edges between its groups."""
    layers = tuple(_layer(study, found, name) for name in study.layers)
    spreads = {
        ends: spread
        for lower, upper in pairwise(layers)
        for ends, spread in intervals(upper, lower, config).items()
    }
    edges = tuple(edge(*ends, flow, spreads.get(ends)) for ends, flow in found.edges.items())
    return layers, edges


def _layer(study: Study, found: Findings, name: str) -> CircuitLayer:
    concepts, grouping, minus = found.concepts[name], found.groupings[name], study.minus(name)
    array = study.activations[name]
    phi = np.concatenate(list(blocks(array, list(concepts), minus)))
    drives, cores = found.drives.get(name, {}), found.cores.get(name, {})
    neurons = {
        a: _neuron(
            a,
            concept,
            cores.get(a),
            [drives.get(Member(a, i)) for i in range(len(concept.parts))],
            study.crops,
            _histogram(values),
        )
        for (a, concept), values in zip(concepts.items(), phi.T, strict=True)
    }
    return CircuitLayer(
        name=name,
        neurons=neurons,
        groups=tuple(
            _group(GroupId(name, i), members, neurons, study)
            for i, members in enumerate(grouping.groups)
        ),
        tree=grouping.tree,
        note=grouping.note,
        means=tuple(study.means(name).tolist()),
    )


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
            attributions=_attributions(core, drive, positions),
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
        cancellation=core.cancellation if core else None,
        completeness_error=core.completeness_error if core else None,
        histogram=histogram,
    )


def _attributions(
    core: Core | None, drive: Drive | None, positions: np.ndarray
) -> np.ndarray | None:
    """Return T of each crop of a meaning; None if all scores of the neuron are 0."""
    if core is None or core.each is None or drive is None or not drive.weights:
        return None
    order = {s: i for i, s in enumerate(core.importance)}
    chosen = np.array([order[s] for s in drive.weights])
    return core.each[np.ix_(positions, chosen)].ravel()


def _histogram(phi: np.ndarray) -> Histogram:
    """Return the histogram of one neuron's activations ``[crop]``."""
    try:
        counts, ends = np.histogram(phi, bins=BINS)
    except ValueError:  # values that differ only by rounding, as after an instance norm
        counts, ends = np.histogram(np.full_like(phi, phi.mean()), bins=BINS)
    return Histogram(low=float(ends[0]), high=float(ends[-1]), counts=tuple(counts.tolist()))


def _group(
    id: GroupId, members: Sequence[Member], neurons: Mapping[int, Neuron], study: Study
) -> NeuronGroup:
    group = NeuronGroup(id=id, members=tuple(members), crops=exemplars(members, neurons))
    phi = study.phi(id.layer, group.neurons)
    own = [study.crops.number(crop) for crop in group.crops]
    measured = calibrate(phi, own, len(study.crops.boxes))
    return group.model_copy(update={"calibration": measured})


def thumbnails(model: Model, crops: CropSet, layers: Sequence[CircuitLayer]) -> dict[Crop, bytes]:
    """Return WebP pictures of the crops that pages show."""
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
