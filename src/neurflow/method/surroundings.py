"""Exemplars in their surroundings: the concept set's pictures, small, and where groups fire on them.

1. A group is shown on the images that its first crops come from.
2. Each such image goes through the network once more, whole: some images, not all their crops.
3. A group's heat map on it is the mean of its neurons' feature maps, each divided by what it gives on
   the group's own crops: 1 is as strong as there on average. It is kept coarse, in 255 steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

from neurflow.circuit import CircuitLayer, NeuronGroup
from neurflow.circuit.scores import EPSILON
from neurflow.model import Layer, Model
from neurflow.pictures.crops import CropSet
from neurflow.pictures.decoding import webp
from neurflow.refs import HeatMap
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Progress

IMAGES = 8
"""images that a group is shown on"""
PICTURE = 176
"""longest side of a picture, in pixels"""
FINEST = 14
"""most places of a heat map along each side"""
HOTTEST = 3.0
"""a heat of so much, and more, is 255: a map's peak is well above its mean"""


@dataclass(frozen=True)
class Surroundings:
    """What a circuit keeps to show its exemplars in.

    Attributes:
        pictures: image of D → WebP picture of it.
        heat: (group, image of D) → heat map.
    """

    pictures: dict[int, bytes] = field(default_factory=dict)
    heat: dict[tuple[str, int], HeatMap] = field(default_factory=dict)


def surroundings(
    model: Model,
    crops: CropSet,
    layers: Sequence[CircuitLayer],
    *,
    batch: Batch,
    progress: Progress,
) -> Surroundings:
    """Pictures of the images that groups are shown on, and the groups' heat maps on them."""
    seen = {group.id: images_of(group) for layer in layers for group in layer.groups}
    wanted = np.array(sorted({image for images in seen.values() for image in images}))
    found = [model.layer(layer.name) for layer in layers]
    observe = model.outputs([model.node(layer.name) for layer in found])
    result = Surroundings()

    def look(images: np.ndarray) -> None:
        pixels = torch.stack([crops.image_pixels(image) for image in images])
        with torch.inference_mode():
            outputs = observe(model.feed(pixels))
        for image, own in zip(images.tolist(), pixels, strict=True):
            result.pictures[image] = webp(model.picture(own), PICTURE, quality=75)
        for layer, circuit_layer, output in zip(found, layers, outputs, strict=True):
            for image, values in zip(images.tolist(), output.float().cpu().numpy(), strict=True):
                maps = spatial_map(values, layer)
                for group in circuit_layer.groups:
                    if maps is not None and image in seen[group.id]:
                        heat = np.asarray(heat_of(maps, group))
                        result.heat[group.id, image] = coarse(heat)

    progress.start("pictures", len(wanted))
    for part, _ in batch.map(look, wanted):
        progress.advance(len(part))
    return result


def images_of(group: NeuronGroup) -> tuple[int, ...]:
    """The images that a group is shown on: those of its first crops."""
    return tuple(dict.fromkeys(crop.image for crop in group.crops))[:IMAGES]


def heat_of(maps: np.ndarray | None, group: NeuronGroup) -> np.ndarray | None:
    """Mean feature map of a group's neurons ``[height, width]``, 1 where it is as on its own crops.

    ``maps``: the layer's on one picture, ``[height, width, neuron]``; None without space.
    """
    if maps is None:
        return None
    assert group.calibration is not None, "what is usual for the group tells what its own crops do"
    means = np.abs(np.array(group.calibration.means)) + EPSILON
    excited = np.maximum(maps[..., list(group.neurons)], 0) / means
    return np.asarray(excited.mean(axis=-1))


def spatial_map(output: np.ndarray, layer: Layer) -> np.ndarray | None:
    """A layer's output on one picture as ``[height, width, neuron]``; None without space.

    Tokens are laid out as the square they came from; those before it (a class token) are left out.
    """
    values = np.moveaxis(output, layer.axis - 1, -1)
    if values.ndim == 3:
        return values
    if values.ndim == 2:
        side = int(np.sqrt(len(values)))
        return values[len(values) - side * side :].reshape(side, side, -1) if side > 1 else None
    return None


def coarse(heat: np.ndarray) -> HeatMap:
    """A heat map of at most ``FINEST`` places a side, its values as bytes; ``HOTTEST`` is 255."""
    places = tuple(min(side, FINEST) for side in heat.shape)
    pooled = adaptive_avg_pool2d(torch.from_numpy(heat)[None], places)[0].numpy()
    values = np.round(np.clip(pooled / HOTTEST, 0, 1) * 255).astype(np.uint8)
    height, width = values.shape
    return HeatMap(height, width, values.tobytes())
