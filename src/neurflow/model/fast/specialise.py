"""A segment specialised for one neuron, with exact results.

1. ``select_neurons`` reduces the segment's graph to the operations that the neuron needs.
2. Up to the first non-linear operation, everything is affine in the lower layer's output ``x``, and
   integrated gradients follow a straight line. This *prefix* is therefore evaluated only at both
   ends. Its outputs, the *frontier*, are interpolated, and only the *tail* after the frontier is run
   for every ``α`` (``attribution.integrated_gradients``).
3. The prefix has two parts. The *trunk* is computed completely and is the same for all neurons: its
   value at ``x`` is a value of the network, and its Jacobian serves every batch. The *own* part
   consists of a few channels that depend on the neuron.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, fx

from neurflow.model.fast.affine import affine_nodes
from neurflow.model.fast.channel_sums import Sums
from neurflow.model.fast.channels import Channels, Selection, rank
from neurflow.model.fast.crop_gradient import together
from neurflow.model.fast.crop_tail import crop_tail, samples_first
from neurflow.model.fast.ops import OPS
from neurflow.model.fast.parted import Parted, part
from neurflow.model.fast.secants import secant_tail
from neurflow.model.fast.trunk import Trunk
from neurflow.model.network.extract import extract
from neurflow.model.network.graph import NetworkGraph, ancestors, aten, result
from neurflow.model.network.protocols import Path, expand_baseline


def select_neurons(
    network: NetworkGraph, source: fx.Graph, axis: int, neurons: int, example: int
) -> Selection:
    """Reduce a segment's graph to ``φ_a`` ``[batch]`` of one upper neuron for each sample.

    Args:
        network: the network of the graph.
        source: a graph with the upper layer's output as its result, with channels on ``axis``.
        axis: channel axis of the result.
        neurons: number of channels.
        example: a neuron that the graph must serve. It also serves neurons for which the graph is the
            same.
    """
    upper = result(source)
    rules = {target: op.select for target, op in OPS.items() if op.select}
    to = Selection(network, source, neurons, example, rules)
    channel = to.take(upper, Channels(axis, to.neurons))
    axes = list(range(1, rank(upper)))
    to.graph.output(to.call(aten.mean.dim, (channel, axes), upper))
    return to


class Specialised:
    """``NeuronSegment`` on a graph.

    Args:
        network: the network of the graph.
        sources: node of the segment's graph → the original node of the network.
        selection: the segment's graph reduced to one neuron for each sample.
    """

    def __init__(
        self, network: NetworkGraph, sources: Mapping[fx.Node, fx.Node], selection: Selection
    ) -> None:
        graph, self.serves = selection.graph, selection.serves
        placeholders = [node for node in graph.nodes if node.op == "placeholder"]
        neurons, x, batch, *bypass = placeholders
        output = result(graph)
        varying, affine = affine_nodes(graph, x)
        whole = affine & selection.sources.keys()
        frontier = _frontier(graph, affine, output)
        tail = ancestors([output], stop=frontier)
        fixed = _fixed_inputs(tail, varying, {neurons, *bypass})
        through = [node for node in frontier if node in whole]
        own = [node for node in frontier if node not in whole]
        readers = {node for node in ancestors([*own, *fixed]) if node not in whole}
        trunk = [n for n in sorted(whole - {x}) if n in through or readers & n.users.keys()]

        self.trunk: tuple[fx.Node, ...] = tuple(sources[selection.sources[n]] for n in trunk)
        self.affine = output in affine
        self.frontier_axes = tuple(_batch_axis(network, node) or 0 for node in [*through, *own])
        self.fixed_axes = tuple(_batch_axis(network, node) for node in fixed)
        inputs = [neurons, x, batch, *trunk, *bypass]
        run_trunk = extract(network.root, [x, batch, *bypass], trunk)
        alone = not set(bypass) & set(ancestors(trunk))
        rows = all(samples_first(network, n) for n in varying.intersection(ancestors(trunk)))
        self._whole = Trunk(run_trunk, alone=alone, rows=rows)
        self._own = extract(network.root, inputs, [*own, *fixed])
        self.tail = extract(network.root, [batch, *through, *own, *fixed], [output])
        axes = partial(_batch_axis, network)
        self.secants = secant_tail(self.tail, len(self.frontier_axes), axes)
        axes_first = {*self.frontier_axes, *self.fixed_axes} == {0} and self.secants is not None
        divided = crop_tail(network, self.tail, len(through), len(own)) if axes_first else None
        self.together = partial(together, divided) if divided else None
        self._shared = len(through)
        self.projects = divided is not None and divided.projects
        self._through = [0 if node is x else 1 + trunk.index(node) for node in through]
        self._owned = len(own)

    @cached_property
    def parted(self) -> Parted | None:
        """The tail in two parts, if a part of it depends only on the crop."""
        return part(self.tail, self._shared)

    def path(
        self,
        neurons: Int[Tensor, " batch"],
        x: Float[Tensor, "rows ..."],
        bypass: Sequence[Tensor],
        trunk: Sequence[Tensor] = (),
        baseline: Tensor | None = None,
    ) -> Path:
        """Return the line from the baseline to ``x`` at the frontier."""
        with torch.no_grad():
            trunk = trunk or self._whole.run(x, len(x), *bypass)
            start = expand_baseline(x, baseline)
            trunk_at_start = self._whole.at(start, bypass, zero=baseline is None)
            own_at_start = self._own(neurons, start, len(x), *trunk_at_start, *bypass)
        leaves = [value.detach().requires_grad_() for value in (x, *trunk)]
        with torch.enable_grad():
            made = self._own(neurons, leaves[0], len(x), *leaves[1:], *bypass)
        own, fixed = made[: self._owned], made[self._owned :]
        low = [[start, *trunk_at_start][i] for i in self._through]
        high = [[x, *trunk][i] for i in self._through]

        def back(gradients: Sequence[Tensor], sums: Sums | None = None) -> Tensor:
            totals: list[Tensor | None] = [None] * len(leaves)
            if own:
                ahead = gradients[len(self._through) :]
                totals = list(torch.autograd.grad(own, leaves, ahead, allow_unused=True))
            for i, gradient in zip(self._through, gradients, strict=False):
                total = totals[i]
                totals[i] = gradient if total is None else total + gradient
            at_x, *at_trunk = totals
            through = self._whole.back(x, bypass, at_trunk, sums)
            found = [gradient for gradient in (at_x, through) if gradient is not None]
            return sum(found[1:], found[0]) if found else torch.zeros_like(x)

        def scores(gradients: Sequence[Tensor], way: Tensor, crops: Tensor) -> Tensor:
            sums = Sums(way, crops)
            return (way * back(gradients, sums)).sum((2, 3)) + sums.total

        return Path(
            [*low, *own_at_start[: self._owned]],
            [*high, *(value.detach() for value in own)],
            [value.detach() for value in fixed],
            back,
            scores if self._whole.sums and not x.is_cuda else None,
        )


def _frontier(graph: fx.Graph, affine: set[fx.Node], output: fx.Node) -> list[fx.Node]:
    """Return the affine nodes that the other nodes before the output use."""
    if output in affine:
        return [output]
    needed = {node for node in ancestors([output]) if node not in affine}
    return [node for node in graph.nodes if node in affine and needed & node.users.keys()]


def _fixed_inputs(
    tail: Sequence[fx.Node], varying: set[fx.Node], given: set[fx.Node]
) -> list[fx.Node]:
    """Return the tensors that the tail uses and that follow from ``given`` values, not from ``x``."""
    fixed = {
        node
        for node in ancestors(tail)
        if node not in varying and not given.isdisjoint(ancestors([node]))
    }
    inputs = {source for node in tail if node in varying for source in node.all_input_nodes}
    return sorted(inputs & fixed)


def _batch_axis(network: NetworkGraph, node: fx.Node) -> int | None:
    if "val" not in node.meta:
        return 0  # created by a selection, with one entry per sample
    found = network.batch_axis(node)
    return found[0] if found else None
