"""Integrated gradients of one neuron with respect to the layer below (section "importance").

For an input ``x`` of the segment, with zero baseline and ``N`` points ``α_n`` of weight ``w_n`` on
[0, 1]:

    IG(x) = x ⊙ Σ_n w_n ∂φ_a(α_n x)/∂x ,    T_s = Σ over space (or tokens) of channel s of IG(x)

1. The affine prefix of the segment maps the line from 0 to ``x`` to a straight line at the frontier.
2. For each ``α_n`` the tail behind the frontier gives ``φ_a`` and its gradient at the frontier; the
   weighted gradients are summed there.
3. The sum goes back through the prefix once: an affine map has the same Jacobian everywhere.
4. Completeness, ``Σ_s T_s = φ_a(x) − φ_a(0)``, is measured with one more evaluation at each end.

Points are Gauss-Legendre's, as published, unless another rule is asked for:

* ReLUs that switch along the line make the integrand jump, mostly in its first part. There a midpoint
  rule whose intervals grow needs about two thirds of the points for the same completeness error.
* A layer norm does not feel the scale of its input, so behind one nearly all change is next to α = 0.
  Gauss-Legendre points in t, with α = t^7, resolve it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neurflow.model.network import NeuronSegment, Path, Segment

Rule = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""N → (points α, weights w) ``[step]`` on [0, 1]; the weights sum to 1"""
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
    """Points and weights that integrate polynomials up to degree ``2 N − 1`` exactly."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (points + 1) / 2, weights / 2


def graded_midpoints(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Midpoints and lengths of intervals between ``(n / N) ** 1.5``; the lengths sum to 1."""
    edges = (np.arange(steps + 1) / steps) ** 1.5
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)


def steep_gauss(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre in ``t`` after the substitution ``α = t^7``."""
    points, weights = gauss_legendre(steps)
    return points**7, 7 * points**6 * weights


def integrated_gradients(
    segment: Segment,
    neuron: int | Tensor,
    x: Tensor,
    held: Sequence[Tensor] = (),
    *,
    steps: int = 50,
    trunk: Sequence[Tensor] = (),
    rule: Rule = gauss_legendre,
) -> Attribution:
    """T(a, s, v) for each crop ``v`` of a batch.

    Args:
        segment: from the lower layer to the upper one.
        neuron: channel ``a`` of the upper layer; or ``[crop]`` one for each crop, all of which
            ``segment.specialised`` of the first one serves.
        x: ``[crop, …]`` observed output of the lower layer.
        held: observed values of ``segment.held``.
        steps: N, points on the path.
        trunk: observed values of the specialised segment's ``trunk``, to save their computation.
        rule: N → points and weights.
    """
    neurons = torch.as_tensor(neuron, device=x.device).expand(len(x))
    fast = segment.specialised(int(neurons[0]))
    path = fast.path(neurons, x, held, trunk)
    at_frontier = _mean_gradient(fast, path, len(x), rule(1 if fast.affine else steps))
    scores = segment.lower.total(x * path.back(at_frontier))
    return Attribution(scores, _change(fast, path, len(x)))


def total_score(
    segment: Segment,
    neuron: int | Tensor,
    x: Tensor,
    held: Sequence[Tensor] = (),
    *,
    steps: int,
    trunk: Sequence[Tensor] = (),
    rule: Rule = gauss_legendre,
) -> tuple[Tensor, Tensor]:
    """(Σ_s T_s, φ_a(x) − φ_a(0)) ``[crop]`` of :func:`integrated_gradients`, without going back.

    The gradient at the frontier along the way from 0 to ``x`` there says it all.
    """
    neurons = torch.as_tensor(neuron, device=x.device).expand(len(x))
    fast = segment.specialised(int(neurons[0]))
    path = fast.path(neurons, x, held, trunk)
    total = torch.zeros(len(x), dtype=x.dtype, device=x.device)
    at_frontier = _mean_gradient(fast, path, len(x), rule(1 if fast.affine else steps))
    for gradient, start, end, axis in zip(
        at_frontier, path.start, path.end, fast.frontier_axes, strict=True
    ):
        by_crop = torch.unflatten(gradient * (end - start), axis, (len(x), -1)).movedim(axis, 0)
        total += by_crop.flatten(1).sum(1)
    return total, _change(fast, path, len(x))


def _change(fast: NeuronSegment, path: Path, batch: int) -> Tensor:
    """``[batch]`` φ_a(x) − φ_a(0)."""
    with torch.no_grad():
        at_0, at_x = (fast.tail(batch, *ends, *path.fixed)[0] for ends in (path.start, path.end))
    return at_x - at_0


def _mean_gradient(
    fast: NeuronSegment, path: Path, batch: int, quadrature: tuple[np.ndarray, np.ndarray]
) -> list[Tensor]:
    """``Σ_n w_n ∂φ_a/∂frontier`` at ``start + α_n (end − start)``, for each frontier tensor."""
    points, weights = quadrature
    total = [torch.zeros_like(value) for value in path.end]
    at_once = max(1, CHUNK_ELEMENTS // max(1, sum(value.numel() for value in path.end)))
    for first in range(0, len(points), at_once):
        alphas, shares = points[first : first + at_once], weights[first : first + at_once]
        line = [
            _joined([torch.lerp(low, high, alpha) for alpha in alphas.tolist()], axis)
            for low, high, axis in zip(path.start, path.end, fast.frontier_axes, strict=True)
        ]
        repeated = [
            value if axis is None else _joined([value] * len(alphas), axis)
            for value, axis in zip(path.fixed, fast.fixed_axes, strict=True)
        ]
        for value in line:
            value.requires_grad_()
        with torch.enable_grad():
            phi = fast.tail(len(alphas) * batch, *line, *repeated)[0].sum()
            gradients = torch.autograd.grad(phi, line, materialize_grads=True)
        for sum_, gradient, axis in zip(total, gradients, fast.frontier_axes, strict=True):
            for share, part in zip(shares, gradient.chunk(len(alphas), axis), strict=True):
                sum_.add_(part, alpha=share)
    return total


def _joined(values: Sequence[Tensor], axis: int) -> Tensor:
    """``torch.cat`` that does not copy a single value."""
    return values[0] if len(values) == 1 else torch.cat(list(values), axis)
