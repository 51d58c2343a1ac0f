"""A flat graph of the network with named layers, which can be cut anywhere.

1. ``torch.export`` traces the module with a dynamic batch dimension; ``run_decompositions({})``
   makes the graph functional, so no node is changed after it was computed.
2. Parameters, buffers and lifted constants become ``get_attr`` nodes, so that parts of the graph can be
   copied with the constants that they need.
3. The output of module ``P`` is the last node inside ``P`` (by ``nn_module_stack``) that is used
   outside of ``P``. If ``P`` returns one tensor, this is the value that a forward hook on ``P`` would
   see. If it returns several, it is the one that is computed last.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from math import prod
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, export

from neurflow.errors import ModelError

aten = torch.ops.aten
MAX_IMAGES = 65_535
"""upper bound of the dynamic batch; on a GPU, batch norm uses another kernel for larger batches"""


class NetworkGraph:
    """A network as one functional ATen graph.

    Attributes:
        root: module that holds parameters, buffers and constants under flat names.
        graph: nodes in execution order; placeholders are the network's inputs.
        input: the placeholder of the image batch ``[batch, channel, height, width]``.
        output: the node of the logits ``[batch, class]``.
        output_name: innermost module whose output is the logits; ``output`` if there is none.
        modules: module path → its output node, in execution order.
        depends: nodes whose value depends on the input (the batch size included).
    """

    def __init__(self, program: ExportedProgram) -> None:
        self.root, self.graph = _unlift(program)
        placeholders = [node for node in self.graph.nodes if node.op == "placeholder"]
        if len(placeholders) != 1:
            raise ModelError(
                f"The model takes {len(placeholders)} inputs instead of one batch of images. "
                "Wrap it in a module whose forward takes only the images."
            )
        self.input = placeholders[0]
        self.output = _logits(self.graph)
        self.depends = descendants(self.input)
        self.batch_symbol = self.input.meta["val"].shape[0].node.expr
        self.modules = _module_outputs(self.graph, self.depends, self.batch_symbol)
        names = [path for path, node in self.modules.items() if node is self.output]
        self.output_name = max(names, key=lambda path: path.count("."), default="output")
        self.modules.setdefault(self.output_name, self.output)

    def batch_axis(self, node: fx.Node) -> tuple[int, int] | None:
        """Return (axis, rows per sample) of the batch in a node's tensor; None without batch axis."""
        for axis, size in enumerate(node.meta["val"].shape):
            if isinstance(size, torch.SymInt):
                multiple = size.node.expr / self.batch_symbol
                if multiple.is_Integer:
                    return axis, int(multiple)
        return None

    def bytes_of(self, node: fx.Node) -> int:
        """Return the bytes of a node's tensor for one sample; 0 if all samples share it."""
        value, batch = node.meta["val"], self.batch_axis(node)
        if batch is None:
            return 0
        sizes = [int(size) for size in value.shape if not isinstance(size, torch.SymInt)]
        return prod([batch[1], *sizes]) * value.dtype.itemsize


def export_network(module: nn.Module, example: Tensor) -> NetworkGraph:
    """Export ``module`` (in eval mode) from an example batch ``[2, channel, height, width]``.

    Raises any error of ``torch.export``; ``Model`` then falls back to hooks.
    """
    batch = Dim("batch", max=MAX_IMAGES)
    with torch.no_grad():
        program = export(module, (example,), dynamic_shapes=({0: batch},))
    for node in program.graph.nodes:
        if str(node.target) == "wrap_with_autocast" and node.args[2]:  # it is on
            raise ValueError("its forward turns on autocast, which hides layers in the graph.")
    return NetworkGraph(program.run_decompositions({}))


def channels_last(value: Tensor) -> Tensor:
    """Return the same values, with feature maps in the channels-last layout, which kernels prefer."""
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value


def ancestors(nodes: Iterable[fx.Node], stop: Iterable[fx.Node] = ()) -> list[fx.Node]:
    """Return ``nodes`` and their ancestors in execution order; the search stops before ``stop``."""
    stop = set(stop)
    found: set[fx.Node] = set()
    queue = [node for node in nodes if node not in stop]
    while queue:
        node = queue.pop()
        if node not in found:
            found.add(node)
            queue += [source for source in node.all_input_nodes if source not in stop]
    return sorted(found)


