"""Uses a user's module temporarily, and restores its state afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def borrowed(module: nn.Module) -> Iterator[None]:
    """Put a module in eval mode, without gradients for its parameters.

    On exit, the mode of each submodule and ``requires_grad`` of each parameter are restored. No
    gradients are accumulated in parameters, because attributions request only those of chosen inputs.
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


def does_more_than_forward(module: nn.Module) -> bool:
    """Return whether calling a module does more than its forward pass, by hooks or by ``__call__``."""
    hooked = any(value for name, value in vars(module).items() if "hooks" in name)
    return hooked or type(module).__call__ is not nn.Module.__call__
