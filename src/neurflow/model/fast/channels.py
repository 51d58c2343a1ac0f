"""Copies a graph so that only some channels are computed.

1. ``Selection.take`` requests some channels of a node, for each sample. A rule (``select``)
   translates this into requests for channels of the node's inputs. Values that nobody requests are
   not copied.
2. If no rule applies, the node is computed completely and its channels are gathered. The results are
   the same, without a gain in speed.
3. The channel is an input of the new graph, so the samples of a batch may request different channels.
   If the structure of the graph depends on the channel, as after a concatenation, the graph is made
   for an example, and ``serves`` gives the neurons for which it is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor, fx

from neurflow.model.network.graph import NetworkGraph, ancestors, arguments, aten


@dataclass(frozen=True)
class Channels:
    """``length`` entries of ``axis``, starting at each sample's own ``start`` ``[batch]``."""

    axis: int
    start: fx.Node
    length: int = 1

    def on(self, axis: int) -> Channels:
        """Return the same entries of another axis."""
        return replace(self, axis=axis)


Rule = Callable[["Selection", fx.Node, Channels], fx.Node | None]
"""(selection, node, requested channels) → their copy; None if the rule does not apply"""


class Selection:
    """Copies a graph so that only some channels of its result are computed.

    Args:
        network: the network of the graph.
        source: the graph.
        neurons: number of channels of its result.
        example: a neuron. If the structure of the graph depends on the neuron, it is made for this one.
        rules: operation → the rule that translates a request.

    Attributes:
        graph: the copy; its first placeholder is ``neurons``, the channel of each sample.
        serves: ``[neuron]`` the neurons for which the graph is valid.
    """

    def __init__(
        self,
        network: NetworkGraph,
        source: fx.Graph,
        neurons: int,
        example: int,
        rules: Mapping[Any, Rule],
    ) -> None:
        self.network, self.example, self._rules = network, example, rules
        self.graph = fx.Graph()
        self.neurons = self.graph.placeholder("neurons")
        self.serves = np.ones(neurons, dtype=bool)
        self._values: dict[fx.Node, np.ndarray] = {self.neurons: np.arange(neurons)}
        self._derived: dict[tuple[Any, ...], fx.Node] = {}
        self._whole: dict[fx.Node, fx.Node] = {
            node: self._like(self.graph.placeholder(node.name), node)
            for node in source.nodes
            if node.op == "placeholder"
        }
        self._taken: dict[tuple[fx.Node, Channels, int], fx.Node] = {}

    @staticmethod
    def _like(copy: fx.Node, node: fx.Node) -> fx.Node:
        copy.meta = dict(node.meta)
        return copy

    @property
    def sources(self) -> dict[fx.Node, fx.Node]:
        """Copies of complete nodes → their originals."""
        return {copy: node for node, copy in self._whole.items()}

    def whole(self, node: fx.Node) -> fx.Node:
        """Return the complete value of a node."""
        if node not in self._whole:
            for needed in ancestors([node], stop=self._whole):
                self._whole[needed] = self.graph.node_copy(needed, self._whole.__getitem__)
        return self._whole[node]

    def take(self, node: fx.Node, part: Channels, like: fx.Node | None = None) -> fx.Node:
        """Return some channels of a node's value, computed from as few values as the rules allow.

        A constant has no sample axis, so it is first broadcast to the rank of ``like``.
        """
        like = like or node
        if self._size(node, part.axis - (rank(like) - rank(node))) == part.length:
            return self.whole(node)
        key = (node, part, rank(like))
        if key not in self._taken:
            rule = None if self._constant(node) else self._rules.get(node.target)
            copy = rule(self, node, part) if rule and node not in self._whole else None
            self._taken[key] = copy or self._gather(node, part, like)
        return self._taken[key]

    def _gather(self, node: fx.Node, part: Channels, like: fx.Node) -> fx.Node:
        """Gather some channels of a complete value."""
        value, ndim = self.whole(node), rank(like)
        if ndim > rank(node):
            shape = [1] * (ndim - rank(node)) + list(node.meta["val"].shape)
            value = self.call(aten.reshape.default, (value, shape), like)
        batch, rows = self.network.batch_axis(like) or (0, 1)
        index = self._repeated(part.start, rows)
        if part.length > 1:
            span = self.call(
                aten.arange.default, (part.length,), None, device=like.meta["val"].device
            )
            index = self.call(aten.unsqueeze.default, (index, int(batch < part.axis)), None)
            span = self.call(aten.unsqueeze.default, (span, int(batch > part.axis)), None)
            index = self.call(aten.add.Tensor, (index, span), None)
        sizes = {batch: -1, part.axis: part.length}
        shape = [sizes.get(axis, 1) for axis in range(ndim)]
        index = self.call(aten.reshape.default, (index, shape), like)
        return self.call(aten.take_along_dim.default, (value, index, part.axis), like)

    def rows(self, weight: fx.Node, part: Channels, like: fx.Node) -> fx.Node | None:
        """Return each sample's own row of a weight ``[channel, …]``: ``[batch, …]``.

        None if samples are not on the first axis of ``like``, or if several rows are requested.
        """
        batch, rows = self.network.batch_axis(like) or (-1, 1)
        if batch != 0 or part.length != 1:
            return None
        start = self._repeated(part.start, rows)
        return self.call(aten.index_select.default, (self.whole(weight), 0, start), None)

    def row(self, vector: fx.Node | None, part: Channels, like: fx.Node) -> fx.Node | None:
        """Return each sample's own entry of a vector, in a shape that broadcasts to ``like``."""
        entry = self.rows(vector, part, like) if vector is not None else None
        if entry is None:
            return None
        return self.call(aten.reshape.default, (entry, [-1] + [1] * (rank(like) - 1)), like)

    def _repeated(self, start: fx.Node, rows: int) -> fx.Node:
        return start if rows == 1 else self.derive(start, _repeat, rows)

    def derive(self, start: fx.Node, operation: Callable[[Any, int], Any], number: int) -> fx.Node:
        """Compute new starts from others. Their values are also known here, for all neurons."""
        key = (start, operation, number)
        if key not in self._derived:
            self._derived[key] = node = self.call(operation, (start, number), None)
            self._values[node] = operation(self._values[start], number)
        return self._derived[key]

    def only(self, part: Channels, first: int, size: int) -> bool:
        """Return whether the example's channels are in a range; if so, restrict ``serves`` to it."""
        starts = self._values[part.start]
        inside = (starts >= first) & (starts + part.length <= first + size)
        if not inside[self.example]:
            return False
        self.serves &= inside
        return True

    def call(self, target: Any, args: tuple[Any, ...], like: fx.Node | None, **kwargs: Any) -> Any:
        """Call a function whose result has its samples on the same axis as ``like``."""
        copy = self.graph.call_function(target, args, kwargs)
        return self._like(copy, like) if like is not None else copy

    def rest(self, values: Any) -> Any:
        """Return the arguments with every node replaced by its complete copy."""
        return fx.map_arg(values, self.whole)

    def again(self, node: fx.Node, first: fx.Node) -> fx.Node:
        """Apply the same operation to another first argument."""
        return self.call(
            node.target, (first, *self.rest(arguments(node)[1:])), node, **self.rest(node.kwargs)
        )

    def _constant(self, node: fx.Node) -> bool:
        return self.network.batch_axis(node) is None

    @staticmethod
    def _size(node: fx.Node, axis: int) -> Any:
        return node.meta["val"].shape[axis] if axis >= 0 else None


def _repeat(start: Any, times: int) -> Any:
    """Repeat each entry ``times`` times; return values of all neurons (arrays) unchanged."""
    return start.repeat_interleave(times) if isinstance(start, Tensor) else start


def rank(node: fx.Node) -> int:
    """Return the number of axes of a node's tensor."""
    return node.meta["val"].ndim
