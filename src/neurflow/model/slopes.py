"""How operations pass changes on between two points, exactly: each by the slope of its secant.

An operation here maps inputs to a value, as ever, and pulls a gradient at the value back to its
inputs over *cells*: from inputs ``low`` at a cell's beginning and ``high`` at its end it makes factors
``J`` with ``value(high) − value(low) = J (high − low)`` to rounding, and returns ``gradient · J``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

SHORTEST, LEAST = 1e-3, 1e-4
"""half a secant's least length, relative to its ends and by itself: a shorter one is all rounding"""


class Operation(Protocol):
    """An operation with a slope over cells."""

    def value(self, *inputs: Tensor) -> Tensor:
        """What it computes."""

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """The gradient at each input over the cells from ``low`` to ``high``."""


def gate_slope(function: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """``(f(high) − f(low)) / (high − low)`` of a function that is flat or the identity everywhere.

    The share of the way on which the gate is open, without rounding: where both ends are in the open,
    both differences are the same number. 0 where the input stands still and nothing is passed on.
    """
    rise = function(high).sub_(function(low))
    return rise.div_(high - low).nan_to_num_(nan=0.0)


def secant_slope(function: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """``(f(high) − f(low)) / (high − low)`` of an element-wise function, also where they are close."""
    middle = torch.lerp(low, high, 0.5)
    least = (low.abs() + high.abs()).mul_(SHORTEST / 2).add_(LEAST)
    half = (high - low).abs_().mul_(0.5)
    half = torch.maximum(half, least, out=half)
    rise = function(middle + half) - function(middle - half)
    return rise.div_(half.mul_(2))


@dataclass(frozen=True)
class Elementwise:
    """``f(z') − f(z)``: times the slope of the secant between the two."""

    function: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]

    def value(self, *inputs: Tensor) -> Tensor:
        """``f(z)``."""
        return self.function(*inputs)

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Times the slope."""
        return [self.slope(low[0], high[0]).mul_(gradient)]


@dataclass(frozen=True)
class Bilinear:
    """``u'v' − uv = (v + v')/2 · (u' − u) + (u + u')/2 · (v' − v)``, for any product."""

    function: Callable[[Tensor, Tensor], Tensor]

    def value(self, *inputs: Tensor) -> Tensor:
        """The product."""
        return self.function(*inputs)

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """As the product has it at the factors' means."""
        means = [torch.lerp(a, b, 0.5).requires_grad_() for a, b in zip(low, high, strict=True)]
        with torch.enable_grad():
            product = self.function(*means)
        return torch.autograd.grad(product, means, gradient)
