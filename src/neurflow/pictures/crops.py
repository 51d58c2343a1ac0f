"""Crops: square windows of an image, stored as (image, box). Pixels are computed on demand.

1. At granularity ``g``, a window is ``int(g · side)`` wide, where ``side`` is the image's short side.
2. Along an axis of a given length, the distance between windows is
   ``max(min(int(size / 2), length − size), 1)``: half a window, or less if there is no room.
   Granularities 1, 0.5 and 0.25 give 1 + 9 + 49 = 59 windows of a square image.
3. Pixels are taken from the model's view of the image and resized bilinearly to the input size.
   Bilinear weights sum to 1, so resizing commutes with the normalisation that was already applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from neurflow.errors import WorkError
from neurflow.pictures.images import Images, UnreadableImage
from neurflow.refs import Crop

Box = tuple[int, int, int, int]


def crop_boxes(height: int, width: int, granularities: Sequence[float]) -> list[Box]:
    """Return the windows of an image as (left, top, right, bottom), coarse first, then row by row.

    Args:
        height: height of the image, in pixels.
        width: width of the image, in pixels.
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
    """Return windows of one image, resized to the model's input.

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


class CropSet:
    """The concept set D: every crop of the chosen images, numbered image by image.

    Args:
        images: the source.
        chosen: positions of the images of D in the source.
        size: height and width of the model's input; images are resized to it.
        granularities: crop sizes as shares of the short side.
    """

    def __init__(
        self,
        images: Images,
        chosen: Sequence[int],
        size: tuple[int, int],
        granularities: Sequence[float],
    ) -> None:
        self.images, self.chosen, self.size = images, tuple(chosen), size
        self.granularities = tuple(granularities)
        self.boxes = crop_boxes(*size, self.granularities)
        self._read = lru_cache(maxsize=4)(self._read_uncached)

    def __len__(self) -> int:
        return len(self.chosen) * len(self.boxes)

    def _read_uncached(self, index: int) -> Tensor:
        """Read an image of D, which was readable before; ``WorkError`` if it is not any more."""
        try:
            return self.images.read(index)
        except UnreadableImage as error:
            raise WorkError(
                f"{self.images.refs[index].name} could be read before, but not now: {error}. "
                "Restore it and re-run the same command to resume."
            ) from None

    def crop(self, number: int) -> Crop:
        """Return crop ``number`` as (image of D, box)."""
        image, box = divmod(int(number), len(self.boxes))
        return Crop(image, self.boxes[box])

    def image_of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the image of D of each crop."""
        return numbers // len(self.boxes)

    def number(self, crop: Crop) -> int:
        """Return the number of a crop, the inverse of :meth:`crop`."""
        return crop.image * len(self.boxes) + self.boxes.index(crop.box)

    def of_image(self, image: int) -> np.ndarray:
        """Return the numbers of the crops of an image of D."""
        return np.arange(image * len(self.boxes), (image + 1) * len(self.boxes))

    def name_of(self, image: int) -> str:
        """Return the name of an image of D."""
        return self.images.refs[self.chosen[image]].name

    def image_pixels(self, image: int) -> Tensor:
        """Return an image of D ``[channel, height, width]`` as the model's input, without cropping."""
        return self._read(self.chosen[image])

    def pixels_of(self, crop: Crop) -> Tensor:
        """Return the input ``[channel, height, width]`` of one crop."""
        return crop_pixels(self._read(self.chosen[crop.image]), [crop.box], self.size)[0]

    def pixels(self, numbers: Sequence[int] | np.ndarray) -> Tensor:
        """Return the inputs ``[crop, channel, height, width]`` of crops in ascending order."""
        by_image: dict[int, list[Box]] = {}
        for number in numbers:
            image, box = divmod(int(number), len(self.boxes))
            by_image.setdefault(image, []).append(self.boxes[box])
        return torch.cat(
            [
                crop_pixels(self._read(self.chosen[image]), boxes, self.size)
                for image, boxes in by_image.items()
            ]
        )
