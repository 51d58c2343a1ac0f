"""Rules that translate a request for some channels of an operation into requests for its inputs.

Element-wise operations, batch norm, pooling and reshapes pass the request on. A convolution or linear
map turns it into rows of its weight, and a concatenation selects the right branch. Each rule is a
function of (selection, node, channels); it returns None if it does not apply. The table in ``ops``
assigns the rules to operations.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import torch
from torch import fx

from neurflow.model.fast.channels import Channels, Selection, rank
from neurflow.model.fast.one_row import plus
from neurflow.model.network.folding import BATCH_NORM
from neurflow.model.network.graph import arguments, aten, is_tensor

SPLITS = {aten.split.Tensor, aten.split_with_sizes.default}


def elementwise(to: Selection, node: fx.Node, part: Channels) -> fx.Node:
    """Request the same channels of the first argument."""
    return to.again(node, to.take(arguments(node)[0], part))


def broadcast(to: Selection, node: fx.Node, part: Channels) -> fx.Node:
    """Request the same channels of every tensor that has them; use broadcast tensors whole."""

    def operand(value: Any) -> Any:
        if not isinstance(value, fx.Node) or not is_tensor(value):
            return to.rest(value)
        axis = part.axis - (rank(node) - rank(value))
        if axis < 0 or value.meta["val"].shape[axis] == 1:  # broadcast along the axis
            return to.whole(value)
        return to.take(value, part, like=node)

    args = tuple(operand(value) for value in arguments(node))
    return to.call(node.target, args, node, **to.rest(node.kwargs))


def pooling(to: Selection, node: fx.Node, part: Channels) -> fx.Node | None:
    """For pooling over the last two axes, request the same channels of another axis."""
    return None if part.axis >= rank(node) - 2 else elementwise(to, node, part)


def getitem(to: Selection, node: fx.Node, part: Channels) -> fx.Node | None:
    """Request channels of a batch norm, or of a piece of a split."""
    source, index = arguments(node)
    if source.target is BATCH_NORM:
        return _batch_norm(to, node, part)
    if source.target not in SPLITS:
        return None
    x, *rest = arguments(source)
    axis = rest[1] % rank(node) if len(rest) > 1 else source.kwargs.get("dim", 0)
    if axis != part.axis:
        copy = to.call(source.target, (to.take(x, part), *rest), source, **source.kwargs)
        return to.call(operator.getitem, (copy, index), node)
    before = sum(int(piece.shape[axis]) for piece in source.meta["val"][:index])
    return to.take(x, replace(part, start=to.derive(part.start, operator.add, before)))


def _batch_norm(to: Selection, node: fx.Node, part: Channels) -> fx.Node | None:
    norm = arguments(node)[0]
    x, *statistics = arguments(norm)[:5]
    if part.axis != 1:
        copy = to.again(norm, to.take(x, part))
        return to.call(operator.getitem, (copy, 0), node)
    weight, bias, mean, variance = (to.row(s, part, node) for s in statistics)
    if mean is None or variance is None:
        return None
    centred = to.call(aten.sub.Tensor, (to.take(x, part), mean), node)
    eps = arguments(norm)[-1]
    scale = to.call(aten.rsqrt.default, (to.call(aten.add.Tensor, (variance, eps), node),), node)
    if weight is not None:
        scale = to.call(aten.mul.Tensor, (scale, weight), node)
    return plus(to, to.call(aten.mul.Tensor, (centred, scale), node), bias, node)


def layer_norm(to: Selection, node: fx.Node, part: Channels) -> fx.Node | None:
    """Pass a request on unless its axis is normalised; then, all channels are needed."""
    _, shape, *_ = arguments(node)
    return elementwise(to, node, part) if part.axis < rank(node) - len(shape) else None


def cat(to: Selection, node: fx.Node, part: Channels) -> fx.Node | None:
    """Select the branch with the channels, or request them of all branches of another axis."""
    tensors, *rest = arguments(node)
    axis = (rest[0] if rest else 0) % rank(node)
    if axis != part.axis:
        return to.call(node.target, ([to.take(t, part) for t in tensors], axis), node)
    sizes = [int(tensor.meta["val"].shape[axis]) for tensor in tensors]
    for tensor, size, first in zip(tensors, sizes, accumulate([0, *sizes]), strict=False):
        if to.only(part, first, size):
            return to.take(tensor, replace(part, start=to.derive(part.start, operator.sub, first)))
    return None


def reduction(to: Selection, node: fx.Node, part: Channels) -> fx.Node | None:
    """Pass a request on through a mean or sum over other axes."""
    x, axes, *rest = arguments(node)
    reduced = sorted(axis % rank(x) for axis in axes)
    kept = [axis for axis in range(rank(x)) if axis not in reduced]
    axis = part.axis if rest and rest[0] else kept[part.axis]
    return None if axis in reduced else to.again(node, to.take(x, part.on(axis)))


def permute(to: Selection, node: fx.Node, part: Channels) -> fx.Node:
    """Request the same channels of the axis before the permutation."""
    x, order = arguments(node)
    return to.again(node, to.take(x, part.on(order[part.axis] % len(order))))


def transpose(to: Selection, node: fx.Node, part: Channels) -> fx.Node:
    """Request the same channels of the axis before the transposition."""
    x, *pair = arguments(node)
    first, second = (axis % rank(node) for axis in pair)
    axis = {first: second, second: first}.get(part.axis, part.axis)
    return to.again(node, to.take(x, part.on(axis)))


def view(to: Selection, node: fx.Node, part: Channels) -> fx.Node | None:
    """Pass a request on through a reshape that keeps the axis and the number of values before it."""
    x, shape = arguments(node)
    before, after = _expressions(x), _expressions(node)
    for axis, size in enumerate(before):
        if size == after[part.axis] and _product(before[:axis]) == _product(after[: part.axis]):
            shape = [*to.rest(shape[: part.axis]), part.length, *to.rest(shape[part.axis + 1 :])]
            return to.call(aten.reshape.default, (to.take(x, part.on(axis)), shape), node)
    return None


def _expressions(node: fx.Node) -> list[Any]:
    """Return sizes as numbers or symbolic expressions, which can be compared safely."""
    sizes = node.meta["val"].shape
    return [size.node.expr if isinstance(size, torch.SymInt) else size for size in sizes]


def _product(sizes: Sequence[Any]) -> Any:
    result: Any = 1
    for size in sizes:
        result = result * size
    return result
