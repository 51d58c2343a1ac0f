"""Full float32 precision on a GPU.

By default, PyTorch lets convolutions on a GPU round their inputs to a mantissa of ten bits (TF32). This
is enough to change the order of similar crops and core neurons.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Make cuDNN compute in full float32, and restore PyTorch's setting at the end.

    The setting is global in PyTorch, so it also affects other threads that use the GPU meanwhile.
    """
    settings = torch.backends.cudnn
    before = settings.allow_tf32
    settings.allow_tf32 = False
    try:
        yield
    finally:
        settings.allow_tf32 = before
