"""Propagates a gradient back through one affine call, without autograd.

Convolutions and linear maps have explicit transposes here. Any other affine call is differentiated at
0; its gradient is the same everywhere.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from neurflow.model.fast.products import factors
from neurflow.model.network.graph import aten, is_tensor

Values = Callable[[fx.Node], Any]
"""node → its value"""
Window = tuple[list[int], list[int], list[int]]
"""stride, padding and dilation of a convolution, by axis"""


def pull(
    node: fx.Node, gradient: Tensor, inputs: Sequence[fx.Node], values: Values, sizes: Values
) -> list[Tensor]:
    """Return the gradient at each of the ``inputs`` of an affine call.

    Args:
        node: the call; its value has samples on the first axis.
        gradient: ``[sample, …]`` at its value.
        inputs: its arguments that vary.
        values: values of its other arguments; sizes that depend on the batch are those of ``gradient``.
        sizes: sizes of the inputs, without the sample axis.
    """
    given: Any = fx.map_arg(node.args, lambda n: None if n in inputs else values(n))
    if len(inputs) == 1 and node.args[0] is inputs[0] and not node.kwargs:
        if node.target is aten.conv2d.default:
            size = (len(gradient), *sizes(inputs[0]))
            return [transposed(gradient, size, given[1], *window_of(given))]
        if node.target is aten.linear.default:
            product: Tensor = torch.matmul(*factors(gradient, given[1]))
            return [product.to(gradient.dtype)]
    at = {n: gradient.new_zeros(()).expand(len(gradient), *sizes(n)) for n in inputs}
    at = {n: zero.requires_grad_() for n, zero in at.items()}
    with torch.enable_grad():
        value = call(node, lambda n: at[n] if n in at else values(n))
    return list(torch.autograd.grad(value, list(at.values()), gradient))


def call(node: fx.Node, values: Values) -> Any:
    """Return the value of a call. If it selects one of several tensors, compute these first."""
    if node.target is operator.getitem:
        whole, index = node.args
        assert isinstance(whole, fx.Node)
        if not is_tensor(whole):
            return call(whole, values)[index]
    args, kwargs = fx.map_arg((node.args, node.kwargs), values)
    return node.target(*args, **kwargs)  # type: ignore[operator]


def sources(node: fx.Node) -> list[fx.Node]:
    """Return the tensors that a call reads; if it selects one of several, those that they depend on."""
    if node.target is operator.getitem:
        whole = node.all_input_nodes[0]
        if not is_tensor(whole):
            return whole.all_input_nodes
    return node.all_input_nodes


def window_of(given: Sequence[Any]) -> tuple[Window, int]:
    """Return stride, padding and dilation of a convolution with these arguments, and its groups."""
    window = [*given[3:], *([1], [0], [1], 1)[max(len(given) - 3, 0) :]]
    steps, edges, gaps = (list(v) * 2 if len(v) == 1 else list(v) for v in window[:3])
    return (steps, edges, gaps), window[3]


def transposed(
    gradient: Tensor, size: Sequence[int], weight: Tensor, window: Window, groups: int = 1
) -> Tensor:
    """Return the transpose of a convolution: the gradient at its input of a given size."""
    steps, edges, gaps = window
    reach = [gap * (k - 1) for gap, k in zip(gaps, weight.shape[2:], strict=True)]
    if all(map(operator.le, edges, reach)):
        if groups == len(weight) and weight.shape[1] == 1:
            return _depthwise(gradient, size, weight, window)
        if gradient.is_cuda and groups == 1 and steps == [1, 1] and gradient.ndim == 4:
            return _mirrored(gradient, weight.transpose(0, 1), window)
    dtype = gradient.dtype
    if groups == 1:
        gradient, weight = factors(gradient, weight)
    # the input is not read, but the gradient is returned in its memory layout
    unread = gradient.new_empty(()).expand(*size)
    if gradient.device.type == "cpu" and gradient.ndim == 4:
        unread = torch.empty(size, dtype=gradient.dtype, memory_format=torch.channels_last)
    wanted = [True, False, False]
    result: Tensor = aten.convolution_backward.default(
        gradient, unread, weight, None, steps, edges, gaps, False, [0, 0], groups, wanted
    )[0]
    return result.to(dtype)


def _mirrored(gradient: Tensor, weight: Tensor, window: Window, groups: int = 1) -> Tensor:
    """Transpose a convolution of stride 1 by another convolution.

    cuDNN's convolutions are twice as fast as its gradients. On a CPU, both take the same time, except
    for depthwise convolutions.
    """
    _, edges, gaps = window
    before = [gap * (k - 1) - p for gap, k, p in zip(gaps, weight.shape[2:], edges, strict=True)]
    mirrored = weight.flip(2, 3)
    if groups == 1:
        mirrored = mirrored.contiguous(memory_format=torch.channels_last)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
    result: Tensor = aten.conv2d.default(gradient, mirrored, None, [1, 1], before, gaps, groups)
    return result


def _depthwise(gradient: Tensor, size: Sequence[int], weight: Tensor, window: Window) -> Tensor:
    """Transpose a depthwise convolution."""
    steps, edges, gaps = window
    spread = gradient
    if steps != [1, 1]:  # insert zeros between the positions
        shape = [
            n + 2 * p - g * (k - 1)
            for n, p, g, k in zip(size[2:], edges, gaps, weight.shape[2:], strict=True)
        ]
        spread = gradient.new_zeros(*gradient.shape[:2], *shape).contiguous(
            memory_format=torch.channels_last
        )
        spread[:, :, :: steps[0], :: steps[1]] = gradient
    return _mirrored(spread, weight, window, groups=len(weight))
