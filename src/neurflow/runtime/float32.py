"""Full float32 on a GPU.

PyTorch lets the convolutions of a GPU round their factors to ten bits (TF32). That is enough to swap
crops and core neurons that lie close together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Let cuDNN compute float32 as float32; on leaving, PyTorch's setting is what it was.

    The setting is global in PyTorch, so other threads that use the GPU meanwhile have it too.
    """
    settings = torch.backends.cudnn
    before = settings.allow_tf32
    settings.allow_tf32 = False
    try:
        yield
    finally:
        settings.allow_tf32 = before
