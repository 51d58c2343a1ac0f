"""Which crops a labeler sees, and which are kept from it for the validation.

1. A group's crops are dealt out by image, the strongest first, so that what validates a label comes
   from other images than what it was made from; a group of one image is dealt out by crop.
2. ``shown`` and ``held_out`` are the strongest of each side that overlap little among themselves.
3. The others are no crop of any member's V_a^i, and overlap none as far as there are enough such:
   ``hard`` ones are exemplars of the other groups of the layer, ``random`` ones any further exemplars.
   About half of each fill the sample up to ``LARGEST``.
4. How many exemplars there are of each kind says for how many a crop of the sample stands.

Everything works on what the result stores: crops that have a thumbnail.
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

LARGEST = 32
"""crops that a judge looks at at once"""
OVERLAP = 1 / 3
"""intersection over union from which two crops show much the same; neighbours of one size have it"""


@dataclass(frozen=True)
class Sample:
    """The crops of one group's labelling."""

    shown: tuple[int, ...]
    """positions in the group's crops"""
    held_out: tuple[Crop, ...]
    random: tuple[Crop, ...]
    hard: tuple[Crop, ...]
    population: tuple[int, int, int] = (1, 1, 1)
    """exemplars of the circuit that held-out, random and hard crops stand for"""


def sample(circuit: Circuit, group: NeuronGroup, shown: int, held_out: int, seed: int) -> Sample:
    """Choose the crops for one group; equal arguments give equal crops.

    Args:
        circuit: the result, with thumbnails.
        group: of it.
        shown: at most so many crops for the labeler.
        held_out: at most so many for the validation; others fill the sample up to ``LARGEST``.
        seed: of the choice of the others; every group draws numbers of its own.
    """
    pictured = [crop for crop in group.crops if crop in circuit.thumbnails]
    to_show, to_hold = _dealt(pictured)
    kept = _apart(to_hold, held_out)
    rng = np.random.default_rng([seed, zlib.crc32(group.id.encode())])
    count = max(LARGEST - len(kept), len(kept)) if kept else 0
    hard, random, strangers = _others(circuit, group, count, rng)
    own = len(circuit.thumbnails) - sum(strangers)
    return Sample(
        shown=tuple(group.crops.index(crop) for crop in _apart(to_show, shown)),
        held_out=tuple(kept),
        random=tuple(random),
        hard=tuple(hard),
        population=(own, *strangers),
    )


def contrast(
    circuit: Circuit, group: NeuronGroup, chosen: Sample, count: int, seed: int
) -> tuple[Crop, ...]:
    """Crops that are not the group's and that its validation does not use."""
    rng = np.random.default_rng([seed, 1, zlib.crc32(group.id.encode())])
    used = {*chosen.random, *chosen.hard}
    order = (crop for crop in _strangers(circuit, group, rng) if crop not in used)
    return tuple(_apart(order, count))


def picture(circuit: Circuit, crop: Crop) -> Picture:
    """A crop with a thumbnail, to be looked at."""
    left, _, right, _ = crop.box
    return Picture(circuit.thumbnails[crop], right - left, crop.image, crop.box)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (sum(areas) - width * height)


def _dealt(crops: Sequence[Crop]) -> tuple[list[Crop], list[Crop]]:
    """Crops of some images, and of the others: the next image goes where there are fewer."""
    images = list(dict.fromkeys(crop.image for crop in crops))
    if len(images) == 1:
        return list(crops[::2]), list(crops[1::2])
    sides: tuple[list[Crop], list[Crop]] = ([], [])
    for image in images:
        side = sides[len(sides[1]) < len(sides[0])]
        side += [crop for crop in crops if crop.image == image]
    return (sorted(sides[0], key=crops.index), sorted(sides[1], key=crops.index))


def _apart(crops: Iterable[Crop], count: int) -> list[Crop]:
    """The first crops, leaving out those that show much the same as one before."""
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
    """(hard, random): ``count`` crops in all that are not the group's, half of each if possible.

    With the numbers of exemplars that they were chosen from, random ones first.
    """
    layer = circuit.layer(group.id.layer)
    order = _strangers(circuit, group, rng)
    exemplars = {crop for other in layer.groups if other.id != group.id for crop in other.crops}
    siblings = [crop for crop in order if crop in exemplars]
    further = [crop for crop in order if crop not in exemplars]
    hard = _apart(siblings, (count + 1) // 2)
    random = _apart(further, count - len(hard))
    hard = _apart(siblings, count - len(random))
    return hard, random, (len(further), len(siblings))


def _strangers(circuit: Circuit, group: NeuronGroup, rng: np.random.Generator) -> list[Crop]:
    """Exemplars that are no crop of any member, in random order; those that overlap one last."""
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
    order.sort(key=lambda crop: any(_same(crop, mine) for mine in of_image.get(crop.image, ())))
    return order
