"""Precision of the products of gradients and weights.

Most of the time of an attribution is spent on these products. Processors with instructions for bfloat16
compute them faster from rounded factors; sums are kept in float32.
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
    """Round the factors of products to bfloat16 meanwhile, or not; this applies to the thread."""
    before = _ROUNDED.set(rounded)
    try:
        yield
    finally:
        _ROUNDED.reset(before)


def factors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the factors of a product: float32 tensors are rounded to bfloat16 if this is turned on."""
    if not _ROUNDED.get() or any(tensor.dtype != torch.float32 for tensor in tensors):
        return tensors
    return tuple(tensor.bfloat16() for tensor in tensors)
