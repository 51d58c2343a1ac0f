"""Which operations are affine: what integrated gradients need not walk through step by step."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import isfinite

from torch import fx

from neurflow.model.folding import BATCH_NORM
from neurflow.model.graph import aten
from neurflow.model.one_row import row_products

AFFINE = {
    aten.conv1d.default,
    aten.conv2d.default,
    aten.convolution.default,
    aten.linear.default,
    BATCH_NORM,
    operator.getitem,
    aten.avg_pool2d.default,
    aten.adaptive_avg_pool2d.default,
    aten.upsample_nearest2d.vec,
    aten.upsample_bilinear2d.vec,
    aten.mean.dim,
    aten.sum.dim_IntList,
    aten.reshape.default,
    aten.flatten.using_ints,
    aten.permute.default,
    aten.transpose.int,
    aten.unsqueeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.expand.default,
    aten.select.int,
    aten.slice.Tensor,
    aten.narrow.default,
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.chunk.default,
    aten.unbind.int,
    aten.cat.default,
    aten.stack.default,
    aten.clone.default,
    aten.neg.default,
    aten.roll.default,
    aten.flip.default,
    aten.col2im.default,
    aten.constant_pad_nd.default,
    aten.pad.default,
    aten.add.Tensor,
    aten.sub.Tensor,
    aten.take_along_dim.default,
}
"""affine in all tensors that vary, as long as weights (arguments behind the first) do not"""
PRODUCTS = {
    aten.mul.Tensor,
    aten.div.Tensor,
    aten.matmul.default,
    aten.bmm.default,
    aten.mm.default,
    row_products,
    aten.addcmul.default,
}
"""affine while only one factor varies"""
PADDING = {aten.constant_pad_nd.default, aten.pad.default}
JOINTLY_AFFINE = {aten.add.Tensor, aten.sub.Tensor, aten.cat.default, aten.stack.default}


def affine_nodes(graph: fx.Graph, x: fx.Node) -> tuple[set[fx.Node], set[fx.Node]]:
    """(nodes that vary with ``x``, those of them that are affine in it)."""
    varying, affine = {x}, {x}
    for node in graph.nodes:
        inputs = [source for source in node.all_input_nodes if source in varying]
        if node.op != "call_function" or not inputs:
            continue
        varying.add(node)
        if all(source in affine for source in inputs) and is_affine(node, inputs):
            affine.add(node)
    return varying, affine


def is_affine(node: fx.Node, inputs: Sequence[fx.Node]) -> bool:
    """Whether a call is affine in those of its arguments that vary."""
    if node.target in JOINTLY_AFFINE:
        return True
    if len(inputs) > 1:
        return False
    if node.target in PRODUCTS:
        return node.target is not aten.div.Tensor or node.args[0] is inputs[0]
    if node.target in PADDING and not all(map(isfinite, _fill(node))):
        return False  # no line can be drawn between infinities
    return node.target in AFFINE and node.args[0] is inputs[0]


def _fill(node: fx.Node) -> list[float]:
    """The number that a padding writes, if it is given."""
    return [value for value in node.args[2:] if isinstance(value, int | float)]
