"""Exact slopes of operations between two points.

An operation here computes its value from its inputs as usual. Its gradients are taken over *cells*.
From the inputs ``low`` at the start of a cell and ``high`` at its end, it computes factors ``J`` with
``value(high) − value(low) = J (high − low)`` up to rounding, and returns ``gradient · J``. If an
input does not change, ``J`` is the derivative. No function is evaluated outside the range from
``low`` to ``high``.
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
"""change relative to the scale of the input, below which a secant is dominated by rounding errors"""


class Operation(Protocol):
    """An operation with a slope over cells."""

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the value of the operation."""

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """Return the gradient at each input over the cells; None for inputs that do not vary.

        Args:
            gradient: gradient at the value.
            low: the inputs at the start of each cell.
            high: the inputs at the end of each cell.
        """


@dataclass(frozen=True)
class Domain:
    """The domain of a function of one number: an interval, with or without 0.

    Attributes:
        least: lower end of the interval.
        pole: whether 0 is excluded; then no cell may contain it.
    """

    least: float = -inf
    pole: bool = False

    def holds(
        self, low: Float[Tensor, "*cell"], high: Float[Tensor, "*cell"]
    ) -> Bool[Tensor, "*cell"]:
        """Return whether the whole cell from ``low`` to ``high`` is inside the domain."""
        inside = torch.minimum(low, high) >= self.least
        return inside & (low.sign() * high.sign() > 0) if self.pole else inside


REALS, NOT_NEGATIVE = Domain(), Domain(0.0)
POSITIVE, NOT_ZERO = Domain(0.0, pole=True), Domain(pole=True)


def derivative(
    function: Callable[[Tensor], Tensor], at: Float[Tensor, "*cell"]
) -> Float[Tensor, "*cell"]:
    """Return the derivative of an element-wise function by autograd."""
    at = at.detach().requires_grad_()
    with torch.enable_grad():
        value = function(at)
    return torch.autograd.grad(value, at, torch.ones_like(value))[0]


def gate_slope(
    function: Callable[[Tensor], Tensor],
    low: Float[Tensor, "*cell"],
    high: Float[Tensor, "*cell"],
) -> Float[Tensor, "*cell"]:
    """Return ``(f(high) − f(low)) / (high − low)`` of a gate: everywhere constant or the identity.

    This is the share of the cell on which the gate is open. It has no rounding errors: if the gate is
    open at both ends, both differences are the same number. If the input does not change, the
    derivative is returned.
    """
    slope = function(high).sub_(function(low)).div_(high - low)
    still = low == high
    # asking a GPU whether there are any takes longer than the derivative
    if still.is_cuda or still.any():
        return torch.where(still, derivative(function, low), slope)
    return slope


def secant_slope(
    function: Callable[[Tensor], Tensor],
    low: Float[Tensor, "*cell"],
    high: Float[Tensor, "*cell"],
    scale: float = 1.0,
    domain: Domain = REALS,
) -> Float[Tensor, "*cell"]:
    """Return ``(f(high) − f(low)) / (high − low)`` of an element-wise function, also for close ends.

    For close ends, the derivative in the middle is returned. NaN if the cell leaves the domain.

    Args:
        function: ``f``.
        low: starts of the cells.
        high: ends of the cells.
        scale: scale of the input on which ``f`` changes, in addition to the size of the input. 0 if
            ``f`` loses no digits near 0.
        domain: domain of ``f``.
    """
    middle, length = torch.lerp(low, high, 0.5), high - low
    slope = (function(high) - function(low)).div_(length)
    short = length.abs() <= SHORT * (middle.abs() + scale)
    if short.is_cuda or short.any():
        slope = torch.where(short, derivative(function, middle), slope)
    if domain is not REALS:
        slope[~domain.holds(low, high) & (low != high)] = torch.nan
    return slope


@dataclass(frozen=True)
class Elementwise:
    """``f(z') − f(z)`` is ``z' − z`` times the slope of the secant.

    ``f`` may have further inputs, such as an exponent, if they do not change.
    """

    function: Callable[..., Tensor]
    slope: Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]

    def value(self, *inputs: Tensor) -> Tensor:
        """Return ``f(z)``."""
        return self.function(*inputs)

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """Multiply the gradient by the slope."""
        return [self.slopes(low, high).mul_(gradient), *[None] * (len(low) - 1)]

    def slopes(self, low: Sequence[Tensor], high: Sequence[Tensor]) -> Tensor:
        """Return the factor of the gradient in each cell."""
        z, *fixed = low
        return self.slope(lambda value: self.function(value, *fixed), z, high[0])

    def derivatives(self, at: Sequence[Tensor]) -> Tensor:
        """Return the same for cells of length 0."""
        z, *fixed = at
        return derivative(lambda value: self.function(value, *fixed), z)


@dataclass(frozen=True)
class Product:
    """``u'v' − uv = (v + v')/2 · (u' − u) + (u + u')/2 · (v' − v)``, for any sum of products of two."""

    function: Callable[..., Tensor]

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the product."""
        return self.function(*inputs)

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Return the gradients, with each factor at its mean."""
        means = [torch.lerp(a, b, 0.5).requires_grad_() for a, b in zip(low, high, strict=True)]
        with torch.enable_grad():
            product = self.function(*means)
        return torch.autograd.grad(product, means, gradient)


@dataclass(frozen=True)
class Quotient:
    """``u / v`` as the product of ``u`` and ``1 / v``; the numerator may be a number."""

    function: Callable[..., Tensor]

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the quotient."""
        return self.function(*inputs)

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Return the gradients of the product, with the slope of the reciprocal."""
        *u, v = zip(low, high, strict=True)
        ends = [*u, (v[0].reciprocal(), v[1].reciprocal())]
        product = Product(lambda *means: self.function(*means[:-1], means[-1].reciprocal()))
        *at_u, at_v = product.pull(gradient, *zip(*ends, strict=True))
        slope = secant_slope(torch.reciprocal, *v, scale=0.0, domain=NOT_ZERO)
        return [*at_u, at_v * slope]
