"""Finds the form in which a transform takes pictures.

1. For ``Preprocessing`` it follows from the number of channels; deep grey pictures keep their depth.
2. Other transforms are tried on a plain picture in each mode of ``TRIED``, in this order. The first
   mode is used in which the transform's output has as many channels as the network's first convolution
   takes, and white differs from black. They hardly differ if 8-bit values are divided by 65535.
3. A network with more channels than a picture can have takes tensors ``[channel, height, width]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from neurflow.errors import ModelError
from neurflow.model.picture_modes import in_mode
from neurflow.model.preprocessing import MODES, Preprocessing, Transform

TRIED = ("RGB", "L", "RGBA", "LA", "I;16", "F")
"""Pillow's modes that are tried; the last two have more than 8 bits"""
PROBE = 300
"""side of the plain picture, in pixels"""
DRAWN = 288
"""side of the drawn picture, in pixels"""
CONTRAST = 1 / 64
"""smallest difference between white and black in the network's input"""


@dataclass(frozen=True)
class InputForm:
    """The form of a transform's input, and the shape of its output.

    Attributes:
        mode: Pillow's mode of the pictures; None if the transform takes tensors
            ``[channel, height, width]`` of values in 0…1.
        shape: channels, height and width of its output.
        deep: whether grey pictures of more than 8 bits come in mode ``F`` instead, to keep their depth.
    """

    mode: str | None
    shape: tuple[int, int, int]
    deep: bool = False


def find_input_form(transform: Transform, module: nn.Module, mode: str | None = None) -> InputForm:
    """Find the form of pictures that suits a transform and a network.

    Args:
        transform: the transform.
        module: the network.
        mode: Pillow's mode of the pictures, if it is known.

    Raises:
        ModelError: the transform fails on pictures, or does not return an image tensor.
    """
    if isinstance(transform, Preprocessing):
        channels = len(transform.mean)
        return InputForm(MODES.get(channels), (channels, *transform.crop), deep=channels in (1, 3))
    if mode is not None:
        if mode not in TRIED:
            raise ModelError(f"There is no picture mode {mode!r}. It is one of {', '.join(TRIED)}.")
        return InputForm(mode, _made(transform, mode, 0.5).shape[-3:])  # type: ignore[arg-type]
    channels = _first_channels(module)
    found = list(_tried(transform, channels))
    if not found:
        made = _made(transform, "RGB", 0.5)  # raises an error with the reason
        return InputForm("RGB", tuple(made.shape))  # type: ignore[arg-type]
    best = max(found, key=lambda each: each[0])  # the first of the best
    return best[1]


def drawn_input(transform: Transform, form: InputForm) -> Tensor:
    """Return the transform's output ``[channel, height, width]`` for a fixed drawn picture."""
    draw = np.random.default_rng(0)
    if form.mode is None:
        values = draw.random((form.shape[0], DRAWN, DRAWN), dtype=np.float32)
        return transform(torch.from_numpy(values))  # type: ignore[arg-type]
    coarse = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((DRAWN, DRAWN))
    return transform(in_mode(picture, form.mode))


def _tried(transform: Transform, channels: int) -> Iterator[tuple[tuple[bool, bool], InputForm]]:
    """Yield ((right channels, distinguishes white from black), form) for each mode that works."""
    for mode in (*TRIED, None) if channels > len(MODES) else TRIED:
        try:
            made = _made(transform, mode, 0.5, channels)
            fits = channels in (0, made.shape[0])
            span = _made(transform, mode, 1, channels) - _made(transform, mode, 0, channels)
        except ModelError:
            continue
        sees = bool(span.abs().max() >= CONTRAST) if span.numel() else False
        yield (fits, sees), InputForm(mode, tuple(made.shape))  # type: ignore[arg-type]
        if fits and sees:
            return


def _made(transform: Transform, mode: str | None, level: float, channels: int = 3) -> Tensor:
    """Return the transform's output for a plain picture of one grey level in 0…1."""
    what = f"a plain {mode} picture" if mode else "a tensor [channel, height, width]"
    try:
        if mode is None:
            made = transform(torch.full((channels, PROBE, PROBE), level))  # type: ignore[arg-type]
        else:
            grey = Image.new("L", (PROBE, PROBE), round(level * 255))
            made = transform(in_mode(grey, mode))
    except ModelError:  # raised by an image processor
        raise
    except Exception as error:  # the transform is the user's code and may raise anything
        raise ModelError(f"The transform fails on {what}: {error!r}") from error
    if not isinstance(made, Tensor) or made.ndim != 3:
        raise ModelError("The transform must return a tensor [channel, height, width].")
    return made.detach().float()


def _first_channels(module: nn.Module) -> int:
    """Return the number of input channels of the first convolution; 0 if there is none."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.LazyConv2d):
            return part.in_channels
    return 0
