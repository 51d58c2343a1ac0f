"""Layers that can be studied, their channel axes, and the layers that are proposed.

1. A layer is a module's output with a leading batch axis, and its neurons are channels. The channel
   axis is traced back through the graph to the operation that made it: a convolution has channels on
   axis 1, a linear map or a layer norm on the last axis.
2. ``Layer.pool`` is φ: the mean over all axes except batch and channel, tokens included.
3. The proposed layers are the logits and the last ``PROPOSED_BLOCKS`` block outputs that lie on every
   path from the input to the logits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, fx, nn

from neurflow.errors import LayerError, near
from neurflow.model.network.graph import (
    NetworkGraph,
    ancestors,
    arguments,
    aten,
    descendants,
    is_tensor,
)

PROPOSED_BLOCKS = 10
"""number of proposed block outputs; with it, ResNet50 has the eleven layers of the paper"""

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)

RESHAPES = (aten.reshape.default, aten.squeeze.dim, aten.squeeze.dims, aten.clone.default)


@dataclass(frozen=True)
class Layer:
    """A module output whose channels are the neurons.

    Attributes:
        name: module path.
        shape: shape of one sample, without the batch.
        axis: channel axis, counted with the batch as axis 0.
    """

    name: str
    shape: tuple[int, ...]
    axis: int

    @property
    def neurons(self) -> int:
        """Number of channels."""
        return self.shape[self.axis - 1]

    @property
    def kind(self) -> Literal["map", "tokens", "units"]:
        """Feature map, token sequence, or plain units."""
        if len(self.shape) == 1:
            return "units"
        return "tokens" if len(self.shape) == 2 else "map"

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """Axes of space or tokens, counted with the batch as axis 0."""
        return tuple(a for a in range(1, len(self.shape) + 1) if a != self.axis)

    def pool(self, output: Tensor) -> Tensor:
        """Return φ ``[batch, neuron]``, the mean activation over space or tokens."""
        return output.mean(self.spatial_axes) if self.spatial_axes else output

    def total(self, output: Tensor) -> Tensor:
        """Return the sum ``[batch, neuron]`` over space or tokens, by which attributions are pooled."""
        return output.sum(self.spatial_axes) if self.spatial_axes else output


def with_axes(layers: dict[str, Layer], axes: Mapping[str, int]) -> dict[str, Layer]:
    """Return the layers with some channel axes set by the user; ``LayerError`` for an invalid one."""
    changed = dict(layers)
    for name, axis in axes.items():
        if name not in layers:
            raise LayerError(
                f"There is no layer {name!r} whose channel axis could be set.{near(name, layers)}"
            )
        if not 1 <= axis <= len(layers[name].shape):
            raise LayerError(
                f"Layer {name!r} has axes 1 to {len(layers[name].shape)} after the batch, not {axis}."
            )
        changed[name] = replace(layers[name], axis=axis)
    return changed


@dataclass(frozen=True)
class LayerInfo:
    """A row of ``neurflow layers``."""

    name: str
    shape: tuple[int, ...]
    kind: Literal["map", "tokens", "units"]
    neurons: int
    proposed: bool


def layer_of(name: str, node: fx.Node) -> Layer | None:
    """Return the layer at a node; None if it has no channel axis."""
    shape = tuple(node.meta["val"].shape[1:])
    if any(isinstance(size, torch.SymInt) for size in shape):
        return None
    axis = channel_axis(node)
    return Layer(name, shape, axis) if axis else None


def channel_axis(node: fx.Node) -> int:
    """Return the axis of the channels in a node's tensor, counted with the batch as axis 0.

    Follows the first tensor argument back to the operation that determines the position of the
    channels. If there is none, it is the last of three axes, or otherwise the first after the batch.
    """
    shape = node.meta["val"].shape
    last = len(shape) - 1
    fallback = 2 if last == 2 else min(last, 1)
    source = _source(node)
    if node.op != "call_function" or last < 2 or source is None:
        return fallback
    if node.target in (aten.conv1d.default, aten.conv2d.default, aten.convolution.default):
        return 1
    if node.target in (aten.linear.default, aten.layer_norm.default):
        return last
    before, source_shape = channel_axis(source), source.meta["val"].shape
    match node.target:
        case aten.permute.default:
            return [axis % len(shape) for axis in arguments(node)[1]].index(before)
        case aten.transpose.int:
            first, second = (axis % len(shape) for axis in arguments(node)[1:3])
            return {first: second, second: first}.get(before, before)
        case aten.cat.default:
            return before
    if before == len(source_shape) - 1 and source_shape[-1] == shape[-1]:
        return last
    if before <= last and source_shape[before] == shape[before]:
        return before
    return fallback


def _source(node: fx.Node) -> fx.Node | None:
    """Return the first tensor that a node is computed from, through operations with several results."""
    for source in node.all_input_nodes:
        while isinstance(source.meta.get("val"), tuple | list) and source.all_input_nodes:
            source = source.all_input_nodes[0]
        if is_tensor(source):
            return source
    return None


def proposed_layers(network: NetworkGraph, module: nn.Module) -> list[str]:
    """Return the names of the layers studied by default, input side first, the logits last.

    The first of these rules that finds layers is used:

    1. at least two blocks (:func:`block_names`) that lie on every path;
    2. modules without parameters that lie on every path, such as non-linearities and pooling in VGG or
       a plain ``nn.Sequential``, or if there are none, any modules on every path;
    3. a chain of blocks, each of which feeds the next, for networks with separate branches up to the
       logits.
    """
    logits = _reshapes_to(network.output)
    named = set(network.modules.values())
    # a flatten is the same layer as its input, but a channel shuffle, also a reshape, is a new one
    fresh = {n for n in named if not (_reshapes_to(n) - {n}) & named} - logits
    # leave out layers with a single neuron, such as a single output that is read as two classes
    fresh = {n for n in fresh if n.meta["val"].shape[channel_axis(n)] != 1}
    through = _bottlenecks(network) & fresh
    children = dict(module.named_modules())
    blocks = block_names(module, network.modules)
    plain = [
        path
        for path in network.modules
        if path in children and not any(True for _ in children[path].parameters())
    ]

    def outputs(paths: Iterable[str], among: set[fx.Node]) -> dict[fx.Node, str]:
        nodes = ((network.modules.get(path), path) for path in paths)
        return {node: path for node, path in nodes if node in among}

    found = outputs(blocks, through)
    if len(found) < 2:
        found = outputs(plain, through) or outputs(network.modules, through)
    if not found:
        found = _chain(network.output, outputs(blocks, fresh))
    names = [found[node] for node in sorted(found)]
    return [*names[-PROPOSED_BLOCKS:], network.output_name]


def _chain(output: fx.Node, candidates: dict[fx.Node, str]) -> dict[fx.Node, str]:
    """Return a chain of candidates, each of which feeds the next, built from the output backwards."""
    kept: dict[fx.Node, str] = {}
    for node in sorted(candidates, reverse=True):
        if (min(kept) if kept else output) in descendants(node):
            kept[node] = candidates[node]
    return kept


def block_names(module: nn.Module, names: Iterable[str]) -> list[str]:
    """Return the names of blocks: modules with children that are not inside of a repeated block.

    A repeated block is a module class that is used more than once. Outer modules come before inner
    ones, and otherwise the order is kept.
    """
    parents = {path: type(child) for path, child in module.named_modules() if any(child.children())}
    counts = Counter(parents.values())
    repeated = [p for p, kind in parents.items() if counts[kind] > 1 and kind not in CONTAINERS]
    found = [
        name
        for name in names
        if name in parents and not any(name.startswith(f"{block}.") for block in repeated)
    ]
    return sorted(found, key=lambda name: name.count("."))


def default_axis(ndim: int, module: nn.Module) -> int:
    """Return the channel axis of a module's output by its type and shape, if there is no graph."""
    if isinstance(module, nn.Linear | nn.LayerNorm):
        return ndim - 1
    return 2 if ndim == 3 and not isinstance(module, nn.Conv1d | nn.BatchNorm1d) else 1


