"""A user's module for the time of a look at it, and then back as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def borrowed(module: nn.Module) -> Iterator[None]:
    """In eval mode and without gradients for parameters.

    On leaving, each part's mode and each parameter's ``requires_grad`` are what they were. No gradient
    is ever accumulated: attributions ask for those of chosen inputs alone.
    """
    training = [part for part in module.modules() if part.training]
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        if training:
            module.eval()
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for part in training:
            part.training = True
        for parameter in trained:
            parameter.requires_grad_(True)
