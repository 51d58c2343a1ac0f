"""Pictures and heat maps of a stored circuit as tensors, and their checks.

The name of an entry identifies it: ``IMAGE:LEFT,TOP,RIGHT,BOTTOM`` is a crop's thumbnail, ``IMAGE`` a
picture of an image, and ``IMAGE@GROUP`` a group's heat map on it. Only small WebP pictures are
accepted; this is checked in their header, before anything decodes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from neurflow.circuit.types import CircuitData
from neurflow.refs import Crop, HeatMap

MAX_PICTURE = 2**20
"""bytes"""
MAX_SIDE = 1024
"""longest side of a picture, in pixels"""
MAX_PLACES = 64
"""largest number of places along each side of a heat map"""


def thumbnail_tensors(circuit: CircuitData) -> dict[str, np.ndarray]:
    """Return the bytes of the thumbnails by crop."""
    return {
        f"{crop.image}:{','.join(map(str, crop.box))}": np.frombuffer(data, np.uint8)
        for crop, data in circuit.thumbnails.items()
    }


def thumbnails_of(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the field ``thumbnails`` of a circuit; raise ``ValueError`` for an invalid entry."""
    found: dict[Crop, bytes] = {}
    for key, tensor in tensors.items():
        if not re.fullmatch(r"[0-9]{1,9}:[0-9]{1,9}(,[0-9]{1,9}){3}", key):
            raise ValueError(f"{key!r:.40} is not a crop")
        image, left, top, right, bottom = map(int, re.split("[:,]", key))
        found[Crop(image, (left, top, right, bottom))] = _picture(
            tensor, f"thumbnail of crop {key}"
        )
    return {"thumbnails": found}


def surroundings_tensors(circuit: CircuitData) -> dict[str, np.ndarray]:
    """Return the pictures of images and the groups' heat maps on them."""
    return {
        **{str(image): np.frombuffer(data, np.uint8) for image, data in circuit.pictures.items()},
        **{
            f"{image}@{group}": np.frombuffer(heat.values, np.uint8).reshape(
                heat.height, heat.width
            )
            for (group, image), heat in circuit.heat.items()
        },
    }


def surroundings_of(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return ``pictures`` and ``heat`` of a circuit; raise ``ValueError`` for an invalid entry."""
    pictures: dict[int, bytes] = {}
    heat: dict[tuple[str, int], HeatMap] = {}
    for key, tensor in tensors.items():
        found = re.fullmatch(r"([0-9]{1,9})(?:@(.{1,300}))?", key)
        if not found:
            raise ValueError(f"{key!r:.40} is neither a picture nor a heat map")
        if found[2] is None:
            pictures[int(found[1])] = _picture(tensor, f"picture of image {key}")
        else:
            if tensor.dtype != np.uint8 or tensor.ndim != 2 or not _within(tensor.shape):
                raise ValueError(f"{key!r:.40} is not a heat map")
            height, width = tensor.shape
            heat[found[2], int(found[1])] = HeatMap(height, width, tensor.tobytes())
    return {"pictures": pictures, "heat": heat}


def _within(shape: tuple[int, ...]) -> bool:
    return all(1 <= side <= MAX_PLACES for side in shape)


def _picture(tensor: np.ndarray, what: str) -> bytes:
    data = tensor.tobytes()
    if tensor.dtype != np.uint8 or not _is_small_webp(data):
        raise ValueError(f"the {what} is not a small WebP picture")
    return data


def _is_small_webp(data: bytes) -> bool:
    """Return whether the bytes are one WebP picture of bounded size; reads only the header."""
    if len(data) > MAX_PICTURE:
        return False
    try:
        with Image.open(BytesIO(data), formats=["WEBP"]) as picture:
            return max(picture.size) <= MAX_SIDE and getattr(picture, "n_frames", 1) == 1
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
