"""Runs a network that may fail, and says why it fails and what to do."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neurflow.errors import ModelError

FAULTS = (AttributeError, NameError, ImportError, KeyError, ZeroDivisionError, OSError)
"""errors that other inputs would not prevent"""
LIBRARIES = ("site-packages", "dist-packages")


def guarded(module: nn.Module) -> Callable[[Tensor], Any]:
    """Return a function that calls the module and reports its failures as ``ModelError``."""

    def run(images: Tensor) -> Any:
        try:
            return module(images)
        except (Exception, SystemExit) as error:  # the forward pass is the user's code
            raise ModelError(
                f"{_failed(images, error)} {_why_it_fails(module, images, error)}"
            ) from error

    return run


def reporting(forward: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Return ``forward`` with failures in the user's code reported as ``ModelError``.

    Failures during an export are not changed, nor are those in other code, such as a lack of memory.
    """

    def run(images: Tensor) -> Any:
        try:
            return forward(images)
        except (Exception, SystemExit) as error:
            scarce = isinstance(error, MemoryError) or "memory" in str(error)
            if torch.compiler.is_exporting() or scarce or not _line_of(error):
                raise
            raise ModelError(
                f"{_failed(images, error)} It did not fail on noise. Check the preprocessing (--mean, "
                "--std) and the line."
            ) from error

    return run


def _failed(images: Tensor, error: BaseException) -> str:
    reason = str(error).strip().splitlines()
    return (
        f"The network fails on a batch of images {tuple(images.shape)}: {type(error).__name__}: "
        f"{reason[0].rstrip('.') if reason else 'no reason given'}{_line_of(error)}."
    )


def _why_it_fails(module: nn.Module, images: Tensor, error: BaseException) -> str:
    """Return what to do about a network that fails on a batch of images."""
    if isinstance(error, SystemExit):
        return "Remove the exit from its forward pass."
    if isinstance(error, TypeError) and "positional argument" in str(error):
        return "Wrap it in a module whose forward takes only the images."
    if isinstance(error, NotImplementedError) and '"forward"' in str(error):
        return "Give a module that has a forward pass."
    with contextlib.suppress(Exception):  # it may fail as before
        module(images[:1])
        return "It runs on one picture alone: its forward pass must take batches of any size."
    asked = _Asked(images)
    with contextlib.suppress(Exception):
        module(asked)
        if asked.names:
            name = asked.names[0]
            if isinstance(name, int):
                return "It takes a tuple, as of a data loader. Wrap it in a module that makes it."
            return f"It takes a dict with {name!r}. Wrap it in a module that makes the dict."
    with contextlib.suppress(Exception):
        module(list(images))
        return "It takes a list of pictures. Wrap it in a module that makes the list: list(images)."
    with contextlib.suppress(Exception):
        module(pixel_values=images)
        return "It takes pixel_values=images. Wrap it in a module that passes them by this name."
    if isinstance(error, FAULTS):
        return "The failure is in the network's code."
    return "Check its input: --input-size, and --mean and --std with one value per channel."


class _Asked(dict[Any, Any]):
    """A dict with the images under every name, which records the names that are requested."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self._images, self.names = images, list[Any]()

    def __missing__(self, key: Any) -> Tensor:
        self.names.append(key)
        return self._images


def _line_of(error: BaseException) -> str:
    """Return `` (net.py, line 8)``: the innermost line of the user's code; nothing if there is none.

    Lines that called back into this package do not count.
    """
    homes = Path(__file__).resolve().parents[1], Path(traceback.__file__).parent
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_file() and not set(LIBRARIES) & set(Path(frame.filename).parts)
    ]
    own = [frame for frame in frames if not _within(frame.filename, homes[1])]
    if not own or _within(own[-1].filename, homes[0]):
        return ""
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})"


def _within(file: str, folder: Path) -> bool:
    return Path(file).resolve().is_relative_to(folder)
