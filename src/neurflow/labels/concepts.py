"""A check of labels in the manner of CoSy: do a group's neurons respond to pictures of its label?

It needs the model, and pictures in folders named after concepts.

1. Pool the activations φ of the circuit's layers on every picture.
2. A group's score on a picture is the geometric mean of its neurons' max(φ, 0), each relative to its
   mean over the crops of the group, so that strongly active neurons do not dominate.
3. The AUPRC of a concept is the average precision of this score for finding the concept's pictures. For
   an unrelated group it equals the share of the concept's pictures.
4. The check of a label reports the AUPRC of the concept that it names, with an interval, and the rank
   of the concept among all concepts, by the margin of the AUPRC over the share.

CoSy (Kopf et al., 2024) generates pictures of a concept and compares the activations on them with those
on other pictures. Here the pictures are real.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurflow.circuit import Circuit, CircuitLayer, NeuronGroup
from neurflow.circuit.evidence import ConceptCheck
from neurflow.circuit.reload import same_model
from neurflow.errors import ImagesError
from neurflow.labels.validation import average_precision
from neurflow.model import Model
from neurflow.pictures.crops import CropSet
from neurflow.pictures.images import Images, UnreadableImage, load_images
from neurflow.runtime.float32 import full_float32
from neurflow.runtime.memory import MEMORY, Budget
from neurflow.runtime.progress import Progress, Silent
from neurflow.runtime.workspace import Workspace
from neurflow.stats import wilson
from neurflow.study.activations import collect

EPSILON = 1e-6


@full_float32()
def concept_checks(
    circuit: Circuit, model: Model, pictures: Any, *, progress: Progress | None = None
) -> dict[str, ConceptCheck]:
    """Check each group whose label names a concept of the pictures.

    Args:
        circuit: with labels.
        model: model of the circuit.
        pictures: a folder with one folder of pictures per concept, named after it; or any other
            labelled source that ``load_images`` accepts.
        progress: receives stages and steps.

    Returns:
        Group id → check, for the groups whose label names a concept.

    Raises:
        ModelError: the circuit was found in another model.
        ImagesError: there are fewer than two concepts.
    """
    same_model(circuit, model)
    progress = progress or Silent()
    images = load_images(pictures, model)
    readable = [i for i in range(len(images)) if _can_be_read(images, i, progress)]
    names = np.array([_plain(images.refs[i].label or "") for i in readable])
    concepts = sorted({str(name) for name in names} - {""})
    if len(concepts) < 2:
        raise ImagesError("There are fewer than two concepts. Give a folder of pictures for each.")
    layers = [layer for layer in circuit.layers if _named_groups(layer, concepts)]
    if not layers:
        return {}
    crops = CropSet(images, readable, model.input_size[1:], (1.0,))
    per_image = len(crops.boxes)
    found: dict[str, ConceptCheck] = {}
    with tempfile.TemporaryDirectory(prefix="neurflow-") as folder:
        activations = collect(
            model,
            crops,
            [layer.name for layer in layers],
            Workspace(Path(folder)),
            batch=model.batch(Budget(MEMORY, progress)),
            progress=progress,
        )
        for layer in layers:
            phi = np.asarray(activations[layer.name])
            phi = phi.reshape(len(readable), per_image, -1).max(1)
            for group, concept in _named_groups(layer, concepts):
                scores = group_scores(phi, layer, group)
                found[group.id] = _check(scores, names, concepts, concept)
    return found


def _named_groups(layer: CircuitLayer, concepts: Sequence[str]) -> list[tuple[NeuronGroup, str]]:
    """Return the groups whose label names a concept, with the concept."""
    named = ((group, named_concept(group.label, concepts)) for group in layer.groups)
    return [(group, concept) for group, concept in named if concept is not None]


def _can_be_read(images: Images, index: int, progress: Progress) -> bool:
    try:
        images.read(index)
    except UnreadableImage as error:
        progress.note(f"Skipped {images.refs[index].name}: {error}.")
        return False
    return True


def with_check(group: NeuronGroup, check: ConceptCheck, label: str | None) -> NeuronGroup:
    """Return the group with a check of its label, if the label is still the one that was checked."""
    if group.evidence is None or group.label != label:
        return group
    evidence = group.evidence.model_copy(update={"concept": check})
    return group.model_copy(update={"evidence": evidence})


def group_scores(phi: np.ndarray, layer: CircuitLayer, group: NeuronGroup) -> np.ndarray:
    """Return the log score of a group on each picture: ``[picture]``.

    Args:
        phi: ``[picture, neuron]`` pooled activations of the layer.
        layer: layer of the circuit.
        group: group of the layer.
    """
    total = np.zeros(len(phi))
    for a, i in group.members:
        neuron = layer.neurons[a]
        typical = np.mean([neuron.activations[p] for p in neuron.semantic_groups[i].crops])
        total += np.log(np.maximum(phi[:, a], 0) / (abs(typical) + EPSILON) + EPSILON)
    return total / len(group.members)


def named_concept(label: str | None, concepts: Sequence[str]) -> str | None:
    """Return the concept whose name occurs in a label in whole words; the longest if several do."""
    words = f" {_plain(label or '')} "
    named = [concept for concept in concepts if f" {concept} " in words]
    return max(named, key=len, default=None)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def _check(
    scores: np.ndarray, names: np.ndarray, concepts: Sequence[str], concept: str
) -> ConceptCheck:
    figures = {name: float(average_precision(names == name, scores)) for name in concepts}
    shares = {name: float(np.mean(names == name)) for name in concepts}
    above = {name: (figures[name] - shares[name]) / (1 - shares[name]) for name in concepts}
    order = sorted(concepts, key=lambda name: -above[name])
    return ConceptCheck(
        concept=concept,
        auprc=wilson(figures[concept], int((names == concept).sum())),
        share=shares[concept],
        rank=order.index(concept) + 1,
        concepts=len(concepts),
        best=order[0],
    )
