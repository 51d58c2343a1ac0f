"""Slopes of secants in place of derivatives: integrated gradients that complete at any N.

Between two neighbouring points of the path,

1. an affine operation passes a change on by its matrix;
2. an element-wise function ``f`` passes the change ``z' − z`` on as ``f(z') − f(z)``: times the slope
   of its secant, which is its derivative's mean over the cell as long as ``z`` moves evenly;
3. a product of two that vary passes changes on by the means of its factors:
   ``u'v' − uv = (v + v')/2 · (u' − u) + (u + u')/2 · (v' − v)``.

Taken back through these slopes, a cell's change of ``φ_a`` is distributed over the frontier without
remainder, so all cells together give ``φ_a(x) − φ_a(0)`` to rounding, however few they are. The scores
themselves converge to integrated gradients with the square of the cells' length, as each slope is that
of the cell's middle to the first order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from neurflow.model.affine import is_affine
from neurflow.model.graph import arguments, aten
from neurflow.model.one_row import row_products
from neurflow.model.select import UNARY

BILINEAR = {
    aten.mul.Tensor,
    aten.matmul.default,
    aten.bmm.default,
    aten.mm.default,
    row_products,
}
SHORTEST, LEAST = 1e-3, 1e-4
"""half a secant's least length, relative to its ends and by itself: a shorter one is all rounding"""


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
    graph = fx.Graph()
    points = graph.placeholder("points")
    copies: dict[fx.Node, fx.Node] = {}
    slopes: dict[str, nn.Module] = {}
    varying = {n for n in tail.graph.nodes if n.op == "placeholder"}
    varying = set(sorted(varying)[1 : 1 + frontier])
    for node in tail.graph.nodes:
        copies[node] = copy = graph.node_copy(node, copies.__getitem__)
        inputs = [source for source in node.all_input_nodes if source in varying]
        if node.op != "call_function" or not inputs:
            continue
        varying.add(node)
        if is_affine(node, inputs):
            continue
        slope = _slope(node, inputs, batch_axis(node))
        if slope is None:
            return None
        slopes[node.name] = slope
        factors = arguments(node) if node.target in BILINEAR else inputs
        with graph.inserting_before(copy):
            copies[node] = graph.call_module(
                node.name, (points, *(copies[source] for source in factors))
            )
        graph.erase_node(copy)
    graph.lint()
    constants = {n.target: getattr(tail, n.target) for n in graph.nodes if n.op == "get_attr"}
    return fx.GraphModule({**constants, **slopes}, graph)


def _slope(node: fx.Node, inputs: list[fx.Node], axis: int | None) -> nn.Module | None:
    if axis is None:
        return None
    rest, named = arguments(node)[1:], dict(node.kwargs)
    if node.target in BILINEAR and set(arguments(node)) == set(inputs):
        alike = len({factor.meta["val"].ndim for factor in inputs}) == 1
        return _Bilinear(node.target, axis) if alike else None
    fixed = not any(isinstance(value, fx.Node) for value in (*rest, *named.values()))
    if node.target is aten.relu.default:
        return _Elementwise(torch.relu, open_share, axis)
    if node.target in UNARY and fixed:
        function = partial(_applied, node.target, rest, named)
        return _Elementwise(function, partial(secant_slope, function), axis)
    return None


def _applied(
    target: Callable[..., Tensor], rest: tuple[Any, ...], named: dict[str, Any], z: Tensor
) -> Tensor:
    return target(z, *rest, **named)


def open_share(low: Tensor, high: Tensor) -> Tensor:
    """The share of the way from ``low`` to ``high`` on which a ReLU is open: its secant's slope."""
    above = torch.maximum(low, high).clamp_min_(0)
    below = torch.minimum(low, high).neg_().clamp_min_(0)
    return above.div_(below.add_(above).add_(torch.finfo(low.dtype).tiny))


def secant_slope(function: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """``(f(high) − f(low)) / (high − low)`` of an element-wise function, also where they are close."""
    middle = torch.lerp(low, high, 0.5)
    least = (low.abs() + high.abs()).mul_(SHORTEST / 2).add_(LEAST)
    half = (high - low).abs_().mul_(0.5)
    half = torch.maximum(half, least, out=half)
    rise = function(middle + half) - function(middle - half)
    return rise.div_(half.mul_(2))


def _ends(z: Tensor, points: int, axis: int) -> tuple[Tensor, Tensor]:
    """Each cell's values at its two ends ``[…, cell, sample, …]``."""
    by_point = torch.unflatten(z, axis, (points, -1))
    return by_point.narrow(axis, 0, points - 1), by_point.narrow(axis, 1, points - 1)


class _Elementwise(nn.Module):
    def __init__(self, function: Any, slope: Any, axis: int) -> None:
        super().__init__()
        self.function, self.slope, self.axis = function, slope, axis

    def forward(self, points: int, z: Tensor) -> Tensor:
        """The function's values."""
        result: Tensor = _ElementwiseSecant.apply(z, points, self)
        return result


class _ElementwiseSecant(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, points: int, of: _Elementwise) -> Tensor:
        ctx.save_for_backward(z)
        ctx.points, ctx.of = points, of
        result: Tensor = of.function(z)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (z,), points, of = ctx.saved_tensors, ctx.points, ctx.of
        slope = of.slope(*_ends(z, points, of.axis))
        passed = torch.zeros_like(z)
        by_point = torch.unflatten(gradient, of.axis, (points, -1)).narrow(of.axis, 0, points - 1)
        cells = torch.unflatten(passed, of.axis, (points, -1)).narrow(of.axis, 0, points - 1)
        torch.mul(by_point, slope, out=cells)
        return passed, None, None


class _Bilinear(nn.Module):
    def __init__(self, function: Any, axis: int) -> None:
        super().__init__()
        self.function, self.axis = function, axis

    def forward(self, points: int, u: Tensor, v: Tensor) -> Tensor:
        """The product."""
        result: Tensor = _BilinearSecant.apply(u, v, points, self)
        return result


class _BilinearSecant(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, v: Tensor, points: int, of: _Bilinear) -> Tensor:
        ctx.save_for_backward(u, v)
        ctx.points, ctx.of = points, of
        result: Tensor = of.function(u, v)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        points, of = ctx.points, ctx.of
        means = [
            _cell_means(value, points, of.axis).requires_grad_() for value in ctx.saved_tensors
        ]
        with torch.enable_grad():
            product = of.function(*means)
        at_u, at_v = torch.autograd.grad(product, means, gradient)
        return at_u, at_v, None, None


def _cell_means(value: Tensor, points: int, axis: int) -> Tensor:
    """The mean of each cell's ends in the place of its first point; the last point's as it is."""
    means = value.detach().clone()
    low, high = _ends(value, points, axis)
    torch.lerp(
        low, high, 0.5, out=torch.unflatten(means, axis, (points, -1)).narrow(axis, 0, points - 1)
    )
    return means
