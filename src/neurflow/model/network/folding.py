"""Folds batch norms with fixed statistics, which saves passes over memory.

After a convolution whose output nothing else uses, the norm becomes part of its weight and bias.
Elsewhere it becomes one scale and one shift per channel. Only the extracted part of a graph is
rewritten, so the outputs of convolutions and norms can still be studied by name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import fuse_conv_bn_weights

from neurflow.model.network.graph import arguments, aten, channels_last

BATCH_NORM = aten._native_batch_norm_legit_no_training.default
CONVOLUTIONS = {aten.conv1d.default, aten.conv2d.default}


def fold_batch_norms(root: nn.Module, graph: fx.Graph) -> None:
    """Rewrite ``graph`` in place; folded weights become buffers of ``root`` and are reused."""
    for node, norm in list(_norms(graph)):
        x, *constants = arguments(norm)[:5]
        with graph.inserting_before(norm):
            new = _into_convolution(root, graph, x, norm) or _scaled(root, graph, norm)
        new.meta = dict(node.meta)
        node.replace_all_uses_with(new)
        for old in (node, norm, x, *constants):
            if isinstance(old, fx.Node) and not old.users and old.op != "placeholder":
                graph.erase_node(old)


def _norms(graph: fx.Graph) -> Iterator[tuple[fx.Node, fx.Node]]:
    """Yield (the normalised value, the norm) for norms whose statistics are constants."""
    for node in graph.nodes:
        if node.target is operator.getitem and node.args[1] == 0:
            norm = node.args[0]
            fixed = norm.target is BATCH_NORM and all(map(_constant, norm.args[1:5]))
            if fixed and len(norm.users) == 1:
                yield node, norm


def _constant(value: object) -> bool:
    return value is None or (isinstance(value, fx.Node) and value.op == "get_attr")


def _into_convolution(
    root: nn.Module, graph: fx.Graph, x: fx.Node, norm: fx.Node
) -> fx.Node | None:
    if x.target not in CONVOLUTIONS or len(x.users) > 1:
        return None
    source, weight, bias, *rest = (*arguments(x), None)[: max(len(x.args), 3)]
    if not (_constant(weight) and _constant(bias)):
        return None
    gamma, beta, mean, variance, _, eps = arguments(norm)[1:]

    def fuse() -> tuple[Tensor, Tensor]:
        values = [_value(root, node) for node in (weight, bias, mean, variance, gamma, beta)]
        conv, shift, centre, spread, scale, offset = values
        fused = fuse_conv_bn_weights(conv, shift, centre, spread, eps, scale, offset)
        return fused[0].detach(), fused[1].detach()

    constants = _buffers(root, graph, f"{weight.target}_{mean.target}", fuse)
    return graph.call_function(x.target, (source, *constants, *rest))


def _scaled(root: nn.Module, graph: fx.Graph, norm: fx.Node) -> fx.Node:
    x, gamma, beta, mean, variance, _, eps = arguments(norm)
    shape = [-1] + [1] * (norm.meta["val"][0].ndim - 2)

    def scale_and_shift() -> tuple[Tensor, Tensor]:
        scale = torch.rsqrt(_value(root, variance) + eps)
        scale = scale if gamma is None else scale * _value(root, gamma)
        shift = -_value(root, mean) * scale
        shift = shift if beta is None else shift + _value(root, beta)
        return scale.reshape(shape), shift.reshape(shape)

    scale, shift = _buffers(root, graph, f"{mean.target}_alone", scale_and_shift)
    return graph.call_function(aten.addcmul.default, (shift, x, scale))


def _value(root: nn.Module, node: fx.Node | None) -> Any:
    return None if node is None else root.get_buffer(str(node.target))


def _buffers(
    root: nn.Module, graph: fx.Graph, name: str, make: Callable[[], tuple[Tensor, Tensor]]
) -> tuple[fx.Node, fx.Node]:
    """Return nodes that read two constants, which are computed at the first use."""
    names = f"folded_{name}_0", f"folded_{name}_1"
    if not hasattr(root, names[0]):
        for each, value in zip(names, make(), strict=True):
            root.register_buffer(each, channels_last(value), persistent=False)
    first, second = (graph.get_attr(each) for each in names)
    return first, second
