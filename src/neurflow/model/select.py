"""One neuron's part of a segment: "select channel ``c``" pushed back through the graph.

``Selection.take`` asks a node for a range of one axis. Element-wise operations, batch norm, pooling
and reshapes pass the question on, a convolution or linear map turns it into rows of its weight, a
concatenation into the right branch. What nobody takes is never copied. Where no rule applies the
node is computed whole and narrowed: the same numbers, no gain.

Each rule is one small function; a rule that returns None does not apply after all.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from neurflow.model.graph import ancestors, arguments, aten, is_tensor, result

UNARY = {
    aten.relu.default,
    aten.hardtanh.default,
    aten.gelu.default,
    aten.silu.default,
    aten.sigmoid.default,
    aten.tanh.default,
    aten.hardswish.default,
    aten.hardsigmoid.default,
    aten.leaky_relu.default,
    aten.elu.default,
    aten.mish.default,
    aten.softplus.default,
    aten.clone.default,
    aten.neg.default,
    aten.exp.default,
    aten.sqrt.default,
    aten.rsqrt.default,
    aten.pow.Tensor_Scalar,
    aten.clamp.default,
    aten.clamp_min.default,
    aten.dropout.default,
    aten._to_copy.default,
}
BINARY = {aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor}
POOLING = {
    aten.avg_pool2d.default,
    aten.max_pool2d.default,
    aten.adaptive_avg_pool2d.default,
    aten.adaptive_max_pool2d.default,
    aten.upsample_nearest2d.vec,
    aten.upsample_bilinear2d.vec,
}
BATCH_NORM = aten._native_batch_norm_legit_no_training.default


@dataclass(frozen=True)
class Range:
    """``length`` entries of ``axis`` from ``start`` on."""

    axis: int
    start: int
    length: int

    def on(self, axis: int) -> Range:
        """The same entries of another axis."""
        return Range(axis, self.start, self.length)


class Selection:
    """Copies a graph so that only a range of its result is computed."""

    def __init__(self, source: fx.Graph) -> None:
        self.graph = fx.Graph()
        self._whole: dict[fx.Node, fx.Node] = {
            node: self._like(self.graph.placeholder(node.name), node)
            for node in source.nodes
            if node.op == "placeholder"
        }
        self._taken: dict[tuple[fx.Node, Range], fx.Node] = {}

    @staticmethod
    def _like(copy: fx.Node, node: fx.Node) -> fx.Node:
        copy.meta = dict(node.meta)
        return copy

    def whole(self, node: fx.Node) -> fx.Node:
        """The complete value of a node."""
        if node not in self._whole:
            for needed in ancestors([node], stop=self._whole):
                self._whole[needed] = self.graph.node_copy(needed, self._whole.__getitem__)
        return self._whole[node]

    def take(self, node: fx.Node, part: Range) -> fx.Node:
        """A range of a node's value, computed from as little as the rules allow."""
        shape = node.meta["val"].shape
        if part.start == 0 and part.length == shape[part.axis]:
            return self.whole(node)
        key = (node, part)
        if key not in self._taken:
            rule = RULES.get(node.target)
            copy = rule(self, node, part) if rule and node not in self._whole else None
            self._taken[key] = copy or self.narrow(self.whole(node), part, node)
        return self._taken[key]

    def narrow(self, copy: fx.Node, part: Range, like: fx.Node) -> fx.Node:
        """A range of an already copied value."""
        return self.call(aten.narrow.default, (copy, part.axis, part.start, part.length), like)

    def rows(self, weight: Any, start: int, length: int) -> Any:
        """Rows of a weight or bias that may be absent."""
        if weight is None:
            return None
        return self.narrow(self.whole(weight), Range(0, start, length), weight)

    def call(self, target: Any, args: tuple[Any, ...], like: fx.Node, **kwargs: Any) -> fx.Node:
        """A call that stands for ``like``; its batch axis is where that of ``like`` is."""
        return self._like(self.graph.call_function(target, args, kwargs), like)

    def rest(self, values: Any) -> Any:
        """Arguments with every node replaced by its whole copy."""
        return fx.map_arg(values, self.whole)

    def again(self, node: fx.Node, first: fx.Node) -> fx.Node:
        """The same operation on another first argument."""
        return self.call(
            node.target, (first, *self.rest(arguments(node)[1:])), node, **self.rest(node.kwargs)
        )