def _reshapes_to(node: fx.Node) -> set[fx.Node]:
    """Return the node, and the nodes of which it is only a reshape."""
    found = {node}
    while node.target in RESHAPES:
        node = node.all_input_nodes[0]
        found.add(node)
    return found


def _bottlenecks(network: NetworkGraph) -> set[fx.Node]:
    """Return the nodes that lie on every path from the input to the logits.

    In execution order, these are the nodes at which no earlier value is used later. Everything after
    such a node depends on the input only through it.
    """
    carrying = _carrying(network)
    nodes = [n for n in ancestors([network.output]) if n in carrying]
    position = {node: i for i, node in enumerate(nodes)}
    found, open_until = set(), -1
    for i, node in enumerate(nodes):
        # open_until: the last position at which a value computed before node i is used
        if open_until <= i:
            found.add(node)
        uses = [position[user] for user in node.users if user in position]
        open_until = max([open_until, *uses])
    return found


def _carrying(network: NetworkGraph) -> set[fx.Node]:
    """Return nodes with data that depend on the images and not only on the size of the batch."""
    found = {network.input}
    for node in network.graph.nodes:
        if is_data(node) and any(source in found for source in node.all_input_nodes):
            found.add(node)
    return found


def is_data(node: fx.Node) -> bool:
    """Return whether the node carries activations (a tensor or several), not a size."""
    return isinstance(node.meta.get("val"), Tensor | tuple | list)
