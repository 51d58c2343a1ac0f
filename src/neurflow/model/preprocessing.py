"""Turns pictures into inputs of the network, and inputs back into pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tvf

from neurflow.errors import ModelError
from neurflow.model.picture_modes import in_mode

Transform = Callable[[Image.Image], Tensor]
"""a picture → the network's input ``[channel, height, width]``"""


MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""number of input channels → Pillow's mode"""


WIDEST = 10.0
"""largest standard deviation that is accepted; one for values in 0…255 is larger"""
LARGEST = 2**26
"""largest number of pixels that pictures are resized to, or that an input has"""
Fit = Literal["center", "squash", "border"]
"""method of fitting a picture with another aspect ratio to the input"""


@dataclass(frozen=True)
class Preprocessing:
    """Resize, centre crop, scale to 0…1 and normalise, as torchvision and timm do.

    Attributes:
        resize: short side in pixels before the crop, or height and width that ``fit`` refers to; None
            resizes directly to ``crop``.
        crop: height and width of the input, in pixels.
        mean, std: per channel, for values in 0…1; their number is the number of input channels.
        interpolation: a name of ``torchvision.transforms.InterpolationMode``.
        fit: ``center`` keeps the aspect ratio and crops, ``squash`` changes the aspect ratio,
            ``border`` keeps it and pads with the mean.
    """

    resize: int | tuple[int, int] | None = 256
    crop: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    fit: Fit = "center"

    def __post_init__(self) -> None:
        refuse_oversized(self.crop, "Inputs")
        refuse_oversized(self.resize, "Resized pictures")

    def __call__(self, picture: Image.Image | Tensor) -> Tensor:
        """Return the normalised input ``[channel, height, width]``.

        Inputs with more channels than a picture can have are tensors of that shape, with values in 0…1.
        Grey pictures of mode ``F`` keep their depth.
        """
        deep = isinstance(picture, Image.Image) and picture.mode == "F"
        if isinstance(picture, Image.Image) and not deep:
            picture = in_mode(picture, MODES.get(len(self.mean), "RGB"))
        size = self._resized(*tvf.get_dimensions(picture)[1:])
        picture = tvf.resize(picture, size, InterpolationMode(self.interpolation))
        if deep:
            picture = tvf.to_tensor(picture).expand(len(self.mean), -1, -1)
        if self.fit == "border":
            picture = self._padded(picture)
        pixels = tvf.center_crop(picture, list(self.crop))
        if isinstance(pixels, Image.Image):
            pixels = tvf.to_tensor(pixels)
        return tvf.normalize(pixels, list(self.mean), list(self.std))

    def _resized(self, height: int, width: int) -> list[int]:
        """Return the size to resize to: height and width, or only the short side."""
        if isinstance(self.resize, int):
            return [self.resize]
        wanted = self.resize or self.crop
        if self.fit == "squash" or self.resize is None:
            return list(wanted)
        ratios = height / wanted[0], width / wanted[1]
        ratio = max(ratios) if self.fit == "border" else min(ratios)
        return [round(height / ratio), round(width / ratio)]

    def _padded(self, picture: Image.Image | Tensor) -> Image.Image | Tensor:
        """Pad a picture with the mean to the size of the input."""
        _, height, width = tvf.get_dimensions(picture)
        lacks = [
            max(0, wanted - side)
            for wanted, side in zip(self.crop[::-1], (width, height), strict=True)
        ]
        borders = [*(n // 2 for n in lacks), *((n + 1) // 2 for n in lacks)]
        if isinstance(picture, Tensor):
            mean = torch.tensor(self.mean).view(-1, 1, 1)
            return tvf.pad(picture - mean, borders) + mean
        return tvf.pad(picture, borders, fill=[round(255 * value) for value in self.mean])

    def adapted(
        self,
        *,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        resize: int | None = None,
        crop: tuple[int, int] | None = None,
    ) -> Preprocessing:
        """Return a copy with other settings; one number for ``mean`` or ``std`` is for all channels."""
        new = replace(
            self,
            mean=_per_channel(mean, self.mean),
            std=_per_channel(std, self.std),
            resize=resize or (None if crop else self.resize),
            crop=crop or self.crop,
        )
        if len(new.mean) != len(new.std) or min(new.std) <= 0:
            raise ModelError(
                f"mean {new.mean} and std {new.std} need one value per channel, std above 0."
            )
        if not all(map(isfinite, (*new.mean, *new.std))):
            raise ModelError(f"mean {new.mean} and std {new.std} must be finite numbers.")
        if max(new.mean) > 1 or max(new.std) > WIDEST:
            raise ModelError(
                f"mean {new.mean} and std {new.std} do not fit pixel values in 0…1. If they are for "
                "values in 0…255, divide both by 255."
            )
        return new


def refuse_oversized(size: int | tuple[int, int] | None, what: str) -> None:
    """Raise ``ModelError`` if a size in pixels, or a short side, is larger than any network takes."""
    height, width = size if isinstance(size, tuple) else (size or 0, size or 0)
    if height * width > LARGEST:
        raise ModelError(
            f"{what} of {height} × {width} pixels are too large: at most {LARGEST // 10**6} million "
            "pixels are possible. Give the size that the network was trained with, such as 224."
        )


def _per_channel(
    given: float | Sequence[float] | None, default: tuple[float, ...]
) -> tuple[float, ...]:
    if given is None:
        return default
    values = [given] if isinstance(given, int | float) else list(given)
    return tuple(map(float, values * len(default) if len(values) == 1 else values))


def normalisation(transform: Transform) -> tuple[Tensor, Tensor] | None:
    """Return (mean, std) ``[channel, 1, 1]`` of a transform's last normalisation, or None."""
    steps = [transform, *getattr(transform, "transforms", [])]
    for step in reversed(steps):
        if hasattr(step, "mean") and hasattr(step, "std"):
            return torch.tensor(step.mean).view(-1, 1, 1), torch.tensor(step.std).view(-1, 1, 1)
    return None


def picture_of(pixels: Tensor, transform: Transform) -> Image.Image:
    """Return a network input ``[channel, height, width]`` as a picture.

    The transform's normalisation is undone. If it has none and values are not in 0…1, they are
    rescaled. Three or more channels give a colour picture of the first three, fewer a grey one of the
    first.
    """
    pixels = pixels.detach().float().cpu()
    known = normalisation(transform)
    if known is not None:
        pixels = pixels * known[1] + known[0]
    elif pixels.min() < 0 or pixels.max() > 1:
        pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min()).clamp_min(1e-12)
    if getattr(transform, "blue_first", False):
        pixels = pixels.flip(0)
    channels = 3 if pixels.shape[0] >= 3 else 1
    array = (pixels[:channels].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if channels == 1 else array))
