"""A segment made fast for one neuron, exactly.

1. ``select`` reduces the segment's graph to what the neuron needs.
2. From the cut up to the first non-linear operation everything is affine in the lower layer's
   output ``x``, and integrated gradients walk the straight line ``αx``. So the *prefix* is evaluated
   at ``x`` and at 0 only, its outputs (the *frontier*) are interpolated, and only the *tail* behind
   the frontier is run for every ``α``. ``attribution.integrated_gradients`` does the walking.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from neurflow.model.graph import NetworkGraph, ancestors, aten, result
from neurflow.model.select import BATCH_NORM, select_neuron

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
    aten.constant_pad_nd.default,
    aten.pad.default,
    aten.add.Tensor,
    aten.sub.Tensor,
}
"""affine in all tensors that vary, as long as weights (arguments behind the first) do not"""
PRODUCTS = {
    aten.mul.Tensor,
    aten.div.Tensor,
    aten.matmul.default,
    aten.bmm.default,
    aten.mm.default,
}
"""affine while only one factor varies"""
JOINTLY_AFFINE = {aten.add.Tensor, aten.sub.Tensor, aten.cat.default, aten.stack.default}


def affine_nodes(graph: fx.Graph, x: fx.Node) -> tuple[set[fx.Node], set[fx.Node]]:
    """(nodes that vary with ``x``, those of them that are affine in it)."""
    varying, affine = {x}, {x}
    for node in graph.nodes:
        inputs = [source for source in node.all_input_nodes if source in varying]
        if node.op != "call_function" or not inputs:
            continue
        varying.add(node)
        if all(source in affine for source in inputs) and _is_affine(node, inputs):
            affine.add(node)
    return varying, affine


def _is_affine(node: fx.Node, inputs: Sequence[fx.Node]) -> bool:
    if node.target in JOINTLY_AFFINE:
        return True
    if len(inputs) > 1:
        return False
    if node.target in PRODUCTS:
        return node.target is not aten.div.Tensor or node.args[0] is inputs[0]
    return node.target in AFFINE and node.args[0] is inputs[0]


@dataclass(frozen=True)
class Specialised:
    """One neuron's segment, split at the frontier.

    Attributes:
        prefix: ``(x, batch, *held)`` → frontier tensors, then the fixed tensors.
        tail: ``(batch, *frontier, *fixed)`` → ``φ_a`` ``[batch]``.
        frontier_axes, fixed_axes: batch axis of each; None for a fixed tensor without one.
        trivial: the frontier is ``x`` itself.
    """

    prefix: fx.GraphModule
    tail: fx.GraphModule
    frontier_axes: tuple[int, ...]
    fixed_axes: tuple[int | None, ...]
    trivial: bool

    def evaluate(self, x: Tensor, held: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """(frontier, fixed) for the lower layer's output ``x`` ``[batch, …]``."""
        values = list(self.prefix(x, len(x), *held))
        count = len(self.frontier_axes)
        return values[:count], values[count:]


def specialise(network: NetworkGraph, source: fx.Graph, axis: int, neuron: int) -> Specialised:
    """A segment's graph made fast for one upper neuron on channel ``axis``."""
    graph = select_neuron(source, axis, neuron)
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    x, batch = placeholders[:2]
    output = result(graph)
    varying, affine = affine_nodes(graph, x)
    frontier = [
        node
        for node in graph.nodes
        if node in affine
        and (node is output or any(u not in affine and u.op != "output" for u in node.users))
    ]
    if output not in affine:
        # what an affine node that nobody outside needs feeds is not on the frontier
        needed = set(ancestors([output], stop=frontier))
        frontier = [n for n in frontier if n is output or any(u in needed for u in n.users)]
    tail_nodes = ancestors([output], stop=frontier)
    fixed = _fixed_inputs(tail_nodes, varying, set(placeholders) - {x, batch})
    root = network.root
    return Specialised(
        prefix=_subgraph(root, placeholders, [*frontier, *fixed]),
        tail=_subgraph(root, [batch, *frontier, *fixed], [output]),
        frontier_axes=tuple(_batch_axis(network, node) or 0 for node in frontier),
        fixed_axes=tuple(_batch_axis(network, node) for node in fixed),
        trivial=frontier == [x],
    )


def _fixed_inputs(
    tail: Sequence[fx.Node], varying: set[fx.Node], held: set[fx.Node]
) -> list[fx.Node]:
    """Tensors that the tail reads, that come from held tensors and not from ``x``."""
    held_only = {
        node
        for node in ancestors(tail)
        if node not in varying and any(source in held for source in ancestors([node]))
    }
    inputs = {source for node in tail if node in varying for source in node.all_input_nodes}
    return sorted(inputs & held_only)


def _batch_axis(network: NetworkGraph, node: fx.Node) -> int | None:
    found = network.batch_axis(node)
    return found[0] if found else None


def _subgraph(
    root: torch.nn.Module, inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]
) -> fx.GraphModule:
    graph = fx.Graph()
    copies = {node: graph.placeholder(node.name) for node in inputs}
    for node in ancestors(outputs, stop=inputs):
        copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(tuple(copies[node] for node in outputs))
    return fx.GraphModule(root, graph)
