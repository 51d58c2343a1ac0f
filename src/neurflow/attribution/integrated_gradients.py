"""Integrated gradients of one neuron with respect to the layer below (section "importance").

For an input ``x`` of the segment, with zero baseline and ``N`` Gauss-Legendre points ``α_n`` of
weight ``w_n`` on [0, 1]:

    IG(x) = x ⊙ Σ_n w_n ∂φ_a(α_n x)/∂x ,    T_s = Σ over space (or tokens) of channel s of IG(x)

1. The affine prefix of the segment is evaluated at ``x`` and at 0; its value at ``α x`` lies on the
   line between the two.
2. For each ``α_n`` the tail behind the frontier gives ``φ_a`` and its gradient at the frontier; the
   weighted gradients are summed there.
3. The sum goes back through the prefix once: an affine map has the same Jacobian everywhere.
4. Completeness, ``Σ_s T_s = φ_a(x) − φ_a(0)``, is measured with one more evaluation at each end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neurflow.model.network import NeuronSegment, Segment

CHUNK_ELEMENTS = 1_250_000
"""frontier values handled at once: small enough to stay in a processor's cache"""


@dataclass(frozen=True)
class Attribution:
    """Scores of the lower neurons for one upper neuron, crop by crop.

    Attributes:
        scores: ``[crop, lower neuron]`` T, signed, pooled over space.
        change: ``[crop]`` φ_a(x) − φ_a(0), which the scores of a crop should add up to.
    """

    scores: Tensor
    change: Tensor

    @property
    def gap(self) -> Tensor:
        """``[crop]`` |Σ_s T_s − (φ_a(x) − φ_a(0))|: the error of completeness."""
        return (self.scores.sum(1) - self.change).abs()


def gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(points α, weights w) ``[step]`` on [0, 1]; the weights sum to 1."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (points + 1) / 2, weights / 2


def integrated_gradients(
    segment: Segment,
    neuron: int,
    x: Tensor,
    held: Sequence[Tensor] = (),
    *,
    steps: int = 50,
    specialised: NeuronSegment | None = None,
) -> Attribution:
    """T(a, s, v) for each crop ``v`` of a batch.

    Args:
        segment: from the lower layer to the upper one.
        neuron: channel ``a`` of the upper layer.
        x: ``[crop, …]`` observed output of the lower layer.
        held: observed values of ``segment.held``.
        steps: N, points on the path.
        specialised: ``segment.neuron(neuron)`` where the caller has it already.
    """
    fast = specialised or segment.neuron(neuron)
    with torch.no_grad():
        frontier, fixed = fast.evaluate(x, held)
        origin, _ = fast.evaluate(torch.zeros_like(x), held)
        ends = [fast.tail(len(x), *values, *fixed)[0] for values in (frontier, origin)]
    at_frontier = _mean_gradient(fast, origin, frontier, fixed, len(x), steps)
    gradient = at_frontier[0] if fast.trivial else _through_prefix(fast, x, held, at_frontier)
    return Attribution(segment.lower.total(x * gradient), ends[0] - ends[1])


def _mean_gradient(
    fast: NeuronSegment,
    origin: Sequence[Tensor],
    frontier: Sequence[Tensor],
    fixed: Sequence[Tensor],
    batch: int,
    steps: int,
) -> list[Tensor]:
    """``Σ_n w_n ∂φ_a/∂frontier`` at ``origin + α_n (frontier − origin)``, for each frontier tensor."""
    points, weights = gauss_legendre(steps)
    total = [torch.zeros_like(value) for value in frontier]
    at_once = max(1, CHUNK_ELEMENTS // max(1, sum(value.numel() for value in frontier)))
    for start in range(0, steps, at_once):
        alphas = points[start : start + at_once]
        copies = len(alphas)
        line = [
            _interpolate(low, high, alphas, axis).requires_grad_()
            for low, high, axis in zip(origin, frontier, fast.frontier_axes, strict=True)
        ]
        repeated = [
            value if axis is None else torch.cat([value] * copies, axis)
            for value, axis in zip(fixed, fast.fixed_axes, strict=True)
        ]
        with torch.enable_grad():
            phi = fast.tail(copies * batch, *line, *repeated)[0].sum()
            gradients = torch.autograd.grad(phi, line, materialize_grads=True)
        shares = torch.as_tensor(
            weights[start : start + copies], dtype=phi.dtype, device=phi.device
        )
        for sum_, gradient, axis in zip(total, gradients, fast.frontier_axes, strict=True):
            by_alpha = torch.unflatten(gradient, axis, (copies, -1))
            sum_ += torch.tensordot(by_alpha, shares, dims=([axis], [0]))
    return total


def _interpolate(low: Tensor, high: Tensor, alphas: np.ndarray, axis: int) -> Tensor:
    """``low + α (high − low)`` for each α, one behind the other along the batch axis."""
    weight = torch.as_tensor(alphas, dtype=low.dtype, device=low.device)
    weight = weight.view(-1, *[1] * (low.ndim - axis))
    return torch.lerp(low.unsqueeze(axis), high.unsqueeze(axis), weight).flatten(axis, axis + 1)


def _through_prefix(
    fast: NeuronSegment, x: Tensor, held: Sequence[Tensor], gradients: Sequence[Tensor]
) -> Tensor:
    """Gradients at the frontier taken back to ``x``."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        frontier, _ = fast.evaluate(x, held)
        (gradient,) = torch.autograd.grad(frontier, x, list(gradients))
    return gradient
