"""Recognises networks without a classifier, whose outputs are features, not classes.

1. It is certain if the network says so (timm's ``num_classes == 0``), if the output has the name of
   features (``pooler_output``), or if it is made by an ``Identity`` in the place of the last layer and
   the operation before it is not a linear map.
2. It is probable if the output is made by a nonlinearity or a norm, also with pooling after it. A
   classifier ends in a linear map or a convolution.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

FEATURES = frozenset(
    (
        *("pooler_output", "last_hidden_state", "embedding", "embeddings", "image_embeds"),
        *("feature", "features", "feat", "feats", "image_features", "x_norm_clstoken"),
    )
)
"""names of outputs that are usually features, not classes"""
RESHAPES = re.compile(
    "(Unsafe)?(View|Reshape.*)|Squeeze|Unsqueeze|Select|Slice|Permute|Transpose|T|AsStrided|Alias|Clone"
    "|ToCopy|Expand"
)
POOLS = re.compile("Mean|.*(Avg|Max)Pool.*")
NONLINEAR = re.compile(
    "Relu|Gelu|Silu|Hardswish|Hardtanh|LeakyRelu|Elu|Mish|Native(Layer|Group)Norm|.*RmsNorm"
)
MIXED = re.compile("NativeBatchNorm|Add|Cat|Mul")
"""operations that are followed by pooling in networks without a classifier"""


@dataclass(frozen=True)
class Features:
    """Why outputs are taken for features.

    Attributes:
        certain: whether they surely are.
        why: in words, to follow "The outputs are features: ".
    """

    certain: bool
    why: str


@contextlib.contextmanager
def identities(module: nn.Module) -> Iterator[dict[int, tuple[str, Tensor]]]:
    """Yield the outputs of the ``Identity`` layers of a module: id → (layer, tensor)."""
    seen: dict[int, tuple[str, Tensor]] = {}
    handles = [
        part.register_forward_hook(
            lambda _, __, value, name=name: seen.update({id(value): (name, value)})
        )
        for name, part in module.named_modules()
        if name and isinstance(part, nn.Identity)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def features_of(
    module: nn.Module, value: Tensor, name: object, seen: dict[int, tuple[str, Tensor]]
) -> Features | None:
    """Say why outputs are features; None if nothing says so.

    Args:
        module: the network.
        value: its outputs, with a gradient.
        name: name of the outputs in what it returns, or None.
        seen: outputs of its ``Identity`` layers.
    """
    if name in FEATURES:
        return Features(True, f"they are called {name!r}")
    count = getattr(module, "num_classes", None)
    if isinstance(count, int) and not isinstance(count, bool) and count == 0:
        return Features(True, "the network was made without a classifier (num_classes is 0)")
    what = made_by(value)
    if id(value) in seen and what != "linear":
        return Features(True, f"{seen[id(value)][0]!r}, its last layer, is an Identity")
    if what == "nonlinear":
        return Features(False, "no linear layer makes them")
    return None


def made_by(value: Tensor) -> str:
    """Return what made a tensor, before reshapes: ``linear``, ``nonlinear`` or ``unknown``."""
    node, pooled = value.grad_fn, False
    while node is not None:
        kind = re.sub(r"Backward\d*$", "", type(node).__name__)
        if POOLS.fullmatch(kind):
            pooled = True
        elif not RESHAPES.fullmatch(kind):
            nonlinear = NONLINEAR.fullmatch(kind) or (pooled and MIXED.fullmatch(kind))
            linear = kind in ("Addmm", "Mm", "Bmm", "Baddbmm", "Convolution", "Mv")
            return "nonlinear" if nonlinear else "linear" if linear else "unknown"
        node = next((each for each, _ in node.next_functions if each is not None), None)
    return "unknown"
