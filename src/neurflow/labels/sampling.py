"""Chooses the crops that a labeler sees, and those held out for the validation.

1. A group's crops are divided by image, the strongest first, so that a label is validated on images
   other than those it was made from. If all crops come from one image, they are divided by crop.
2. ``shown`` and ``held_out`` are the strongest crops of each part that overlap little with each other.
3. The other crops belong to no member's V_a^i, and as far as possible overlap no such crop. ``hard``
   crops are exemplars of the other groups of the layer; ``random`` crops are exemplars of other layers.
   About half of each fill the sample up to ``SAMPLE_SIZE``.
4. ``population`` counts the exemplars of each kind. It gives the weight of each crop of the sample.

Only crops with a stored thumbnail are used.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neurflow.circuit import Circuit, NeuronGroup
from neurflow.labels.labeler import Picture
from neurflow.refs import Crop

if TYPE_CHECKING:
    from neurflow.pictures.crops import Box

SAMPLE_SIZE = 32
"""largest number of crops that a judge sees at once"""
OVERLAP = 1 / 3
"""intersection over union from which two crops count as the same: that of neighbours of one size"""


@dataclass(frozen=True)
class Sample:
    """The crops used to label one group."""

    shown: tuple[int, ...]
    """crops that the labeler sees, as positions in ``group.crops``"""
    held_out: tuple[Crop, ...]
    random: tuple[Crop, ...]
    hard: tuple[Crop, ...]
    population: tuple[int, int, int] = (1, 1, 1)
    """numbers of exemplars that the held-out, random and hard crops represent"""


def sample(circuit: Circuit, group: NeuronGroup, shown: int, held_out: int, seed: int) -> Sample:
    """Choose the crops for one group. The choice depends only on the arguments.

    Args:
        circuit: a result with thumbnails.
        group: one of its groups.
        shown: largest number of crops for the labeler.
        held_out: largest number for the validation; other crops fill the sample up to ``SAMPLE_SIZE``.
        seed: seed of the choice of the other crops, combined with the group's id.
    """
    pictured = [crop for crop in group.crops if crop in circuit.thumbnails]
    to_show, to_hold = _split_by_image(pictured)
    kept = _non_overlapping(to_hold, held_out)
    rng = np.random.default_rng([seed, zlib.crc32(group.id.encode())])
    count = max(SAMPLE_SIZE - len(kept), len(kept)) if kept else 0
    hard, random, strangers = _others(circuit, group, count, rng)
    own = len(circuit.thumbnails) - sum(strangers)
    return Sample(
        shown=tuple(group.crops.index(crop) for crop in _non_overlapping(to_show, shown)),
        held_out=tuple(kept),
        random=tuple(random),
        hard=tuple(hard),
        population=(own, *strangers),
    )


def contrast(
    circuit: Circuit, group: NeuronGroup, chosen: Sample, count: int, seed: int
) -> tuple[Crop, ...]:
    """Return up to ``count`` crops that are neither the group's nor used in its validation."""
    rng = np.random.default_rng([seed, 1, zlib.crc32(group.id.encode())])
    used = {*chosen.random, *chosen.hard}
    order = (crop for crop in _unrelated_exemplars(circuit, group, rng) if crop not in used)
    return tuple(_non_overlapping(order, count))


def picture(circuit: Circuit, crop: Crop) -> Picture:
    """Return the thumbnail of a crop, with its place in the image."""
    left, _, right, _ = crop.box
    return Picture(circuit.thumbnails[crop], right - left, crop.image, crop.box)


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (sum(areas) - width * height)


def _split_by_image(crops: Sequence[Crop]) -> tuple[list[Crop], list[Crop]]:
    """Divide crops into two lists without a common image; each image goes to the shorter list."""
    images = list(dict.fromkeys(crop.image for crop in crops))
    if len(images) == 1:
        return list(crops[::2]), list(crops[1::2])
    sides: tuple[list[Crop], list[Crop]] = ([], [])
    for image in images:
        side = sides[len(sides[1]) < len(sides[0])]
        side += [crop for crop in crops if crop.image == image]
    return (sorted(sides[0], key=crops.index), sorted(sides[1], key=crops.index))


def _non_overlapping(crops: Iterable[Crop], count: int) -> list[Crop]:
    """Return the first ``count`` crops, leaving out those that overlap an earlier one."""
    kept: list[Crop] = []
    for crop in crops:
        if len(kept) == count:
            break
        if not any(_same(crop, other) for other in kept):
            kept.append(crop)
    return kept


def _same(one: Crop, other: Crop) -> bool:
    return one.image == other.image and overlap(one.box, other.box) >= OVERLAP


def _others(
    circuit: Circuit, group: NeuronGroup, count: int, rng: np.random.Generator
) -> tuple[list[Crop], list[Crop], tuple[int, int]]:
    """Return ``count`` hard and random crops, half of each if possible.

    Returns:
        The hard ones, the random ones, and the numbers of random and of hard exemplars.
    """
    layer = circuit.layer(group.id.layer)
    order = _unrelated_exemplars(circuit, group, rng)
    exemplars = {crop for other in layer.groups if other.id != group.id for crop in other.crops}
    siblings = [crop for crop in order if crop in exemplars]
    further = [crop for crop in order if crop not in exemplars]
    hard = _non_overlapping(siblings, (count + 1) // 2)
    random = _non_overlapping(further, count - len(hard))
    hard = _non_overlapping(siblings, count - len(random))
    return hard, random, (len(further), len(siblings))


def _unrelated_exemplars(
    circuit: Circuit, group: NeuronGroup, rng: np.random.Generator
) -> list[Crop]:
    """Return crops that are no exemplars of a member, in random order, those that overlap one last."""
    layer = circuit.layer(group.id.layer)
    own = set(group.crops)
    for a, i in group.members:
        neuron = layer.neurons[a]
        own.update(neuron.crops[position] for position in neuron.semantic_groups[i].crops)
    of_image: dict[int, list[Crop]] = {}
    for crop in own:
        of_image.setdefault(crop.image, []).append(crop)
    order = [crop for crop in sorted(circuit.thumbnails) if crop not in own]
    rng.shuffle(order)
    order.sort(
        key=lambda crop: any(
            _same(crop, member_crop) for member_crop in of_image.get(crop.image, ())
        )
    )
    return order
