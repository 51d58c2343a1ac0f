"""Tensors in the return value of a module, including tuples, mappings and dataclasses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

Place = tuple[str | int, ...]
"""path to a tensor in the return value of a module"""


def tensors_in(output: Any, place: Place = ()) -> Iterator[tuple[Place, Tensor]]:
    """Yield (place, tensor) of all tensors in the return value of a module."""
    if isinstance(output, Tensor):
        yield place, output
        return
    for key, value in _parts(output):
        yield from tensors_in(value, (*place, key))


def _parts(output: Any) -> list[tuple[str | int, Any]]:
    if isinstance(output, Mapping):
        return list(output.items())
    if isinstance(output, tuple) and hasattr(output, "_fields"):  # a named tuple
        return list(zip(output._fields, output, strict=True))
    if isinstance(output, tuple | list):
        return list(enumerate(output))
    if is_dataclass(output):
        return [(field.name, getattr(output, field.name)) for field in fields(output)]
    return []


def tensor_at(output: Any, place: Place) -> Tensor:
    """Return the tensor at a place."""
    for key in place:
        output = dict(_parts(output))[key]
    return output


def as_table(value: Tensor) -> Tensor:
    """Return a tensor reshaped to ``[batch, class]`` by adding or removing axes of length 1."""
    if value.ndim < 2:
        return value.reshape(-1, 1)
    return value if value.ndim == 2 else value.flatten(1)


def is_table(value: Tensor, batch: int) -> bool:
    """Return whether a tensor can have one value per class for each image of a batch."""
    return (
        value.is_floating_point()
        and value.ndim >= 1
        and value.shape[0] == batch
        and value.numel() > 0
        and sum(size > 1 for size in value.shape[1:]) <= 1
    )
