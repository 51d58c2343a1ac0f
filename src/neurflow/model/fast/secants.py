"""Gradients from slopes of secants, which make integrated gradients complete at any N.

Between two neighbouring points of the path, an affine operation propagates a change by its matrix.
Other operations use slopes (``slopes``): an element-wise function has the slope of its secant, which
is the mean of its derivative over the cell if its input changes linearly, and a product has the means
of its factors. With these slopes, the change of ``φ_a`` over a cell is distributed over the frontier
without remainder. The sum over all cells is therefore ``φ_a(x) − φ_a(0)`` up to rounding, for any
number of cells. The error of the scores falls with the square of the cells' length, since each slope
equals the derivative in the middle of the cell to first order.

Layer norm, softmax and attention have slopes too (``norms``). If such an operation causes most of the
change near the start of the path, cells must be short there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from neurflow.model.fast.ops import is_affine, with_slope
from neurflow.model.fast.slopes import Operation


def secant_tail(
    tail: fx.GraphModule, frontier: int, batch_axis: Callable[[fx.Node], int | None]
) -> fx.GraphModule | None:
    """Return a tail whose gradients are slopes of secants; None if some operation has no slope.

    Args:
        tail: ``(batch, *frontier, *fixed)`` → ``(φ_a [batch],)``.
        frontier: number of its inputs that vary along the path.
        batch_axis: returns the batch axis of a node.

    Returns:
        ``(points, batch, *frontier, *fixed)`` → the same. The batch has the samples at the first
        point, then those at the second, and so on. The gradient at a point is that of the cell from
        this point to the next one, and 0 at the last point.
    """
    return _Rewriter(tail, batch_axis).run(frontier)


class _Rewriter:
    """Copies a tail, and replaces operations that are not affine by modules with slopes."""

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
            moves = node.op == "call_function" and not varying.isdisjoint(node.all_input_nodes)
            bent = moves and not is_affine(node, varying)
            copy = self._with_slope(node, varying) if bent else self._copy(node)
            if copy is None:
                return None
            self.copies[node] = copy
            if moves:
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

    def _with_slope(self, node: fx.Node, varying: set[fx.Node]) -> fx.Node | None:
        found = with_slope(node, varying)
        if found is None:
            return None
        operation, tensors = found
        axis, axes = self._axis(node), list(map(self._axis, tensors))
        if axis is None or any(
            a is None for a, t in zip(axes, tensors, strict=True) if t in varying
        ):
            return None
        name = f"slope_{len(self.slopes)}"
        self.slopes[name] = _WithSlope(operation, axis, axes)
        return self.graph.call_module(name, (self.points, *map(self.copies.__getitem__, tensors)))

    def _axis(self, node: fx.Node) -> int | None:
        return None if node.op == "get_attr" else self.batch_axis(node)


class _WithSlope(nn.Module):
    """An operation with gradients over the cells between the points of a path.

    Args:
        operation: the operation with its slope.
        axis: batch axis of its value.
        axes: batch axis of each input; None for inputs that are the same for all samples.
    """

    def __init__(self, operation: Operation, axis: int, axes: Sequence[int | None]) -> None:
        super().__init__()
        self.operation, self.axis, self.axes = operation, axis, axes

    def forward(self, points: int, *inputs: Tensor) -> Tensor:
        """Return the operation's value."""
        result: Tensor = _Cells.apply(self, points, *inputs)
        return result


class _Cells(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, made: _WithSlope, points: int, *inputs: Tensor) -> Tensor:
        ctx.save_for_backward(*inputs)
        ctx.made, ctx.points = made, points
        return made.operation.value(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, made, cells = ctx.saved_tensors, ctx.made, ctx.points - 1

        def part(value: Tensor, axis: int | None, first: int, count: int) -> Tensor:
            if axis is None:
                return value
            samples = value.shape[axis] // ctx.points
            return value.narrow(axis, first * samples, count * samples)

        low, high = (
            [part(v, axis, first, cells) for v, axis in zip(inputs, made.axes, strict=True)]
            for first in (0, 1)
        )
        found = made.operation.pull(part(gradient, made.axis, 0, cells), low, high)
        padded = [
            torch.cat([each, torch.zeros_like(part(value, axis, cells, 1))], axis)
            if needed and each is not None
            else None
            for each, value, axis, needed in zip(
                found, inputs, made.axes, ctx.needs_input_grad[2:], strict=True
            )
        ]
        return None, None, *padded
