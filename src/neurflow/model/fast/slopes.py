"""How operations pass changes on between two points, exactly: each by the slope of its secant.

An operation here maps inputs to a value, as ever, and pulls a gradient at the value back to its
inputs over *cells*. From inputs ``low`` at a cell's beginning and ``high`` at its end it makes factors
``J`` with ``value(high) − value(low) = J (high − low)`` to rounding, and returns ``gradient · J``.
Where an input stands still, ``J`` is the derivative there. No function is evaluated outside the range
from ``low`` to ``high``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SHORT = 1e-2
"""a secant shorter than this share of the scale of its input is all rounding"""


class Operation(Protocol):
    """An operation with a slope over cells."""

    def value(self, *inputs: Tensor) -> Tensor:
        """What it computes."""

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """The gradient at each input over the cells from ``low`` to ``high``; None if it is fixed."""


@dataclass(frozen=True)
class Domain:
    """Where a function of one number is defined: an interval, with or without 0.

    Attributes:
        least: its lower end.
        pole: whether 0 is left out; then a cell must not lead across it.
    """

    least: float = -inf
    pole: bool = False

    def holds(
        self, low: Float[Tensor, "*cell"], high: Float[Tensor, "*cell"]
    ) -> Bool[Tensor, "*cell"]:
        """Whether the whole cell from ``low`` to ``high`` lies inside the domain."""
        inside = torch.minimum(low, high) >= self.least
        return inside & (low.sign() * high.sign() > 0) if self.pole else inside


REALS, NOT_NEGATIVE = Domain(), Domain(0.0)
POSITIVE, NOT_ZERO = Domain(0.0, pole=True), Domain(pole=True)


def derivative(
    function: Callable[[Tensor], Tensor], at: Float[Tensor, "*cell"]
) -> Float[Tensor, "*cell"]:
    """The derivative of an element-wise function by autograd."""
    at = at.detach().requires_grad_()
    with torch.enable_grad():
        value = function(at)
    return torch.autograd.grad(value, at, torch.ones_like(value))[0]


def gate_slope(
    function: Callable[[Tensor], Tensor],
    low: Float[Tensor, "*cell"],
    high: Float[Tensor, "*cell"],
) -> Float[Tensor, "*cell"]:
    """``(f(high) − f(low)) / (high − low)`` of a function that is flat or the identity everywhere.

    The share of the way on which the gate is open, without rounding: where both ends are in the open,
    both differences are the same number. The derivative where the input stands still.
    """
    slope = function(high).sub_(function(low)).div_(high - low)
    still = low == high
    if still.any():
        slope[still] = derivative(function, low[still])
    return slope


def secant_slope(
    function: Callable[[Tensor], Tensor],
    low: Float[Tensor, "*cell"],
    high: Float[Tensor, "*cell"],
    scale: float = 1.0,
    domain: Domain = REALS,
) -> Float[Tensor, "*cell"]:
    """``(f(high) − f(low)) / (high − low)`` of an element-wise function, also where they are close.

    There it is the derivative in the middle. NaN where the cell leaves the function's domain.

    Args:
        function: ``f``.
        low: beginnings of the cells.
        high: their ends.
        scale: of the input, beside its own size, on which ``f`` changes. 0 where ``f`` loses no
            digits next to 0.
        domain: of ``f``.
    """
    middle, length = torch.lerp(low, high, 0.5), high - low
    slope = (function(high) - function(low)).div_(length)
    short = length.abs() <= SHORT * (middle.abs() + scale)
    if short.any():
        slope = torch.where(short, derivative(function, middle), slope)
    if domain is not REALS:
        slope[~domain.holds(low, high) & (low != high)] = torch.nan
    return slope


@dataclass(frozen=True)
class Elementwise:
    """``f(z') − f(z)``: times the slope of the secant between the two.

    ``f`` may have further inputs, such as an exponent, as long as they stand still.
    """

    function: Callable[..., Tensor]
    slope: Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]

    def value(self, *inputs: Tensor) -> Tensor:
        """``f(z)``."""
        return self.function(*inputs)

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """Times the slope."""
        return [self.slopes(low, high).mul_(gradient), *[None] * (len(low) - 1)]

    def slopes(self, low: Sequence[Tensor], high: Sequence[Tensor]) -> Tensor:
        """What a gradient is multiplied by in each cell."""
        z, *fixed = low
        return self.slope(lambda value: self.function(value, *fixed), z, high[0])


@dataclass(frozen=True)
class Product:
    """``u'v' − uv = (v + v')/2 · (u' − u) + (u + u')/2 · (v' − v)``, for any sum of products of two."""

    function: Callable[..., Tensor]

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


@dataclass(frozen=True)
class Quotient:
    """``u / v`` as the product of ``u`` and ``1 / v``; the numerator may be a number."""

    function: Callable[..., Tensor]

    def value(self, *inputs: Tensor) -> Tensor:
        """The quotient."""
        return self.function(*inputs)

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """As the product has it, and the reciprocal's slope."""
        *u, v = zip(low, high, strict=True)
        ends = [*u, (v[0].reciprocal(), v[1].reciprocal())]
        product = Product(lambda *means: self.function(*means[:-1], means[-1].reciprocal()))
        *at_u, at_v = product.pull(gradient, *zip(*ends, strict=True))
        slope = secant_slope(torch.reciprocal, *v, scale=0.0, domain=NOT_ZERO)
        return [*at_u, at_v * slope]
