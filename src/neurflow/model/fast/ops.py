"""The table of operations, with their affine terms, slopes and selection rules.

1. *Affine.* An operation is a sum of terms, each of which is linear in every argument that it names.
   For example, ``linear(x, w, b)`` is ``x w + b``. If no term has two arguments that vary, the
   operation is affine, and integrated gradients evaluate it only at the ends of the path.
2. *Slope.* For operations that are not affine, the slope over a cell (``slopes``) and its domain.
3. *Selection.* The rule that translates a request for some channels of the value into requests for
   its arguments (``select``).

An operation without an entry in the table is run as it is and differentiated by autograd. The results
are the same, but take longer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any

from torch import Tensor, fx

from neurflow.model.fast import neuron_graph as select
from neurflow.model.fast.channels import Rule
from neurflow.model.fast.norms import Attention, LayerNorm, Softmax
from neurflow.model.fast.one_row import convolution, linear, row_products
from neurflow.model.fast.slopes import (
    NOT_NEGATIVE,
    NOT_ZERO,
    POSITIVE,
    REALS,
    Domain,
    Elementwise,
    Operation,
    Product,
    Quotient,
    gate_slope,
    secant_slope,
)
from neurflow.model.network.folding import BATCH_NORM
from neurflow.model.network.graph import arguments, aten, is_tensor

Slope = Callable[[Callable[..., Tensor], fx.Node], Operation | None]
"""(the operation as a function of its tensors, node) → the operation with its slope, if it has one"""


def gate(function: Callable[..., Tensor], node: fx.Node) -> Operation:
    """Give a slope to a function that is constant or the identity everywhere."""
    return Elementwise(function, gate_slope)


def smooth(scale: float = 0.0, domain: Callable[..., Domain] | Domain = REALS) -> Slope:
    """Give a slope to any other function of one number; its domain may depend on further arguments."""

    def slope(function: Callable[..., Tensor], node: fx.Node) -> Operation:
        where = domain if isinstance(domain, Domain) else domain(*arguments(node)[1:])
        return Elementwise(function, partial(secant_slope, scale=scale, domain=where))

    return slope


def product(function: Callable[..., Tensor], node: fx.Node) -> Operation:
    """Give a slope to a sum of products of two factors."""
    return Product(function)


def quotient(function: Callable[..., Tensor], node: fx.Node) -> Operation:
    """Give a slope to a quotient."""
    return Quotient(function)


def power_domain(exponent: Any) -> Domain:
    """Return the domain of ``z ** exponent``; a tensor as exponent is treated like a fraction."""
    if isinstance(exponent, fx.Node):
        return POSITIVE
    if exponent == int(exponent):
        return REALS if exponent >= 0 else NOT_ZERO
    return NOT_NEGATIVE if exponent > 0 else POSITIVE


@dataclass(frozen=True)
class Op:
    """The properties of an operation.

    Attributes:
        affine: its terms, as positions of their arguments; () if it is never affine.
        slope: returns the operation with its slope over cells; None if it has none.
        select: translates a request for channels; None if the value is always computed completely.
        only: returns whether the terms apply to a call; None if they apply to all calls.
    """

    affine: tuple[tuple[int, ...], ...] = ()
    slope: Slope | None = None
    select: Rule | None = None
    only: Callable[[fx.Node], bool] | None = None


def _finite_fill(node: fx.Node) -> bool:
    """Return whether a padding inserts finite numbers, because an infinite value has no slope."""
    return all(isfinite(value) for value in node.args[2:] if isinstance(value, int | float))


def _stays_real(node: fx.Node) -> bool:
    """Return whether a conversion keeps real numbers real."""
    return bool(node.meta["val"].dtype.is_floating_point)


X, EACH, PRODUCT = ((0,),), ((0,), (1,)), ((0, 1),)

OPS: dict[Any, Op] = {
    # sums and products
    aten.add.Tensor: Op(EACH, select=select.broadcast),
    aten.sub.Tensor: Op(EACH, select=select.broadcast),
    aten.mul.Tensor: Op(PRODUCT, product, select.broadcast),
    aten.div.Tensor: Op(X, quotient, select.broadcast),
    aten.addcmul.default: Op(((0,), (1, 2)), product, select.broadcast),
    aten.where.self: Op(((1,), (2,)), select=select.broadcast),
    aten.neg.default: Op(X, select=select.elementwise),
    aten.matmul.default: Op(PRODUCT, product),
    aten.bmm.default: Op(PRODUCT, product),
    aten.mm.default: Op(PRODUCT, product),
    row_products: Op(PRODUCT, product),
    aten.mean.dim: Op(X, select=select.reduction),
    aten.sum.dim_IntList: Op(X, select=select.reduction),
    # layers
    aten.conv1d.default: Op(((0, 1), (2,)), select=convolution),
    aten.conv2d.default: Op(((0, 1), (2,)), select=convolution),
    aten.convolution.default: Op(((0, 1), (2,))),
    aten.linear.default: Op(((0, 1), (2,)), select=linear),
    BATCH_NORM: Op(X),
    aten.layer_norm.default: Op(slope=LayerNorm.of, select=select.layer_norm),
    aten.softmax.int: Op(slope=Softmax.of),
    aten.scaled_dot_product_attention.default: Op(((2,),), Attention.of),
    aten.avg_pool2d.default: Op(X, select=select.pooling),
    aten.adaptive_avg_pool2d.default: Op(X, select=select.pooling),
    aten.max_pool2d.default: Op(select=select.pooling),
    aten.adaptive_max_pool2d.default: Op(select=select.pooling),
    aten.upsample_nearest2d.vec: Op(X, select=select.pooling),
    aten.upsample_bilinear2d.vec: Op(X, select=select.pooling),
    # functions of one number: gates first, then the others by their behaviour near 0
    **dict.fromkeys(
        [
            aten.relu.default,
            aten.relu6.default,
            aten.hardtanh.default,
            aten.clamp.default,
            aten.clamp_min.default,
            aten.clamp_max.default,
        ],
        Op(slope=gate, select=select.elementwise),
    ),
    **dict.fromkeys(
        [
            aten.gelu.default,
            aten.silu.default,
            aten.tanh.default,
            aten.hardswish.default,
            aten.leaky_relu.default,
            aten.elu.default,
            aten.mish.default,
            aten.abs.default,
        ],
        Op(slope=smooth(), select=select.elementwise),
    ),
    **dict.fromkeys(
        [
            aten.sigmoid.default,
            aten.hardsigmoid.default,
            aten.softplus.default,
            aten.exp.default,
        ],
        Op(slope=smooth(scale=1.0), select=select.elementwise),
    ),
    aten.sqrt.default: Op(slope=smooth(domain=NOT_NEGATIVE), select=select.elementwise),
    aten.rsqrt.default: Op(slope=smooth(domain=POSITIVE), select=select.elementwise),
    aten.log.default: Op(slope=smooth(domain=POSITIVE), select=select.elementwise),
    aten.reciprocal.default: Op(slope=smooth(domain=NOT_ZERO), select=select.elementwise),
    aten.pow.Tensor_Scalar: Op(slope=smooth(domain=power_domain), select=select.elementwise),
    aten.pow.Tensor_Tensor: Op(slope=smooth(domain=power_domain), select=select.broadcast),
    aten.prelu.default: Op(slope=smooth()),
    # operations that only rearrange numbers
    aten.cat.default: Op(X, select=select.cat),
    aten.stack.default: Op(X),
    aten.constant_pad_nd.default: Op(X, only=_finite_fill),
    aten.pad.default: Op(X, only=_finite_fill),
    aten.permute.default: Op(X, select=select.permute),
    aten.transpose.int: Op(X, select=select.transpose),
    aten.reshape.default: Op(X, select=select.view),
    operator.getitem: Op(X, select=select.getitem),
    aten._to_copy.default: Op(X, select=select.elementwise, only=_stays_real),
    aten.clone.default: Op(X, select=select.elementwise),
    **dict.fromkeys(
        [
            aten.flatten.using_ints,
            aten.unsqueeze.default,
            aten.squeeze.dim,
            aten.squeeze.dims,
            aten.expand.default,
            aten.select.int,
            aten.slice.Tensor,
            aten.split.Tensor,
            aten.split_with_sizes.default,
            aten.unbind.int,
            aten.roll.default,
            aten.flip.default,
            aten.col2im.default,
            aten.take_along_dim.default,
        ],
        Op(X),
    ),
}


def is_affine(node: fx.Node, varying: Set[fx.Node]) -> bool:
    """Return whether a call is affine in its varying arguments.

    Arguments are counted by position: ``y · y`` has two that vary.
    """
    op = OPS.get(node.target)
    if op is None or (op.only and not op.only(node)):
        return False

    def varies(value: Any) -> bool:
        found: list[fx.Node] = []
        fx.map_arg(value, found.append)
        return not varying.isdisjoint(found)

    moving = {place for place, value in enumerate(arguments(node)) if varies(value)}
    named = {place for term in op.affine for place in term}
    once = all(len(moving.intersection(term)) <= 1 for term in op.affine)
    return once and moving <= named and not varies(node.kwargs)


def is_elementwise(node: fx.Node) -> bool:
    """Return whether a call is a function of each number separately and is not affine."""
    op = OPS.get(node.target)
    return op is not None and not op.affine and op.slope is not None


def with_slope(node: fx.Node, varying: Set[fx.Node]) -> tuple[Operation, list[fx.Node]] | None:
    """Return a call with its slope over cells, and its tensors; None if it has no slope."""
    op = OPS.get(node.target)
    if op is None or op.slope is None or node.kwargs.keys() & {"rounding_mode", "out"}:
        return None
    places = [place for place, value in enumerate(arguments(node)) if isinstance(value, fx.Node)]
    tensors = [arguments(node)[place] for place in places]
    inside: list[fx.Node] = []
    fx.map_arg((node.args, node.kwargs), inside.append)
    if len(inside) > len(tensors) or not all(map(_real, tensors)):
        return None  # in lists, as keywords, or sizes
    if not op.affine and not varying.isdisjoint(tensors[1:]):
        return None  # for example, an exponent that varies

    def function(*values: Tensor) -> Tensor:
        given = list(node.args)
        for place, value in zip(places, values, strict=True):
            given[place] = value
        result: Tensor = node.target(*given, **node.kwargs)  # type: ignore[operator]
        return result

    operation = op.slope(function, node)
    return (operation, tensors) if operation else None


def _real(node: fx.Node) -> bool:
    """Return whether a value is a tensor of real numbers, which includes rows made by a selection."""
    return "val" not in node.meta or (is_tensor(node) and node.meta["val"].is_floating_point())
