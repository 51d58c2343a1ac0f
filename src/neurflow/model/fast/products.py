"""Precision of the products of gradients and weights.

Processors with instructions for bfloat16 compute such products faster. Factors and results are then
rounded to bfloat16.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from torch import Tensor

_ROUNDED = ContextVar("rounded", default=False)


@contextlib.contextmanager
def rounded_products(rounded: bool) -> Iterator[None]:
    """Turn rounding to bfloat16 on or off for the products in this thread."""
    before = _ROUNDED.set(rounded)
    try:
        yield
    finally:
        _ROUNDED.reset(before)


def factors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the factors of a product: float32 tensors are rounded to bfloat16 if it is on."""
    if not _ROUNDED.get() or any(tensor.dtype != torch.float32 for tensor in tensors):
        return tensors
    return tuple(tensor.bfloat16() for tensor in tensors)