Rule = Callable[[Selection, fx.Node, Range], fx.Node | None]


def _size(node: fx.Node, axis: int) -> Any:
    return node.meta["val"].shape[axis]


def _unary(to: Selection, node: fx.Node, part: Range) -> fx.Node:
    return to.again(node, to.take(arguments(node)[0], part))


def _binary(to: Selection, node: fx.Node, part: Range) -> fx.Node:
    ndim = node.meta["val"].ndim

    def operand(value: Any) -> Any:
        if not isinstance(value, fx.Node) or not is_tensor(value):
            return to.rest(value)
        axis = part.axis - (ndim - value.meta["val"].ndim)
        if axis < 0 or _size(value, axis) == 1:  # broadcast along the axis
            return to.whole(value)
        return to.take(value, part.on(axis))

    args = tuple(operand(value) for value in arguments(node))
    return to.call(node.target, args, node, **to.rest(node.kwargs))


def _pooling(to: Selection, node: fx.Node, part: Range) -> fx.Node | None:
    pooled = range(node.meta["val"].ndim - 2, node.meta["val"].ndim)
    return None if part.axis in pooled else _unary(to, node, part)


def _convolution(to: Selection, node: fx.Node, part: Range) -> fx.Node | None:
    """Rows of the weight, and the input channels of their group."""
    x, weight, bias, *rest = (*arguments(node), None)[: max(len(node.args), 3)]
    groups = rest[3] if len(rest) > 3 else 1
    outputs = _size(weight, 0) // groups
    first, last = part.start // outputs, (part.start + part.length - 1) // outputs
    if part.axis != 1 or first != last:
        return None
    inputs = _size(weight, 1)
    x = to.take(x, Range(1, first * inputs, inputs))
    kernel = [_size(weight, axis) for axis in range(2, weight.meta["val"].ndim)]
    weight, bias = (to.rows(w, part.start, part.length) for w in (weight, bias))
    strided = any(step != 1 for step in (rest[0] if rest else ()))
    if part.length == 1 and len(kernel) == 2 and kernel != [1, 1] and not strided:
        return _one_row(to, node, (x, weight, bias), kernel, rest[1:3])
    return to.call(node.target, (x, weight, bias, *to.rest(rest[:3])), node)


def _one_row(
    to: Selection,
    node: fx.Node,
    operands: tuple[fx.Node, fx.Node, fx.Node | None],
    kernel: Sequence[int],
    rest: Sequence[Any],
) -> fx.Node:
    """A convolution with one row as two: each tap's product first, then the taps' shifts and sum.

    The first is a matrix product that makes ``taps`` channels of many, at the speed of memory; the
    second works on those few. Convolution kernels are slow at one output channel.
    """
    x, weight, bias = operands
    taps = kernel[0] * kernel[1]
    rows = to.call(aten.reshape.default, (weight, [_size(weight, 1), taps]), node)
    rows = to.call(aten.transpose.int, (rows, 0, 1), node)
    flat = to.call(aten.flatten.using_ints, (x, 2), node)
    products = to.call(aten.matmul.default, (rows, flat), node)
    sizes = [int(size) for size in arguments(node)[0].meta["val"].shape[2:]]
    products = to.call(aten.reshape.default, (products, [-1, taps, *sizes]), node)
    shifts = to.call(
        aten.eye.default,
        (taps,),
        node,
        dtype=weight.meta["val"].dtype,
        device=weight.meta["val"].device,
    )
    shifts = to.call(aten.reshape.default, (shifts, [1, taps, *kernel]), node)
    return to.call(aten.conv2d.default, (products, shifts, bias, [1, 1], *rest), node)


def _linear(to: Selection, node: fx.Node, part: Range) -> fx.Node:
    x, weight, *bias = arguments(node)
    if part.axis != node.meta["val"].ndim - 1:
        return to.again(node, to.take(x, part))
    rows = (to.rows(w, part.start, part.length) for w in (weight, *bias))
    return to.call(node.target, (to.whole(x), *rows), node)


