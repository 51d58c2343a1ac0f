"""The trunk of a specialised segment: affine operations that are the same for all neurons.

1. The values of the trunk at ``x`` are values of the network, which are stored already.
2. At 0, they are the same for all samples, so only one sample is run.
3. Gradients are propagated back one call at a time, by the transpose of each call (``pullback``). This
   does not run the trunk.
4. If many pairs of one crop share a convolution of ``x``, their scores are computed without the
   gradient at ``x`` (``channel_sums``).
5. If the trunk uses values other than ``x``, or its samples are not on the first axis, it is run and
   differentiated by autograd instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, fx

from neurflow.model.fast.channel_sums import Sums
from neurflow.model.fast.pullback import call, pull, sources, window_of
from neurflow.model.network.graph import arguments, aten, descendants


class Trunk:
    """The trunk as a function of ``x``.

    Args:
        module: ``(x, batch, *bypass)`` → its values.
        alone: whether no value depends on the bypass.
        rows: whether every tensor has one row for each sample, on the first axis.
    """

    def __init__(self, module: fx.GraphModule, *, alone: bool, rows: bool) -> None:
        self.run = module
        self._shares = alone and rows
        self._x, self._batch, *_ = module.graph.nodes
        self._at_zero: dict[tuple[object, ...], tuple[dict[fx.Node, Any], list[Tensor]]] = {}

    @cached_property
    def _outputs(self) -> list[fx.Node]:
        return list(arguments(self.run.graph.output_node())[0])

    @cached_property
    def _varying(self) -> list[fx.Node]:
        """Its calls that depend on ``x``, in order."""
        found = descendants(self._x)
        return [n for n in self.run.graph.nodes if n in found and n.op == "call_function"]

    def at(self, start: Tensor, bypass: Sequence[Tensor], *, zero: bool) -> list[Tensor]:
        """Return its values ``[batch, …]`` at ``start``, which is 0 everywhere if ``zero``."""
        if zero and self._shares:
            return [value.expand(len(start), *value.shape[1:]) for value in self._zero(start)[1]]
        return list(self.run(start, len(start), *bypass))

    @cached_property
    def sums(self) -> bool:
        """Whether it begins with a convolution whose scores are faster to sum than to transpose."""
        return self._shares and any(map(self._sums, self._varying))

    def _sums(self, node: fx.Node) -> bool:
        if node.target is not aten.conv2d.default or arguments(node)[0] is not self._x:
            return False
        weight = arguments(node)[1]
        shape: Sequence[int] = ()
        if weight.op == "get_attr":
            shape = getattr(self.run, weight.target).shape
        whole = len(shape) == 4 and window_of(arguments(node))[1] == 1
        return whole and shape[2] * shape[3] > 1

    def back(
        self,
        x: Tensor,
        bypass: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        sums: Sums | None = None,
    ) -> Tensor | None:
        """Return the gradient at ``x`` from those at its values; None if there are none.

        Args:
            x: ``[batch, …]``; only its shape is used.
            bypass: other inputs of the trunk.
            gradients: ``[batch, …]`` at its values.
            sums: takes the gradients at convolutions of ``x``, which are then missing in the result.
        """
        if all(gradient is None for gradient in gradients):
            return None
        if not self._shares:
            return self._by_autograd(x, bypass, gradients)
        values, _ = self._zero(x)
        waiting: dict[fx.Node, Tensor] = {}

        def add(node: fx.Node, gradient: Tensor) -> None:
            waiting[node] = waiting[node] + gradient if node in waiting else gradient

        value = partial(self._value_at, values, len(x))
        for node, gradient in zip(self._outputs, gradients, strict=True):
            if gradient is not None:
                add(node, gradient)
        inside = {self._x, *self._varying}
        for node in reversed(self._varying):
            if node not in waiting or not isinstance(values[node], Tensor):
                continue
            gradient = waiting.pop(node)
            if sums is not None and self._sums(node):
                sums.add(gradient, values[arguments(node)[1]], window_of(arguments(node))[0])
                continue
            inputs = [n for n in sources(node) if n in inside]
            found = pull(node, gradient, inputs, value, lambda n: values[n].shape[1:])
            for source, each in zip(inputs, found, strict=True):
                add(source, each)
        return waiting.get(self._x)

    def _value_at(self, values: Mapping[fx.Node, Any], batch: int, node: fx.Node) -> Any:
        """Return a constant value, or a size, which follows the batch."""
        if node is self._batch:
            return batch
        found = values[node]
        again = partial(self._value_at, values, batch)
        return call(node, again) if isinstance(found, int) else found

    def _zero(self, like: Tensor) -> tuple[dict[fx.Node, Any], list[Tensor]]:
        """Return (value of every node, values of the trunk) at 0 for one sample."""
        key = like.dtype, like.device
        if key not in self._at_zero:
            values: dict[fx.Node, Any] = {self._x: torch.zeros_like(like[:1]), self._batch: 1}
            needed = [n for n in self.run.graph.nodes if n.op in ("get_attr", "call_function")]
            with torch.no_grad():
                for node in needed:
                    constant = node.op == "get_attr"
                    values[node] = (
                        getattr(self.run, str(node.target))
                        if constant
                        else call(node, values.__getitem__)
                    )
            self._at_zero[key] = values, [values[node] for node in self._outputs]
        return self._at_zero[key]

    def _by_autograd(
        self, x: Tensor, bypass: Sequence[Tensor], gradients: Sequence[Tensor | None]
    ) -> Tensor:
        zero = torch.zeros_like(x).requires_grad_()
        with torch.enable_grad():
            ends = self.run(zero, len(x), *bypass)
        reached = [i for i, gradient in enumerate(gradients) if gradient is not None]
        (found,) = torch.autograd.grad(
            [ends[i] for i in reached], [zero], [gradients[i] for i in reached]
        )
        return found
