"""Integrated gradients of one neuron with respect to the layer below (section "importance").

For an input ``x`` of the segment and a baseline ``b`` (zero, unless ``baselines`` selects another
one), with ``N`` points ``α_n`` of weight ``w_n`` on [0, 1]:

    IG(x) = (x − b) ⊙ Σ_n w_n ∂φ_a(b + α_n (x − b))/∂x
    T_s = Σ over space (or tokens) of channel s of IG(x)

1. The affine prefix of the segment maps the line from ``b`` to ``x`` to a straight line at the
   frontier.
2. For each ``α_n``, the tail after the frontier gives ``φ_a`` and its gradient at the frontier. The
   weighted gradients are summed there.
3. The sum is propagated back through the prefix once, because an affine map has the same Jacobian
   everywhere.
4. Completeness, ``Σ_s T_s = φ_a(x) − φ_a(b)``, is measured with one more evaluation at each end.

By default, the points are those of Gauss-Legendre quadrature, as published. There are other rules:

* ReLUs that switch along the line cause jumps of the integrand, mostly in the first part of the line.
  A midpoint rule with growing intervals needs about two thirds of the points for the same
  completeness error.
* Slopes of secants instead of derivatives (``model.fast.secants``) make every cell of the path
  complete. If all operations of the tail have slopes, few cells are enough, because the error of the
  scores falls with the square of their number. Completeness then says nothing about the error.
* The output of a layer norm does not depend on the scale of its input, so on a path from zero nearly
  all change occurs close to α = 0. Gauss-Legendre points in ``t``, with ``α = c sinh(t arsinh(1/c))``,
  resolve it (``sinh``). If the segment is smooth, their error falls exponentially, as does that of
  Gauss-Legendre points on paths from the mean. ``graded`` has cells of secants whose ends are placed in
  the same way, for segments that are not smooth. ``steep``, with α = t^7, converges more slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurflow.attribution.shared_points import gradients_at_points, repeat_samples, samples
from neurflow.model.network.protocols import Cells, NeuronSegment, Path, Segment, points_between

Rule = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""N → (points α, weights w) ``[step]`` on [0, 1]; the weights sum to 1"""
STEEP_SHARE = 1e-3
"""share of a path from zero on which most of the change after a norm occurs"""
FEWER_MODES_FROM = 6
"""number of cells above which a third as many modes are used, which balances both errors"""
SHARED = 64
"""largest number of cells for which pairs of a crop share their work on the whole path"""
CHUNK_ELEMENTS = 1_250_000
"""number of frontier values to process at once, so that they fit into the cache of a CPU"""
GPU_CHUNK_ELEMENTS = 80_000_000
"""the same on a GPU, which small chunks do not keep busy"""


@dataclass(frozen=True)
class Attribution:
    """Scores of the lower neurons for one upper neuron, crop by crop.

    Attributes:
        scores: ``[crop, lower neuron]`` T, signed, pooled over space.
        change: ``[crop]`` φ_a(x) − φ_a(baseline), the sum of complete scores of a crop.
    """

    scores: Tensor
    change: Tensor

    @property
    def gap(self) -> Tensor:
        """``[crop]`` completeness error |Σ_s T_s − (φ_a(x) − φ_a(baseline))|."""
        return (self.scores.sum(1) - self.change).abs()


def gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points and weights that integrate polynomials up to degree ``2 N − 1`` exactly."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (points + 1) / 2, weights / 2