def _getitem(to: Selection, node: fx.Node, part: Range) -> fx.Node | None:
    norm = arguments(node)[0]
    if norm.target is not BATCH_NORM:
        return None
    x, *statistics = arguments(norm)[:5]
    x = to.take(x, part)
    if part.axis == 1:
        statistics = [to.rows(s, part.start, part.length) for s in statistics]
    else:
        statistics = to.rest(statistics)
    copy = to.call(norm.target, (x, *statistics, *arguments(norm)[5:]), norm)
    return to.call(operator.getitem, (copy, 0), node)


def _cat(to: Selection, node: fx.Node, part: Range) -> fx.Node | None:
    """Along the axis: the branch that holds the range. Across it: every branch's range."""
    tensors, *rest = arguments(node)
    axis = (rest[0] if rest else 0) % node.meta["val"].ndim
    if axis != part.axis:
        return to.call(node.target, ([to.take(t, part) for t in tensors], axis), node)
    start = part.start
    for tensor in tensors:
        size = _size(tensor, axis)
        if start < size:
            inside = start + part.length <= size
            return to.take(tensor, Range(axis, start, part.length)) if inside else None
        start -= size
    return None


def _layer_norm(to: Selection, node: fx.Node, part: Range) -> fx.Node | None:
    normalised = node.meta["val"].ndim - len(arguments(node)[1])
    return _unary(to, node, part) if part.axis < normalised else None


def _reduction(to: Selection, node: fx.Node, part: Range) -> fx.Node | None:
    """Mean or sum over other axes."""
    x, axes, *rest = arguments(node)
    ndim = x.meta["val"].ndim
    reduced = sorted(axis % ndim for axis in axes)
    kept = [axis for axis in range(ndim) if axis not in reduced]
    axis = part.axis if rest and rest[0] else kept[part.axis]
    return None if axis in reduced else to.again(node, to.take(x, part.on(axis)))


def _permute(to: Selection, node: fx.Node, part: Range) -> fx.Node:
    x, order = arguments(node)
    return to.again(node, to.take(x, part.on(order[part.axis] % len(order))))


def _transpose(to: Selection, node: fx.Node, part: Range) -> fx.Node:
    x, *pair = arguments(node)
    first, second = (axis % node.meta["val"].ndim for axis in pair)
    axis = {first: second, second: first}.get(part.axis, part.axis)
    return to.again(node, to.take(x, part.on(axis)))


def _view(to: Selection, node: fx.Node, part: Range) -> fx.Node | None:
    """A reshape that leaves the axis alone: as much in front of it, and as long."""
    x, shape = arguments(node)
    before, after = _expressions(x), _expressions(node)
    for axis, size in enumerate(before):
        if size == after[part.axis] and _product(before[:axis]) == _product(after[: part.axis]):
            shape = [*to.rest(shape[: part.axis]), part.length, *to.rest(shape[part.axis + 1 :])]
            return to.call(aten.reshape.default, (to.take(x, part.on(axis)), shape), node)
    return None


def _expressions(node: fx.Node) -> list[Any]:
    """Sizes as numbers or symbolic expressions, safe to compare."""
    sizes = node.meta["val"].shape
    return [size.node.expr if isinstance(size, torch.SymInt) else size for size in sizes]


def _product(sizes: Sequence[Any]) -> Any:
    result: Any = 1
    for size in sizes:
        result = result * size
    return result


RULES: dict[Any, Rule] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(POOLING, _pooling),
    aten.conv2d.default: _convolution,
    aten.conv1d.default: _convolution,
    aten.linear.default: _linear,
    operator.getitem: _getitem,
    aten.cat.default: _cat,
    aten.layer_norm.default: _layer_norm,
    aten.mean.dim: _reduction,
    aten.sum.dim_IntList: _reduction,
    aten.permute.default: _permute,
    aten.transpose.int: _transpose,
    aten.reshape.default: _view,
}


def select_neuron(source: fx.Graph, axis: int, neuron: int) -> fx.Graph:
    """A segment's graph reduced to ``φ_a`` ``[batch]`` of one upper neuron on channel ``axis``."""
    upper = result(source)
    to = Selection(source)
    channel = to.take(upper, Range(axis, neuron, 1))
    axes = list(range(1, upper.meta["val"].ndim))
    to.graph.output(to.call(aten.mean.dim, (channel, axes), upper))
    return to.graph
