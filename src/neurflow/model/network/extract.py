"""Extracts the part of a graph between some inputs and some outputs as a module.

The forward pass to some layers and the parts of a specialised segment are made in this way. Batch norms
inside the part are folded.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import fx, nn

from neurflow.model.network.folding import fold_batch_norms
from neurflow.model.network.graph import ancestors


class UnsuppliedInput(Exception):
    """``extract`` reached the network's input without passing any of the given inputs."""


def extract(
    root: nn.Module, inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]
) -> fx.GraphModule:
    """Make a module that computes the tuple of ``outputs`` from ``inputs``.

    Raises ``UnsuppliedInput`` if an output needs the network's input and it is not among ``inputs``.
    """
    graph = fx.Graph()
    copies = {node: graph.placeholder(node.name) for node in inputs}
    for node in ancestors(outputs, stop=inputs):
        if node.op == "placeholder":
            raise UnsuppliedInput(node.name)
        copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(tuple(copies[node] for node in outputs))
    fold_batch_norms(root, graph)
    return fx.GraphModule(root, graph)
