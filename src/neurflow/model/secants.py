"""Slopes of secants in place of derivatives: integrated gradients that complete at any N.

Between two neighbouring points of the path an affine operation passes a change on by its matrix, and
the others by slopes (``slopes``): an element-wise function by that of its secant, which is its
derivative's mean over the cell as long as its input moves evenly, a product by the means of its
factors. Taken back through these, a cell's change of ``φ_a`` is distributed over the frontier without
remainder, so all cells together give ``φ_a(x) − φ_a(0)`` to rounding, however few they are. The scores
tend to integrated gradients with the square of the cells' length, as each slope is that of the cell's
middle to the first order.

Layer norm and softmax could be had as products and element-wise functions too. But next to 0 a norm's
scale changes a thousandfold, the means of its factors tell nothing there, and what they give away in
one part they take back in another. These tails are smooth, and Gauss-Legendre serves them well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from neurflow.model.affine import is_affine
from neurflow.model.graph import arguments, aten
from neurflow.model.one_row import row_products
from neurflow.model.select import UNARY
from neurflow.model.slopes import (
    Bilinear,
    Elementwise,
    Operation,
    gate_slope,
    secant_slope,
)

BILINEAR = {
    aten.mul.Tensor,
    aten.matmul.default,
    aten.bmm.default,
    aten.mm.default,
    row_products,
}


def secant_tail(
    tail: fx.GraphModule, frontier: int, batch_axis: Callable[[fx.Node], int | None]
) -> fx.GraphModule | None:
    """A tail whose gradients are secants' slopes; None if some operation of it has none.

    Args:
        tail: ``(batch, *frontier, *fixed)`` → ``(φ_a [batch],)``.
        frontier: how many of its inputs vary along the path.
        batch_axis: of a node.

    Returns:
        ``(points, batch, *frontier, *fixed)`` → the same. Samples are those of ``points`` points of the
        path behind each other; the gradient in the place of each point is that of the cell from it
        to the next one, and 0 in the place of the last.
    """
    return _Rewriter(tail, batch_axis).run(frontier)


GATES = {
    aten.relu.default,
    aten.hardtanh.default,
    aten.clamp.default,
    aten.clamp_min.default,
}
"""flat or the identity everywhere"""


class _Rewriter:
    """Copies a tail; its operations that are not affine become modules with slopes."""

    def __init__(self, tail: fx.GraphModule, batch_axis: Callable[[fx.Node], int | None]) -> None:
        self.tail, self.batch_axis = tail, batch_axis
        self.graph = fx.Graph()
        self.points = self.graph.placeholder("points")
        self.copies: dict[fx.Node, fx.Node] = {}
        self.slopes: dict[str, nn.Module] = {}

    def run(self, frontier: int) -> fx.GraphModule | None:
        placeholders = [n for n in self.tail.graph.nodes if n.op == "placeholder"]
        varying = set(placeholders[1 : 1 + frontier])
        for node in self.tail.graph.nodes:
            inputs = [source for source in node.all_input_nodes if source in varying]
            bent = node.op == "call_function" and inputs and not is_affine(node, inputs)
            copy = self._with_slope(node, inputs) if bent else self._copy(node)
            if copy is None:
                return None
            self.copies[node] = copy
            if inputs and node.op == "call_function":
                varying.add(node)
        self.graph.lint()
        constants = {
            node.target: getattr(self.tail, node.target)
            for node in self.graph.nodes
            if node.op == "get_attr"
        }
        return fx.GraphModule({**constants, **self.slopes}, self.graph)

    def _copy(self, node: fx.Node) -> fx.Node:
        return self.graph.node_copy(node, self.copies.__getitem__)

    def _with_slope(self, node: fx.Node, inputs: list[fx.Node]) -> fx.Node | None:
        axis = self.batch_axis(node)
        factors = arguments(node)[: len(inputs)]
        if axis is None or any(self.batch_axis(each) != axis for each in inputs):
            return None
        if node.target in BILINEAR and set(arguments(node)) == set(inputs):
            ranks = {each.meta["val"].ndim for each in inputs if "val" in each.meta}
            alike = len(ranks) == 1 and all("val" in each.meta for each in inputs)
            product = Bilinear(cast(Callable[..., Tensor], node.target))
            return self._call(product, arguments(node), axis) if alike else None
        operation = self._unary(node) if list(factors) == inputs else None
        return self._call(operation, inputs, axis) if operation else None

    def _unary(self, node: fx.Node) -> Operation | None:
        """The operation of one input that varies; None if it has no slope."""
        _, *rest = arguments(node)
        if any(isinstance(value, fx.Node) for value in (*rest, *node.kwargs.values())):
            return None
        if node.target not in UNARY:
            return None
        function = partial(_applied, cast(Callable[..., Tensor], node.target), rest, node.kwargs)
        slope = gate_slope if node.target in GATES else secant_slope
        return Elementwise(function, partial(slope, function))

    def _call(self, operation: Operation, inputs: Sequence[fx.Node], axis: int) -> fx.Node:
        name = f"slope_{len(self.slopes)}"
        self.slopes[name] = _WithSlope(operation, axis)
        copies = (self.copies[each] for each in inputs)
        return self.graph.call_module(name, (self.points, *copies))


def _applied(
    target: Callable[..., Tensor], rest: Sequence[Any], named: Mapping[str, Any], z: Tensor
) -> Tensor:
    return target(z, *rest, **named)


class _WithSlope(nn.Module):
    """An operation whose gradient over the points of a path is that over cells."""

    def __init__(self, operation: Operation, axis: int) -> None:
        super().__init__()
        self.operation, self.axis = operation, axis

    def forward(self, points: int, *inputs: Tensor) -> Tensor:
        """The operation's value."""
        result: Tensor = _Cells.apply(self.operation, self.axis, points, *inputs)
        return result


class _Cells(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, operation: Operation, axis: int, points: int, *inputs: Tensor) -> Tensor:
        ctx.save_for_backward(*inputs)
        ctx.operation, ctx.axis, ctx.points = operation, axis, points
        return operation.value(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, axis = ctx.saved_tensors, ctx.axis

        def part(value: Tensor, first: int, count: int) -> Tensor:
            samples = value.shape[axis] // ctx.points
            return value.narrow(axis, first * samples, count * samples)

        cells = ctx.points - 1
        low, high = ([part(value, first, cells) for value in inputs] for first in (0, 1))
        found = ctx.operation.pull(part(gradient, 0, cells), low, high)
        padded = [
            torch.cat([each, torch.zeros_like(part(value, cells, 1))], axis)
            for each, value in zip(found, inputs, strict=True)
        ]
        return None, None, None, *padded
