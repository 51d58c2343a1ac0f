"""Small versions of the concept set's pictures, with heat maps of where groups fire on them.

1. A group is shown on the images of its first crops.
2. The network is run once on each of these images. Their crops are not run again.
3. The heat map of a group is the mean of its neurons' feature maps, each divided by the neuron's mean
   activation on the group's own crops. A value of 1 is thus the mean on these crops. Heat maps are
   stored at low resolution, with values of one byte.
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
"""number of images on which a group is shown"""
PICTURE = 176
"""longest side of a picture, in pixels"""
FINEST = 14
"""largest side of a heat map, in cells"""
HOTTEST = 3.0
"""value that is stored as 255; larger values are clipped to it. Peaks are well above the mean, 1"""


@dataclass(frozen=True)
class Surroundings:
    """Pictures and heat maps that are stored with a circuit.

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
    """Make the pictures on which groups are shown, and the heat maps of the groups on them."""
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
                    if image not in seen[group.id]:
                        continue
                    heat = heat_of(maps, group)
                    if heat is not None:
                        result.heat[group.id, image] = coarse(heat)

    progress.start("pictures", len(wanted))
    for part, _ in batch.map(look, wanted):
        progress.advance(len(part))
    return result


def images_of(group: NeuronGroup) -> tuple[int, ...]:
    """Return the images on which a group is shown: those of its first crops."""
    return tuple(dict.fromkeys(crop.image for crop in group.crops))[:IMAGES]


def heat_of(maps: np.ndarray | None, group: NeuronGroup) -> np.ndarray | None:
    """Return the heat map ``[height, width]`` of a group; 1 is the mean on the group's own crops.

    Args:
        maps: the layer's feature maps on one picture, ``[height, width, neuron]``; None if the layer
            has no spatial axes.
        group: a group of the layer, with calibration.
    """
    if maps is None:
        return None
    assert group.calibration is not None, "heat maps need the calibration of the group"
    means = np.abs(np.array(group.calibration.means)) + EPSILON
    excited = np.maximum(maps[..., list(group.neurons)], 0) / means
    return np.asarray(excited.mean(axis=-1))


def spatial_map(output: np.ndarray, layer: Layer) -> np.ndarray | None:
    """Return a layer's output on one picture as ``[height, width, neuron]``.

    Tokens are arranged in a square. Tokens before the square, such as a class token, are omitted. If
    the layer has no spatial axes, None is returned.
    """
    values = np.moveaxis(output, layer.axis - 1, -1)
    if values.ndim == 3:
        return values
    if values.ndim == 2:
        side = int(np.sqrt(len(values)))
        return values[len(values) - side * side :].reshape(side, side, -1) if side > 1 else None
    return None


def coarse(heat: np.ndarray) -> HeatMap:
    """Reduce a heat map to at most ``FINEST`` cells per side, and its values to bytes."""
    size = tuple(min(side, FINEST) for side in heat.shape)
    pooled = adaptive_avg_pool2d(torch.from_numpy(heat)[None], size)[0].numpy()
    values = np.round(np.clip(pooled / HOTTEST, 0, 1) * 255).astype(np.uint8)
    height, width = values.shape
    return HeatMap(height, width, values.tobytes())
