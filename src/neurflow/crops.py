"""Crops: square windows of an image, kept as (image, box); pixels are made on demand.

1. At granularity ``g`` a window is ``int(g · side)`` wide, ``side`` being the image's short side.
2. Windows stand ``max(min(int(size / 2), length − size), 1)`` apart along an axis of that length:
   half a window, or just what fits. Granularities 1, 0.5, 0.25 give 1 + 9 + 49 = 59 of a square.
3. Pixels are the window of the model's view of the image, resized to the input size, bilinear.
   Bilinear weights sum to 1, so this commutes with the normalisation already applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Box = tuple[int, int, int, int]


def crop_boxes(height: int, width: int, granularities: Sequence[float]) -> list[Box]:
    """Windows of an image as (left, top, right, bottom), coarse first, then row by row.

    Args:
        height: of the image, in pixels.
        width: likewise.
        granularities: window sizes as shares of the short side, in (0, 1].
    """
    return [
        (left, top, left + size, top + size)
        for size in (max(int(g * min(height, width)), 1) for g in granularities)
        for top in _offsets(height, size)
        for left in _offsets(width, size)
    ]


def _offsets(length: int, size: int) -> range:
    stride = max(min(int(size / 2), length - size), 1)
    return range(0, length - size + 1, stride)


def crop_pixels(image: Tensor, boxes: Sequence[Box], size: tuple[int, int]) -> Tensor:
    """Windows of one image, resized to the model's input.

    Args:
        image: ``[channel, height, width]``.
        boxes: (left, top, right, bottom) within the image.
        size: height and width of the result.

    Returns:
        ``[crop, channel, height, width]``
    """
    parts = []
    for _, same_size in groupby(boxes, key=lambda box: (box[3] - box[1], box[2] - box[0])):
        windows = [image[:, top:bottom, left:right] for left, top, right, bottom in same_size]
        stacked = torch.stack(windows)
        if stacked.shape[-2:] != size:
            stacked = interpolate(stacked, size=size, mode="bilinear", align_corners=False)
        parts.append(stacked)
    return torch.cat(parts)
