"""Pictures to look at, from what a user gives: as a source, with labels, read in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from neurflow.model import Model
from neurflow.pictures.images import Images, UnreadableImage
from neurflow.refs import ImageRef, SkippedImage

BATCH = 32
"""pictures or crops run through the network at once"""


def as_source(images: Any) -> Any:
    """A single picture as a source of one."""
    if isinstance(images, Image.Image | Mapping):
        return [images]
    if isinstance(images, Tensor | np.ndarray) and images.ndim in (2, 3):
        return [images]
    return Path(images) if isinstance(images, str) else images


def labelled(images: Images, label: str | None) -> Images:
    """The same images, those without a label given one."""
    if label is None:
        return images
    refs = tuple(ImageRef(name=ref.name, label=ref.label or label) for ref in images.refs)
    return replace(images, refs=refs)


def true_class(label: str | None, model: Model) -> int | None:
    """The class that a label names; None if it names none, or several."""
    return model.names.label(label)


def batches(
    images: Images, positions: Iterable[int], skipped: list[SkippedImage] | None = None
) -> Iterator[tuple[list[int], Tensor]]:
    """(positions, pixels ``[picture, channel, height, width]``) of those that can be read.

    The others are added to ``skipped``, with the reason.
    """
    found = readable(images, positions, skipped)
    while part := list(islice(found, BATCH)):
        yield [index for index, _ in part], torch.stack([pixels for _, pixels in part])


def readable(
    images: Images, positions: Iterable[int], skipped: list[SkippedImage] | None = None
) -> Iterator[tuple[int, Tensor]]:
    """(position, pixels ``[channel, height, width]``) likewise, one by one."""
    for index in positions:
        try:
            yield index, images.read(index)
        except UnreadableImage as error:
            if skipped is not None:
                skipped.append(SkippedImage(name=images.refs[index].name, reason=str(error)))
