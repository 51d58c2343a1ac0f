"""Turns the pictures that a user gives into a labelled source, and reads it in batches."""

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
"""number of pictures or crops in one forward pass"""


def as_source(images: Any) -> Any:
    """Turn a single picture into a source with one picture; return other sources unchanged."""
    if isinstance(images, Image.Image | Mapping):
        return [images]
    if isinstance(images, Tensor | np.ndarray) and images.ndim in (2, 3):
        return [images]
    return Path(images) if isinstance(images, str) else images


def labelled(images: Images, label: str | None) -> Images:
    """Return the images with ``label`` given to those that have none."""
    if label is None:
        return images
    refs = tuple(ImageRef(name=ref.name, label=ref.label or label) for ref in images.refs)
    return replace(images, refs=refs)


def true_class(label: str | None, model: Model) -> int | None:
    """Return the class that a label names; None if it names no class or several."""
    return model.names.label(label)


def batches(
    images: Images, positions: Iterable[int], skipped: list[SkippedImage] | None = None
) -> Iterator[tuple[list[int], Tensor]]:
    """Yield (indices, pixels ``[picture, channel, height, width]``) of the readable pictures.

    Unreadable pictures are added to ``skipped``, with the reason.
    """
    found = readable(images, positions, skipped)
    while part := list(islice(found, BATCH)):
        yield [index for index, _ in part], torch.stack([pixels for _, pixels in part])


def readable(
    images: Images, positions: Iterable[int], skipped: list[SkippedImage] | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Yield (index, pixels ``[channel, height, width]``) of the readable pictures; see ``batches``."""
    for index in positions:
        try:
            yield index, images.read(index)
        except UnreadableImage as error:
            if skipped is not None:
                skipped.append(SkippedImage(name=images.refs[index].name, reason=str(error)))
