"""A convolution or linear map with one output channel for each sample: one row of its weight.

Convolution kernels are slow for a single output channel, so the convolution is computed in two steps:

1. The product of each tap with the inputs at a position. This is one matrix product, limited by memory
   bandwidth, that reduces the input channels to one map for each tap.
2. The sum of these maps, each shifted to the position of its tap.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, fx

from neurflow.model.fast.channels import Channels, Selection, rank
from neurflow.model.network.graph import arguments, aten


def row_products(
    places: Float[Tensor, "batch place input"], rows: Float[Tensor, "batch row input"]
) -> Float[Tensor, "batch place row"]:
    """Multiply the places of each sample by the sample's own rows.

    The input axis of rows is last, because matrix kernels are much faster for this layout.
    """
    result: Tensor = _RowProducts.apply(places, rows)
    return result


class _RowProducts(torch.autograd.Function):
    """``bmm`` of factors with contiguous strides, in both directions.

    The stride of an axis of length 1 has no effect on the values. But unusual strides, which reshapes
    and transposes produce, make ``bmm`` up to ten times slower.
    """

    @staticmethod
    def forward(ctx: Any, places: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(places, rows)
        return torch.bmm(places, _plain(rows).transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        places, rows = ctx.saved_tensors
        gradient = _plain(gradient)
        at_places, at_rows = ctx.needs_input_grad
        return (
            torch.bmm(gradient, _plain(rows)) if at_places else None,
            torch.bmm(gradient.transpose(1, 2), places) if at_rows else None,
        )


def _plain(value: Tensor) -> Tensor:
    return value.clone(memory_format=torch.contiguous_format)


def convolution(to: Selection, node: fx.Node, part: Channels) -> fx.Node | None:
    """Apply the rule for a convolution with any groups, stride, padding and dilation."""
    x, weight, bias, *rest = (*arguments(node), None)[: max(len(node.args), 3)]
    outputs, inputs, *kernel = weight.meta["val"].shape
    groups = rest[3] if len(rest) > 3 else 1
    row = to.rows(weight, part, node) if part.axis == 1 else None
    if row is None:
        return None
    sizes = [int(size) for size in x.meta["val"].shape[2:]]
    if groups > 1:  # the input channels of the row's group
        first = to.derive(part.start, operator.floordiv, outputs // groups)
        x = to.take(x, Channels(1, to.derive(first, operator.mul, inputs), inputs))
    else:
        x = to.whole(x)
    taps = int(np.prod(kernel))
    row = to.call(aten.reshape.default, (row, [-1, inputs, taps]), None)
    row = to.call(aten.transpose.int, (row, 1, 2), None)
    window = _Window.of(kernel, rest)
    folds = window.folds()
    if folds:
        row = to.call(aten.flip.default, (row, [1]), None)
    row = to.call(aten.contiguous.default, (row,), None)
    places = to.call(aten.flatten.using_ints, (x, 2), node)
    places = to.call(aten.transpose.int, (places, 1, 2), node)
    products = to.call(row_products, (places, row), node)
    products = to.call(aten.transpose.int, (products, 1, 2), node)
    if folds:
        summed = _folded(to, products, node, sizes, window)
    else:
        products = to.call(aten.reshape.default, (products, [-1, taps, *sizes]), node)
        value = weight.meta["val"]
        shifts = to.call(aten.eye.default, (taps,), None, dtype=value.dtype, device=value.device)
        shifts = to.call(aten.reshape.default, (shifts, [1, taps, *kernel]), None)
        summed = to.call(node.target, (products, shifts, None, *to.rest(rest[:3])), node)
    return plus(to, summed, to.row(bias, part, node), node)


@dataclass(frozen=True)
class _Window:
    """The window of a convolution, with an entry for each axis."""

    kernel: list[int]
    stride: list[int]
    padding: list[int]
    dilation: list[int]

    @classmethod
    def of(cls, kernel: Sequence[int], rest: Sequence[Any]) -> _Window:
        """Make it from the arguments after the bias, some of which may be missing."""
        given = [list(map(int, values)) for values in rest[:3]]
        given += [[1], [0], [1]][len(given) :]
        # one number for all axes
        return cls(list(map(int, kernel)), *(v * len(kernel) if len(v) == 1 else v for v in given))

    @property
    def reach(self) -> list[int]:
        """Distance from the first tap to the last."""
        return [d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True)]

    def folds(self) -> bool:
        """Return whether shifted maps can be summed by ``col2im``."""
        return len(self.kernel) == 2 and all(map(operator.le, self.padding, self.reach))


def _folded(
    to: Selection, products: fx.Node, node: fx.Node, sizes: Sequence[int], window: _Window
) -> fx.Node:
    """Sum the maps ``[batch, tap, place]`` of the taps, in reverse order, by ``col2im``.

    ``col2im`` puts tap ``k`` of place ``l`` at ``l + k``, where a convolution reads from ``l + k``,
    so it is the mirror image of a convolution. It does not support strides; superfluous places are
    removed afterwards.
    """
    reach = window.reach
    if any(reach):
        full = [n + 2 * p - r for n, p, r in zip(sizes, window.padding, reach, strict=True)]
        around = [r - p for r, p in zip(reach, window.padding, strict=True)]
        settings = (full, window.kernel, window.dilation, around, [1, 1])
        summed = to.call(aten.col2im.default, (products, *settings), node)
    else:
        summed = to.call(aten.reshape.default, (products, [-1, 1, *sizes]), node)
    for axis, step in enumerate(window.stride, start=2):
        if step > 1:
            summed = to.call(aten.slice.Tensor, (summed, axis, 0, 2**62, step), node)
    return summed


def linear(to: Selection, node: fx.Node, part: Channels) -> fx.Node | None:
    """Apply the rule for a linear map."""
    x, weight, *bias = arguments(node)
    if part.axis != rank(node) - 1:
        return to.again(node, to.take(x, part))
    row = to.rows(weight, part, node)
    if row is None:
        return None
    inputs, sizes = weight.meta["val"].shape[1], [int(n) for n in x.meta["val"].shape[1:-1]]
    flat = to.call(aten.reshape.default, (to.whole(x), [-1, int(np.prod(sizes)), inputs]), node)
    row = to.call(aten.unsqueeze.default, (row, 1), None)
    product = to.call(row_products, (flat, row), node)
    product = to.call(aten.reshape.default, (product, [-1, *sizes, 1]), node)
    return plus(to, product, to.row(bias[0] if bias else None, part, node), node)


def plus(to: Selection, value: fx.Node, bias: fx.Node | None, node: fx.Node) -> fx.Node:
    """Add a bias, if there is one."""
    return value if bias is None else to.call(aten.add.Tensor, (value, bias), node)
