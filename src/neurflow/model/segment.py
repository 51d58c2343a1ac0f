"""The part of the network between two layers, as a function of the lower one.

1. Going back from the upper layer's node, every node that depends on the lower layer's node belongs
   to the segment.
2. What else those nodes read is held at its observed value: tensors that jump over the cut become
   further inputs, constants are copied along, and sizes that follow the batch are computed from the
   segment's own batch.
3. ``Segment.run`` maps the lower layer's output (observed, scaled or zeroed) and the held tensors to
   the upper layer's output. Fed the observed values it gives exactly the network's own.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, fx

from neurflow.errors import LayerError
from neurflow.model.graph import NetworkGraph, ancestors, aten, descendants, is_tensor
from neurflow.model.layers import Layer
from neurflow.model.specialise import Specialised, specialise


@dataclass(frozen=True)
class Cut:
    """A segment as a graph of its own.

    Attributes:
        graph: placeholders are ``x`` (the lower output), ``batch`` (its number of samples) and the
            held tensors in order; the output is one node.
        held: nodes of the network whose observed values the segment is given.
    """

    graph: fx.Graph
    held: tuple[fx.Node, ...]


def cut(network: NetworkGraph, lower: fx.Node, upper: fx.Node, names: tuple[str, str]) -> Cut:
    """The segment from ``lower`` to ``upper``; ``LayerError`` if the upper does not depend on it."""
    inside = descendants(lower)
    if upper not in inside or upper is lower:
        raise LayerError(
            f"Layer {names[1]!r} does not depend on {names[0]!r}: name layers input side first, "
            "each fed by the one before."
        )
    body = [n for n in ancestors([upper], stop=[lower]) if n in inside]
    copier = _Copier(network, lower)
    for node in body:
        copier.copies[node] = copier.graph.node_copy(node, copier.supply)
    copier.graph.output(copier.copies[upper])
    return Cut(copier.graph, tuple(copier.held))


class _Copier:
    """Copies nodes into a new graph and supplies what they read from outside the segment."""

    def __init__(self, network: NetworkGraph, lower: fx.Node) -> None:
        self.network = network
        self.graph = fx.Graph()
        self.held: list[fx.Node] = []
        self.x = self._placeholder("x", lower)
        self.batch = self._placeholder("batch", None)
        self.copies = {lower: self.x}

    def _placeholder(self, name: str, like: fx.Node | None) -> fx.Node:
        found = [node for node in self.graph.nodes if node.op == "placeholder"]
        with self.graph.inserting_after(found[-1] if found else None):
            node = self.graph.placeholder(name)
        node.meta = dict(like.meta) if like else {}
        return node

    def supply(self, node: fx.Node) -> fx.Node:
        """The copy of a node inside the segment, made now if it comes from outside."""
        if node not in self.copies:
            if node in self.network.depends and is_tensor(node):
                self.held.append(node)
                self.copies[node] = self._placeholder(f"held_{node.name}", node)
            elif node.target is aten.sym_size.int and node in self.network.depends:
                self.copies[node] = self._size(node)
            else:
                self.copies[node] = self.graph.node_copy(node, self.supply)
        return self.copies[node]

    def _size(self, node: fx.Node) -> fx.Node:
        """A size that follows the batch, computed from the segment's own."""
        multiple = node.meta["val"].node.expr / self.network.batch_symbol
        copy = self.graph.call_function(operator.mul, (self.batch, int(multiple)))
        copy.meta = dict(node.meta)
        return copy


class GraphSegment:
    """``Segment``: a cut between two layers, ready to run.

    Args:
        network: the graph that is cut.
        lower, upper: the layers, by name and channel axis.
    """

    def __init__(self, network: NetworkGraph, lower: Layer, upper: Layer) -> None:
        self.network = network
        self.lower, self.upper = lower, upper
        nodes = network.modules
        self.cut = cut(network, nodes[lower.name], nodes[upper.name], (lower.name, upper.name))
        self.module = fx.GraphModule(network.root, self.cut.graph)

    @property
    def held(self) -> tuple[fx.Node, ...]:
        """Nodes whose observed values :meth:`run` needs besides the lower layer's output."""
        return self.cut.held

    @property
    def held_axes(self) -> tuple[tuple[int, int], ...]:
        """(batch axis, rows per sample) of each held value."""
        return tuple(self.network.batch_axis(node) or (0, 1) for node in self.held)

    def neuron(self, index: int) -> Specialised:
        """The segment made fast for one upper neuron."""
        return specialise(self.network, self.cut.graph, self.upper.axis, index)

    def run(self, x: Tensor, held: Sequence[Tensor] = ()) -> Tensor:
        """Upper layer's output ``[batch, …]`` for the lower layer's output ``x`` ``[batch, …]``."""
        result: Tensor = self.module(x, len(x), *held)
        return result
