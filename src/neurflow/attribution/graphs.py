"""The graph of a segment, for methods that give its operations rules of their own."""

from __future__ import annotations

from torch import fx

from neurflow.errors import RequestError
from neurflow.model.cut.segment import GraphSegment
from neurflow.model.network.protocols import Segment


def graph_segment(segment: Segment, method: str) -> GraphSegment:
    """Return the segment if it has a graph.

    Raises:
        RequestError: the network is cut by hooks, so ``method`` cannot be used.
    """
    if not isinstance(segment, GraphSegment):
        raise RequestError(
            f"{method} needs a network that torch.export accepts, but this one is cut by hooks "
            f"{place_of(segment)}. Choose another attribution method."
        )
    return segment


def copied(segment: GraphSegment) -> fx.GraphModule:
    """Return a copy of the segment's graph as a module; the operations of the copy may be replaced."""
    graph = fx.Graph()
    graph.output(graph.graph_copy(segment.cut.graph, {}))
    return fx.GraphModule(segment.network.root, graph)


def no_rule(segment: Segment, method: str, node: fx.Node) -> RequestError:
    """Return the error for an operation that a method cannot handle."""
    return RequestError(
        f"{method} has no rule for {node.target}, which is {place_of(segment)}. "
        "Choose another attribution method or other layers."
    )


def place_of(segment: Segment) -> str:
    """Return ``between 'lower' and 'upper'``."""
    return f"between {segment.lower.name!r} and {segment.upper.name!r}"