def descendants(node: fx.Node) -> set[fx.Node]:
    """Return all nodes whose value depends on ``node``, itself included."""
    found = {node}
    queue = [node]
    while queue:
        for user in queue.pop().users:
            if user not in found and user.op != "output":
                found.add(user)
                queue.append(user)
    return found


def arguments(node: fx.Node) -> Any:
    """Return a node's arguments, whose types depend on its operation."""
    return node.args


def result(graph: fx.Graph) -> fx.Node:
    """Return the node that a graph with one output returns."""
    return arguments(graph.output_node())[0]


def is_tensor(node: fx.Node) -> bool:
    """Return whether the node's value is a single tensor."""
    return isinstance(node.meta.get("val"), Tensor)


def _unlift(program: ExportedProgram) -> tuple[nn.Module, fx.Graph]:
    """Return the root module with all constants, and the graph that reads them by ``get_attr``."""
    signature = program.graph_signature
    sources = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    root = nn.Module()
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in sources:
            value = program.state_dict.get(sources[node.name])
            if value is None:
                value = program.constants[sources[node.name]]
            root.register_buffer(node.name, channels_last(value.detach()), persistent=False)
            copies[node] = graph.get_attr(node.name)
            copies[node].meta = dict(node.meta)
        else:
            copies[node] = _copied(graph, node, copies)
    graph.eliminate_dead_code()
    return root, graph


def _copied(graph: fx.Graph, node: fx.Node, copies: dict[fx.Node, fx.Node]) -> fx.Node:
    """Copy a node, in a form that supports other memory layouts and gradients."""
    args = arguments(node)
    if node.target is aten.copy.default and _alike(*args[:2]):
        return copies[args[1]]  # a full overwrite by another value
    copy = graph.node_copy(node, copies.__getitem__)
    if node.target in (aten.view.default, aten._unsafe_view.default):
        # a view needs the memory layout of the example, a reshape does not
        copy.target = aten.reshape.default
    return copy


def _alike(first: fx.Node, second: fx.Node) -> bool:
    one, other = first.meta["val"], second.meta["val"]
    return one.shape == other.shape and one.dtype == other.dtype


def _logits(graph: fx.Graph) -> fx.Node:
    """Return the first two-dimensional tensor among the graph's outputs: ``[batch, class]``."""
    results: list[Any] = []
    fx.node.map_arg(graph.output_node().args, results.append)
    for node in results:
        if is_tensor(node) and node.meta["val"].ndim == 2:
            return node
    raise ModelError(
        "The model returns no tensor of shape [batch, class]. "
        "Wrap it in a module whose forward returns the logits."
    )


def _module_outputs(graph: fx.Graph, depends: set[fx.Node], batch: Any) -> dict[str, fx.Node]:
    """Return module path → last activation of the module that is used outside it."""
    inside: dict[str, set[fx.Node]] = {}
    for node in graph.nodes:
        if node.op == "call_function" and node in depends:
            for path in _paths(node):
                inside.setdefault(path, set()).add(node)
    outputs = {}
    for path, nodes in inside.items():
        used_outside = [n for n in nodes if any(user not in nodes for user in n.users)]
        leaving = [n for n in used_outside if is_tensor(n) and _is_activation(n, batch)]
        if leaving:
            outputs[path] = max(leaving)
    return dict(sorted(outputs.items(), key=operator.itemgetter(1)))


def _paths(node: fx.Node) -> set[str]:
    """Return the paths of the modules that a node is in, without the root."""
    return {
        path
        for path, kind in node.meta.get("nn_module_stack", {}).values()
        if path and path != kind  # in entries that the tracer adds, both are the same
    }


def _is_activation(node: fx.Node, batch: Any) -> bool:
    """Return whether a value is ``[batch, …]`` with one entry per sample and further axes."""
    value = node.meta["val"]
    if value.ndim < 2 or not value.is_floating_point() or isinstance(value.shape[0], int):
        return False
    return bool(value.shape[0].node.expr == batch)
