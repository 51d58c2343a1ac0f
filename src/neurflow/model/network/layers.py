"""Which outputs can be studied, where their neurons are, and which are proposed.

1. A layer is a module's output with a leading batch axis. Its neurons are channels: the channel
   axis is followed back through the graph to the operation that made it (a convolution puts
   channels on axis 1, a linear map or a layer norm on the last axis).
2. ``Layer.pool`` is φ: the mean over every axis that is neither batch nor channel, tokens included.
3. Proposed are the outputs of blocks that everything flows through (no path from input to logits
   goes round them), the last ``PROPOSED_BLOCKS`` of them, and the logits.
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
"""block outputs proposed besides the logits; ResNet50 then gets the eleven layers of the paper"""

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)

RESHAPES = (aten.reshape.default, aten.squeeze.dim, aten.squeeze.dims, aten.clone.default)


@dataclass(frozen=True)
class Layer:
    """A module output whose channels are the neurons.

    Attributes:
        name: module path.
        shape: of one sample, without the batch.
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
        """φ: ``[batch, neuron]`` mean activation over space or tokens."""
        return output.mean(self.spatial_axes) if self.spatial_axes else output

    def total(self, output: Tensor) -> Tensor:
        """``[batch, neuron]`` sum over space or tokens: how attributions are pooled."""
        return output.sum(self.spatial_axes) if self.spatial_axes else output


def with_axes(layers: dict[str, Layer], axes: Mapping[str, int]) -> dict[str, Layer]:
    """The layers with some channel axes given by the user; ``LayerError`` if one cannot be."""
    changed = dict(layers)
    for name, axis in axes.items():
        if name not in layers:
            raise LayerError(
                f"There is no layer {name!r} to give a channel axis.{near(name, layers)}"
            )
        if not 1 <= axis <= len(layers[name].shape):
            raise LayerError(
                f"Layer {name!r} has axes 1 to {len(layers[name].shape)} behind the batch, not {axis}."
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
    """The layer at a node; None where no channel axis can be told."""
    shape = tuple(node.meta["val"].shape[1:])
    if any(isinstance(size, torch.SymInt) for size in shape):
        return None
    axis = channel_axis(node)
    return Layer(name, shape, axis) if axis else None


def channel_axis(node: fx.Node) -> int:
    """Axis of the channels in a node's tensor, counted with the batch as axis 0.

    Follows the first tensor argument back to the operation that put the channels where they are.
    Where that leads nowhere: the last axis of three, the first after the batch otherwise.
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
    """The first tensor that a node is computed from; results of several tensors are seen through."""
    for source in node.all_input_nodes:
        while isinstance(source.meta.get("val"), tuple | list) and source.all_input_nodes:
            source = source.all_input_nodes[0]
        if is_tensor(source):
            return source
    return None


def proposed_layers(network: NetworkGraph, module: nn.Module) -> list[str]:
    """Names of the layers studied by default, input side first, the logits last.

    The first of these that gives anything:

    1. blocks (:func:`block_names`) that everything flows through, at least two of them;
    2. modules without parameters that everything flows through, non-linearities and pooling, as in
       VGG or a plain ``nn.Sequential``; failing these, any module;
    3. where nothing lies on every path (two branches up to the logits): blocks that feed each other.
    """
    logits = _reshapes_to(network.output)
    named = set(network.modules.values())
    # a flatten offers what was offered before it; a shuffle of channels, a reshape too, is new
    fresh = {n for n in named if not (_reshapes_to(n) - {n}) & named} - logits
    # a single neuron offers nothing to choose from: the one output that two classes are made of
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
    """Candidates each of which feeds the next one, found from the output back."""
    kept: dict[fx.Node, str] = {}
    for node in sorted(candidates, reverse=True):
        if (min(kept) if kept else output) in descendants(node):
            kept[node] = candidates[node]
    return kept


def block_names(module: nn.Module, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that are blocks: modules with children, but not details of a block.

    A block is repeated: a class of its own, used more than once; what lies inside one is its detail.
    Outer modules come before inner ones, and otherwise in the order given.
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
    """Channel axis of a module's output where there is no graph to tell: by its kind and shape."""
    if isinstance(module, nn.Linear | nn.LayerNorm):
        return ndim - 1
    return 2 if ndim == 3 and not isinstance(module, nn.Conv1d | nn.BatchNorm1d) else 1


def _reshapes_to(node: fx.Node) -> set[fx.Node]:
    """The node and those it is a mere reshape of."""
    found = {node}
    while node.target in RESHAPES:
        node = node.all_input_nodes[0]
        found.add(node)
    return found


def _bottlenecks(network: NetworkGraph) -> set[fx.Node]:
    """Nodes that every path from the input to the logits passes.

    Along the execution order, count the values that are computed and still awaited: where only one
    is, everything that follows depends on the input through it alone.
    """
    carrying = _carrying(network)
    nodes = [n for n in ancestors([network.output]) if n in carrying]
    position = {node: i for i, node in enumerate(nodes)}
    found, open_until = set(), -1
    for i, node in enumerate(nodes):
        # open_until: the last place at which a value made before node i is still used
        if open_until <= i:
            found.add(node)
        uses = [position[user] for user in node.users if user in position]
        open_until = max([open_until, *uses])
    return found


def _carrying(network: NetworkGraph) -> set[fx.Node]:
    """Nodes that hold something of the images; a mask that is as long as the batch does not."""
    found = {network.input}
    for node in network.graph.nodes:
        if is_data(node) and any(source in found for source in node.all_input_nodes):
            found.add(node)
    return found


def is_data(node: fx.Node) -> bool:
    """Whether the node carries activations (a tensor or several), not a size."""
    return isinstance(node.meta.get("val"), Tensor | tuple | list)
