"""From a picture to the network's input, and back to something a person can look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tvf

from neurflow.errors import ModelError
from neurflow.pictures.decoding import in_mode

Transform = Callable[[Image.Image], Tensor]
"""a picture → the network's input ``[channel, height, width]``"""


MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""how a picture is read, by the number of input channels"""


Fit = Literal["center", "squash", "border"]
"""how a picture of another shape gets into the input"""


@dataclass(frozen=True)
class Preprocessing:
    """Resize, cut out the centre, scale to 0…1, normalise: what torchvision and timm do.

    Attributes:
        resize: short side before the cut, in pixels, or height and width that ``fit`` works towards;
            None resizes to ``crop`` at once.
        crop: height and width of the input, in pixels.
        mean, std: per channel, of values in 0…1; as many as the network has input channels.
        interpolation: a name of ``torchvision.transforms.InterpolationMode``.
        fit: ``center`` keeps the shape and cuts off what is too long, ``squash`` gives both sides their
            length, ``border`` keeps the shape and fills up with the mean.
    """

    resize: int | tuple[int, int] | None = 256
    crop: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    fit: Fit = "center"

    def __call__(self, picture: Image.Image | Tensor) -> Tensor:
        """Normalised input ``[channel, height, width]``.

        More channels than a picture has come as a tensor of that form, of values in 0…1.
        """
        if isinstance(picture, Image.Image):
            picture = in_mode(picture, MODES.get(len(self.mean), "RGB"))
        size = self._resized(*tvf.get_dimensions(picture)[1:])
        picture = tvf.resize(picture, size, InterpolationMode(self.interpolation))
        if self.fit == "border":
            picture = self._filled_up(picture)
        pixels = tvf.center_crop(picture, list(self.crop))
        if isinstance(pixels, Image.Image):
            pixels = tvf.to_tensor(pixels)
        return tvf.normalize(pixels, list(self.mean), list(self.std))

    def _resized(self, height: int, width: int) -> list[int]:
        """What a picture is resized to: both sides, or the short one alone."""
        if isinstance(self.resize, int):
            return [self.resize]
        wanted = self.resize or self.crop
        if self.fit == "squash" or self.resize is None:
            return list(wanted)
        ratios = height / wanted[0], width / wanted[1]
        ratio = max(ratios) if self.fit == "border" else min(ratios)
        return [round(height / ratio), round(width / ratio)]

    def _filled_up(self, picture: Image.Image | Tensor) -> Image.Image | Tensor:
        """The picture with borders of the mean where it is smaller than the input."""
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
        """The same with what is given; one number for ``mean`` or ``std`` serves all channels."""
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
        return new


def _per_channel(
    given: float | Sequence[float] | None, default: tuple[float, ...]
) -> tuple[float, ...]:
    if given is None:
        return default
    values = [given] if isinstance(given, int | float) else list(given)
    return tuple(map(float, values * len(default) if len(values) == 1 else values))


def normalisation(transform: Transform) -> tuple[Tensor, Tensor] | None:
    """(mean, std) ``[channel, 1, 1]`` of a transform's last normalisation; None if it shows none."""
    steps = [transform, *getattr(transform, "transforms", [])]
    for step in reversed(steps):
        if hasattr(step, "mean") and hasattr(step, "std"):
            return torch.tensor(step.mean).view(-1, 1, 1), torch.tensor(step.std).view(-1, 1, 1)
    return None


def picture_of(pixels: Tensor, transform: Transform) -> Image.Image:
    """A network input ``[channel, height, width]`` as a picture.

    Undoes the transform's normalisation; where it shows none and values leave 0…1, stretches them.
    Channels: one is grey, three or more show the first three, two show the first.
    """
    pixels = pixels.detach().float().cpu()
    known = normalisation(transform)
    if known is not None:
        pixels = pixels * known[1] + known[0]
    elif pixels.min() < 0 or pixels.max() > 1:
        pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min()).clamp_min(1e-12)
    channels = 3 if pixels.shape[0] >= 3 else 1
    array = (pixels[:channels].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if channels == 1 else array))
