"""The part of the network between two layers, as a function of the lower one.

1. Starting from the upper layer's node and going backwards, every node that depends on the lower
   layer's node belongs to the segment.
2. Other values that these nodes use are held at their observed values. Tensors that skip the lower
   layer become further inputs, constants are copied, and sizes that depend on the batch are computed
   from the segment's own batch.
3. ``Segment.run`` maps the lower layer's output (observed, scaled or zeroed) and the bypass tensors
   to the upper layer's output. With the observed values, the result equals that of the network. The
   outputs of layers in between can be changed as well; then the segment's nodes are run one by one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor, fx

from neurflow.model.fast.specialise import Specialised, select_neurons
from neurflow.model.network.graph import NetworkGraph, ancestors, aten, descendants, is_tensor
from neurflow.model.network.layers import Layer
from neurflow.model.network.protocols import Changes, Key, not_between, not_connected

NORMALISING = {
    aten.layer_norm.default,
    aten.rms_norm.default,
    aten.rsqrt.default,
    aten.scaled_dot_product_attention.default,
}
"""operations of layer norms, RMS norms (which may consist of several operations) and attention"""
TRUNKS = 2
"""largest size of stored trunks, relative to the lower output; computing larger ones is faster than
reading them
"""


@dataclass(frozen=True)
class Cut:
    """A segment as a separate graph.

    Attributes:
        graph: its placeholders are ``x`` (the lower output), ``batch`` (its number of samples) and the
            bypass tensors in order; its output is one node.
        bypass: nodes of the network with the observed values that the segment needs.
        sources: node of ``graph`` → the original node of the network.
    """

    graph: fx.Graph
    bypass: tuple[fx.Node, ...]
    sources: dict[fx.Node, fx.Node]


def cut(network: NetworkGraph, lower: fx.Node, upper: fx.Node, names: tuple[str, str]) -> Cut:
    """Cut out the segment from ``lower`` to ``upper``, two layers with these ``names``.

    Raises:
        LayerError: ``upper`` does not depend on ``lower``.
    """
    inside = descendants(lower)
    if upper not in inside or upper is lower:
        raise not_connected(*names)
    body = [n for n in ancestors([upper], stop=[lower]) if n in inside]
    copier = _Copier(network, lower)
    for node in body:
        copier.copies[node] = copier.graph.node_copy(node, copier.supply)
    copier.graph.output(copier.copies[upper])
    sources = {copy: node for node, copy in copier.copies.items()}
    return Cut(copier.graph, tuple(copier.bypass), sources)


class _Copier:
    """Copies nodes into a new graph, and supplies the values that they use from outside the segment."""

    def __init__(self, network: NetworkGraph, lower: fx.Node) -> None:
        self.network = network
        self.graph = fx.Graph()
        self.bypass: list[fx.Node] = []
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
        """Return the copy of a node in the segment; values from outside are created at first use."""
        if node not in self.copies:
            if node in self.network.depends and is_tensor(node):
                self.bypass.append(node)
                self.copies[node] = self._placeholder(f"held_{node.name}", node)
            elif node.target is aten.sym_size.int and node in self.network.depends:
                self.copies[node] = self._size(node)
            else:
                self.copies[node] = self.graph.node_copy(node, self.supply)
        return self.copies[node]

    def _size(self, node: fx.Node) -> fx.Node:
        """Compute a size that depends on the batch from the segment's own batch."""
        multiple = node.meta["val"].node.expr / self.network.batch_symbol
        copy = self.graph.call_function(operator.mul, (self.batch, int(multiple)))
        copy.meta = dict(node.meta)
        return copy


class GraphSegment:
    """``Segment`` between two layers of a graph.

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
        self._specialised: list[Specialised] = []

    @property
    def bypass(self) -> tuple[fx.Node, ...]:
        """Nodes with observed values that :meth:`run` needs besides the lower layer's output."""
        return self.cut.bypass

    @cached_property
    def observed(self) -> dict[Key, tuple[int, int]]:
        """Batch axes of the lower layer's output, the bypass values, and trunks worth storing."""
        lower = self.network.modules[self.lower.name]
        trunks: dict[fx.Node, None] = {}
        waiting = np.ones(self.upper.neurons, dtype=bool)
        while waiting.any():
            made = self.specialised(int(waiting.argmax()))
            waiting &= ~made.serves
            trunks |= dict.fromkeys(made.trunk)
        size = self.network.bytes_of
        if sum(map(size, trunks)) > TRUNKS * size(lower):
            trunks = {}
        nodes = dict.fromkeys([lower, *self.bypass, *trunks])
        return {node: self.network.batch_axis(node) or (0, 1) for node in nodes}

    @cached_property
    def normalises(self) -> bool:
        """Whether a layer norm or attention lies between the picture and the upper layer."""
        upper, depends = self.network.modules[self.upper.name], self.network.depends
        return any(node.target in NORMALISING for node in depends.intersection(ancestors([upper])))

    def specialised(self, neuron: int) -> Specialised:
        """Return the segment specialised for an upper neuron and similar ones; each is made once."""
        for made in self._specialised:
            if made.serves[neuron]:
                return made
        axis, count = self.upper.axis, self.upper.neurons
        selection = select_neurons(self.network, self.cut.graph, axis, count, neuron)
        self._specialised.append(Specialised(self.network, self.cut.sources, selection))
        return self._specialised[-1]

    def run(
        self,
        x: Float[Tensor, "rows ..."],
        bypass: Sequence[Tensor] = (),
        changes: Changes | None = None,
    ) -> Float[Tensor, "upper_rows ..."]:
        """Return the upper layer's output ``[batch, …]`` for an output ``x`` of the lower layer."""
        module = _Changed(self.module, self._copies(changes)).run if changes else self.module
        result: Tensor = module(x, len(x), *bypass)
        return result

    def _copies(self, changes: Changes) -> dict[fx.Node, Callable[[Tensor], Tensor]]:
        """Return the changes by the corresponding nodes of the segment."""
        copies = {source: copy for copy, source in self.cut.sources.items()}
        found = {}
        for name, change in changes.items():
            node = copies.get(self.network.modules[name])
            if node is None or node.op == "placeholder":
                raise not_between(name, self.lower, self.upper)
            found[node] = change
        return found


class _Changed(fx.Interpreter):
    """Runs a graph, and changes the values of some nodes before other nodes use them."""

    def __init__(
        self, module: fx.GraphModule, changes: Mapping[fx.Node, Callable[[Tensor], Tensor]]
    ) -> None:
        super().__init__(module)
        self.changes = changes

    def run_node(self, n: fx.Node) -> Any:
        """Return the value of a node."""
        value = super().run_node(n)
        return self.changes[n](value) if n in self.changes else value