def graded_midpoints(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return midpoints and lengths of intervals between ``(n / N) ** 1.5``; the lengths sum to 1."""
    edges = (np.arange(steps + 1) / steps) ** 1.5
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)


def steep_gauss(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Gauss-Legendre points in ``t``, with the substitution ``α = t^7``."""
    points, weights = gauss_legendre(steps)
    return points**7, 7 * points**6 * weights


def _sinh(t: np.ndarray) -> np.ndarray:
    """Map [0, 1] to [0, 1]; the lower half is mapped to about [0, √STEEP_SHARE]."""
    return np.asarray(STEEP_SHARE * np.sinh(t * np.arcsinh(1 / STEEP_SHARE)))


def sinh(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Gauss-Legendre points with a hyperbolic sine as substitution, dense close to 0."""
    points, weights = gauss_legendre(steps)
    rate = np.arcsinh(1 / STEEP_SHARE)
    return _sinh(points), STEEP_SHARE * rate * np.cosh(points * rate) * weights


def graded(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ends and lengths of cells as :func:`secants` does, equal in the ``t`` of :func:`sinh`."""
    edges = _sinh(np.arange(steps + 1) / steps)
    return edges, np.append(np.diff(edges), 0.0)


def secants(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``N + 1`` ends of ``N`` cells, and their lengths; the length after the last end is 0.

    No gradients are taken at these points; slopes over cells are used (``model.fast.secants``).
    """
    edges = (np.arange(steps + 1) / steps) ** 1.5
    return edges, np.append(np.diff(edges), 0.0)


CELLS: tuple[Rule, ...] = (secants, graded)
"""rules of cells instead of points"""


def integrated_gradients(
    segment: Segment,
    neuron: int | Tensor,
    x: Tensor,
    bypass: Sequence[Tensor] = (),
    *,
    steps: int = 50,
    trunk: Sequence[Tensor] = (),
    rule: Rule = gauss_legendre,
    baseline: Tensor | None = None,
    with_change: bool = True,
    crops: Tensor | None = None,
    modes: int | None = None,
) -> Attribution:
    """Return T(a, s, v) for each crop ``v`` of a batch.

    Args:
        segment: the segment from the lower layer to the upper one.
        neuron: channel ``a`` of the upper layer; or ``[crop]`` one for each crop, if
            ``segment.specialised`` of the first one serves all of them.
        x: ``[crop, …]`` observed output of the lower layer.
        bypass: observed values of ``segment.bypass``.
        steps: N, number of points on the path.
        trunk: observed values of the specialised segment's ``trunk``, which are computed otherwise.
        rule: N → points and weights.
        baseline: ``[1, …]`` start of the path, the same for all crops; None stands for zero.
        with_change: whether to compute the change of φ_a; otherwise it is NaN.
        crops: ``[crop]`` crop number of each sample. Samples of the same crop must have the same
            values and be adjacent; they share the work on it. By default, every sample is another
            crop.
        modes: for rules of cells, the number of functions along the path on which gradients are
            projected if that is worthwhile (``model.fast.crop_tail``); by default, a third of the
            number of cells.
    """
    neurons = torch.as_tensor(neuron, device=x.device).expand(len(x))
    fast = segment.specialised(int(neurons[0]))
    path = fast.path(neurons, x, bypass, trunk, baseline)
    change: Tensor | None = None
    few = False
    if _shares(segment, fast, rule, steps, crops):
        assert crops is not None
        at_frontier, change = gradients_at_points(fast, path, crops, rule(steps))
    elif fast.together is not None and steps <= SHARED and _kind_shares(segment, rule):
        cells = _cells(rule, steps, modes if fast.projects and rule in CELLS else steps, x)
        numbers = torch.arange(len(x)) if crops is None else crops
        at_frontier, moved = fast.together(path, numbers, cells, _chunk(x))
        change, few = moved if cells.uses_secants else None, cells.count is not None
    else:
        at_frontier = _mean_gradient(fast, path, len(x), rule, steps)
    if change is None:
        change = _change(fast, path, len(x)) if with_change else x.new_full((len(x),), torch.nan)
    direction = x if baseline is None else x - baseline
    if path.scores is not None and crops is not None and segment.lower.axis == 1:
        scores = path.scores(at_frontier, direction, crops)
    else:
        scores = segment.lower.total(direction * path.back(at_frontier))
    return Attribution(_completed(scores, change) if few else scores, change)


def _kind_shares(segment: Segment, rule: Rule) -> bool:
    """Return whether work is shared through the slopes or derivatives of single operations.

    For points after norms, autograd is faster (:func:`_shares`).
    """
    return rule in CELLS or not segment.normalises


def _cells(rule: Rule, steps: int, modes: int | None, like: Tensor) -> Cells:
    points, weights = rule(steps)
    made = torch.from_numpy(weights[:-1] if rule in CELLS else weights).to(like)
    if modes is None:
        modes = -(-steps // 3) if steps >= FEWER_MODES_FROM else steps
    return Cells(points.tolist(), made, modes if modes < steps else None)


def _completed(scores: Tensor, change: Tensor) -> Tensor:
    """Make scores complete: redistribute the part that the modes lose in proportion to |T|."""
    size = scores.abs()
    missing = (change - scores.sum(1)) / size.sum(1).clamp_min(torch.finfo(size.dtype).tiny)
    return scores + missing[:, None] * size


def _shares(
    segment: Segment, fast: NeuronSegment, rule: Rule, steps: int, crops: Tensor | None
) -> bool:
    """Return whether pairs of one crop share the crop part at points, one crop after the other.

    This is worthwhile if the crop part is large and a crop has several targets, as in transformers.
    """
    if crops is None or rule in CELLS or steps > SHARED or not segment.normalises:
        return False
    alone = len(torch.unique_consecutive(crops)) == len(crops)
    return fast.parted is not None and not fast.affine and not alone


def _chunk(like: Tensor) -> int:
    """Return the number of frontier values to process at once."""
    return GPU_CHUNK_ELEMENTS if like.is_cuda else CHUNK_ELEMENTS


def _change(fast: NeuronSegment, path: Path, batch: int) -> Tensor:
    """Return φ_a(x) − φ_a(baseline) ``[batch]``."""
    with torch.no_grad():
        at_start, at_x = (
            fast.tail(batch, *ends, *path.fixed)[0] for ends in (path.start, path.end)
        )
    return at_x - at_start


def _mean_gradient(
    fast: NeuronSegment, path: Path, batch: int, rule: Rule, steps: int
) -> list[Tensor]:
    """Return ``Σ_n w_n ∂φ_a/∂frontier`` at ``start + α_n (end − start)``, for each frontier tensor."""
    cellwise = rule in CELLS and not fast.affine and fast.secants is not None
    if rule in CELLS and not cellwise:
        rule = graded_midpoints
    points, weights = rule(1 if fast.affine else steps)
    total = [torch.zeros_like(value) for value in path.end]
    capacity = max(
        1, _chunk(path.end[0]) * batch // max(1, sum(value.numel() for value in path.end))
    )
    # cells share their ends, so the part of a line that fits is processed together
    crops = max(1, min(batch, capacity // len(points) if cellwise else capacity))
    for first in range(0, batch, crops):
        count = min(crops, batch - first)
        part = partial(samples, batch=batch, first=first, count=count)
        start, end, sums = (map(part, v, fast.frontier_axes) for v in (path.start, path.end, total))
        fixed = map(part, path.fixed, fast.fixed_axes)
        lines = _Lines(fast, list(start), list(end), list(fixed), count, list(sums))
        if cellwise:
            for low in range(0, len(points) - 1, cells := max(1, capacity // count - 1)):
                high = low + cells + 1
                lines.add_secants(points[low:high], weights[low:high])
        else:
            for low in range(0, len(points), at_once := max(1, capacity // count)):
                lines.add(points[low : low + at_once], weights[low : low + at_once])
    return total


@dataclass(frozen=True)
class _Lines:
    """The lines of some crops at the frontier, and the sums of weighted gradients along them."""

    fast: NeuronSegment
    start: list[Tensor]
    end: list[Tensor]
    fixed: list[Tensor]
    crops: int
    sums: list[Tensor]

    def add(self, points: np.ndarray, weights: np.ndarray) -> None:
        """Add gradients at points."""
        self._add(self.fast.tail, points, weights)

    def add_secants(self, points: np.ndarray, lengths: np.ndarray) -> None:
        """Add slopes over the cells between points; there is no cell after the last point."""
        assert self.fast.secants is not None
        lengths = np.append(lengths[: len(points) - 1], 0.0)
        self._add(partial(self.fast.secants, len(points)), points, lengths)

    def _add(self, tail: Callable[..., Any], points: np.ndarray, weights: np.ndarray) -> None:
        line = [
            points_between(low, high, points.tolist(), axis)
            for low, high, axis in zip(self.start, self.end, self.fast.frontier_axes, strict=True)
        ]
        repeated = [
            repeat_samples(value, axis, len(points))
            for value, axis in zip(self.fixed, self.fast.fixed_axes, strict=True)
        ]
        for value in line:
            value.requires_grad_()
        with torch.enable_grad():
            phi = tail(len(points) * self.crops, *line, *repeated)[0]
        shares = torch.from_numpy(weights).to(phi).repeat_interleave(self.crops)
        gradients = torch.autograd.grad(phi, line, shares, materialize_grads=True)
        for total, gradient, axis in zip(
            self.sums, gradients, self.fast.frontier_axes, strict=True
        ):
            for part in gradient.chunk(len(points), axis):
                total.add_(part)
