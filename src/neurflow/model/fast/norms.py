"""Slopes of the operations of transformers: layer norm, softmax and attention.

Each operation is divided into sums, products and functions of one number. Their changes over a cell
are combined in closed form (``slopes`` defines the slope over a cell). Two choices keep the slopes
accurate over long cells:

* *Layer norm* is ``c = σ y``, with ``c`` the centred input and ``σ`` its scale. Then
  ``Δc = σ* Δy + y* Δσ``, where ``σ*`` may be any number between the scales at both ends, and ``y*``
  follows from it. With ``s`` for the change of the size ``√mean(c²)``, it is
  ``1/σ* = 2/s · artanh(s / (σ + σ'))``, the mean of ``1/σ`` if only the size changes. Close to zero
  only the size changes, so the slope is exact there for any change of size.
* *Softmax* is ``p_i = exp(z_i − L)`` with ``Σ p_i = 1``. The slope of ``exp`` is ``λ_i``, the
  logarithmic mean of ``p_i`` at both ends. With ``Σ Δp_i = 0`` it gives ``ΔL = Σ λ_i Δz_i / Σ λ_i``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, fx

from neurflow.model.network.graph import arguments

CLOSE = 0.1
"""difference of two logarithms below which the logarithmic mean is computed from its series"""
SHORT = 0.01
"""relative change of size below which the mean of both scales is used"""


def logarithmic_mean(
    low: Float[Tensor, "*cell"], high: Float[Tensor, "*cell"]
) -> Float[Tensor, "*cell"]:
    """Return the logarithmic mean ``(e^high − e^low) / (high − low)`` of ``e^low`` and ``e^high``.

    ``-inf`` at both ends gives 0.
    """
    length = (high - low).nan_to_num_(nan=0.0)
    series = (low + high).div_(2).exp_().mul_(length.square().div_(24).add_(1))
    secant = (high.exp() - low.exp()).div_(length)
    return torch.where(length.abs_() < CLOSE, series, secant)


def through_softmax(
    gradient: Float[Tensor, "*cell"],
    low: Float[Tensor, "*cell"],
    high: Float[Tensor, "*cell"],
    dim: int = -1,
) -> Float[Tensor, "*cell"]:
    """Return the gradient at the input of a softmax over cells.

    Args:
        gradient: gradient at the softmax.
        low: logarithm of the softmax at the start of each cell.
        high: the same at the end.
        dim: axis of the softmax.
    """
    slope = logarithmic_mean(low, high)
    weighted = slope * gradient
    mean = weighted.sum(dim, keepdim=True).div_(slope.sum(dim, keepdim=True))
    return weighted.sub_(slope.mul_(mean))


@dataclass(frozen=True)
class Softmax:
    """``e^z / Σ e^z`` along an axis."""

    function: Callable[..., Tensor]
    dim: int

    @classmethod
    def of(cls, function: Callable[..., Tensor], node: fx.Node) -> Softmax:
        """Make it from a call of ``aten.softmax.int``."""
        return cls(function, arguments(node)[1])

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the softmax."""
        return self.function(*inputs)

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Multiply the gradient by the slope."""
        first, last = (torch.log_softmax(z, self.dim) for z in (low[0], high[0]))
        return [through_softmax(gradient, first, last, self.dim)]


@dataclass(frozen=True)
class Attention:
    """``softmax(scale · q kᵀ + mask) v``, with ``q``, ``k``, ``v`` ``[…, token, channel]``."""

    function: Callable[..., Tensor]
    scale: float | None

    @classmethod
    def of(cls, function: Callable[..., Tensor], node: fx.Node) -> Attention | None:
        """Make it from a call of scaled dot product attention; None if it is causal or has dropout."""
        changed = any(arguments(node)[4:6])  # the positions of dropout and of causality
        scale: Any = node.kwargs.get("scale")
        return None if changed or node.kwargs.keys() - {"scale"} else cls(function, scale)

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the attention's output."""
        return self.function(*inputs)

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Return gradients through both products, by the means of the factors, and the softmax."""
        scale = self.scale or low[0].shape[-1] ** -0.5
        first, last = (_log_attention(scale, *inputs) for inputs in (low, high))
        q, k, v = (torch.lerp(a, b, 0.5) for a, b in zip(low[:3], high[:3], strict=True))
        at_scores = through_softmax(gradient @ v.mT, first, last)
        at_mask = [at_scores.sum_to_size(low[3].shape)] if len(low) > 3 else []
        found = first.exp_().add_(last.exp_()).div_(2)
        at_scores = at_scores * scale
        return [at_scores @ k, at_scores.mT @ q, found.mT @ gradient, *at_mask]


def _log_attention(scale: float, q: Tensor, k: Tensor, v: Tensor, *mask: Tensor) -> Tensor:
    scores = (q * scale) @ k.mT
    return torch.log_softmax(scores + mask[0] if mask else scores, -1)


@dataclass(frozen=True)
class LayerNorm:
    """``(x − mean) / √(variance + ε) · weight + bias`` over the last axes."""

    function: Callable[..., Tensor]
    axes: tuple[int, ...]
    eps: float
    weighted: bool

    @classmethod
    def of(cls, function: Callable[..., Tensor], node: fx.Node) -> LayerNorm:
        """Make it from a call of ``aten.layer_norm.default``."""
        _, shape, *rest = arguments(node)
        eps = rest[2] if len(rest) > 2 else 1e-5
        weighted = bool(rest) and rest[0] is not None
        return cls(function, tuple(range(-len(shape), 0)), eps, weighted)

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the norm."""
        return self.function(*inputs)

    def pull(
        self, gradient: Tensor, low: Sequence[Tensor], high: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """Multiply the gradient by the slope.

        ``Δy = (Δc − y* Δσ) / σ*`` with ``Δσ = mean((c + c') Δc) / (σ + σ')``.
        """
        (c, size, scale), (end, end_size, end_scale) = (self._parts(v[0]) for v in (low, high))
        if self.weighted:
            gradient = gradient * low[1]
        ratio = (end_size - size).abs() / (scale + end_scale)
        short = ratio < SHORT
        middle = torch.where(short, 1.0, ratio / ratio.atanh()) * (scale + end_scale) / 2
        share = torch.where(short, 0.5, (middle - scale) / (end_scale - scale))
        # y* = share · y + (1 − share) · y'; its product with the gradient
        along = share / scale * (gradient * c).sum(self.axes, keepdim=True)
        along += (1 - share) / end_scale * (gradient * end).sum(self.axes, keepdim=True)
        along /= prod(c.shape[axis] for axis in self.axes) * (scale + end_scale)
        found = (gradient - (c + end).mul_(along)).div_(middle)
        return [found - found.mean(self.axes, keepdim=True), *[None] * (len(low) - 1)]

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``x`` minus its mean, the size of the difference, and its scale."""
        c = x - x.mean(self.axes, keepdim=True)
        square = c.square().mean(self.axes, keepdim=True)
        return c, square.sqrt(), (square + self.eps).sqrt_()
