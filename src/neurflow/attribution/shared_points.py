"""Gradients at points of the path, for several targets with the same crops (``model.fast.parted``).

1. The crop part of the tail is run once for each crop, at all points of its line and at both ends.
2. For each target of the crop, the target part gives ``φ_a`` and the gradient where the two parts meet.
3. The gradient is propagated back through the crop part. Its forward pass is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from neurflow.model.fast.parted import Parted
from neurflow.model.network.protocols import NeuronSegment, Path, points_between

ENDS = np.array([0.0, 1.0])


def gradients_at_points(
    fast: NeuronSegment,
    path: Path,
    crops: Int[Tensor, " pair"],
    rule: tuple[np.ndarray, np.ndarray],
) -> tuple[list[Tensor], Float[Tensor, " pair"]]:
    """Return ``Σ_n w_n ∂φ_a/∂frontier`` for each tensor of the frontier, and the change of φ_a.

    Args:
        fast: the segment for the pairs' targets, divided into parts.
        path: the line of every pair.
        crops: ``[pair]`` crop number. Pairs of the same crop are adjacent.
        rule: points α and their weights.
    """
    assert fast.parted is not None
    totals = [torch.zeros_like(value) for value in path.end]
    change = path.end[0].new_empty(len(crops))
    for first, last in _runs(crops):
        pick_first = partial(samples, batch=len(crops), first=first)
        crop = _Crop(fast, fast.parted, pick_first, path, rule)
        for pair in range(first, last):
            pick = partial(samples, batch=len(crops), first=pair)
            found, change[pair] = crop.gradients(pick)
            for total, gradient, axis in zip(totals, found, fast.frontier_axes, strict=True):
                pick(total, axis).copy_(gradient)
    return totals, change


def _runs(crops: Tensor) -> Iterator[tuple[int, int]]:
    """Yield (first pair, end) of each crop."""
    counts = torch.unique_consecutive(crops, return_counts=True)[1]
    ends = counts.cumsum(0).tolist()
    return zip([0, *ends], ends, strict=False)


def samples(value: Tensor, axis: int | None, *, batch: int, first: int, count: int = 1) -> Tensor:
    """Return the part of a tensor that belongs to some samples of a batch.

    Args:
        value: a tensor.
        axis: the axis of the samples; None if they share the tensor, which is then returned whole.
        batch: number of samples in the tensor.
        first: the first sample.
        count: number of samples.
    """
    if axis is None or count == batch:
        return value
    rows = value.shape[axis] // batch
    return value.narrow(axis, first * rows, count * rows)


def repeat_samples(value: Tensor, axis: int | None, times: int) -> Tensor:
    """Repeat a tensor along the axis of its samples, unless it has none (``axis`` is None)."""
    return value if axis is None or times == 1 else torch.cat([value] * times, axis)


Pick = Callable[[Tensor, int | None], Tensor]


class _Crop:
    """The crop part on the line of one crop."""

    def __init__(
        self,
        fast: NeuronSegment,
        parts: Parted,
        pick: Pick,
        path: Path,
        rule: tuple[np.ndarray, np.ndarray],
    ) -> None:
        self.fast, self.parts, self.path = fast, parts, path
        self.points, weights = rule
        self.weights = torch.from_numpy(weights).to(path.end[0])
        chosen = slice(0, parts.through)
        self.line = [value.requires_grad_() for value in self._line(pick, chosen, self.points)]
        with torch.enable_grad():
            self.meeting = parts.crop(len(self.points), *self.line)
        with torch.no_grad():
            self.at_ends = parts.crop(2, *self._line(pick, chosen, ENDS))

    def _line(self, pick: Pick, chosen: slice, points: np.ndarray) -> list[Tensor]:
        """Return the first tensors of the frontier at points of the line, one sample for each point."""
        found = []
        lines = zip(self.path.start, self.path.end, self.fast.frontier_axes, strict=True)
        for low, high, axis in list(lines)[chosen]:
            ends = pick(low, axis), pick(high, axis)
            found.append(points_between(*ends, points.tolist(), axis))
        return found

    def _target(self, pick: Pick, meeting: Sequence[Tensor], points: np.ndarray) -> list[Tensor]:
        """Return the inputs of the target part at points: tensors of the frontier, and fixed ones."""
        own = self._line(pick, slice(self.parts.through, None), points)
        fixed = [
            repeat_samples(pick(value, axis), axis, len(points))
            for value, axis in zip(self.path.fixed, self.fast.fixed_axes, strict=True)
        ]
        return [*(value.detach() for value in meeting), *own, *fixed]

    def gradients(self, pick: Pick) -> tuple[list[Tensor], Tensor]:
        """Return the summed weighted gradients at the frontier and the change of φ_a of one pair."""
        given = self._target(pick, self.meeting, self.points)
        count = len(self.meeting) + len(self.fast.frontier_axes) - self.parts.through
        leaves = [value.requires_grad_() for value in given[:count]]
        with torch.enable_grad():
            phi = self.parts.target(len(self.points), *leaves, *given[count:])[0]
        found = torch.autograd.grad(phi, leaves, self.weights, materialize_grads=True)
        at_meeting, at_own = found[: len(self.meeting)], found[len(self.meeting) :]
        at_line = torch.autograd.grad(
            self.meeting, self.line, at_meeting, retain_graph=True, materialize_grads=True
        )
        with torch.no_grad():
            start, end = self.parts.target(2, *self._target(pick, self.at_ends, ENDS))[0]
        summed = [
            torch.unflatten(gradient, axis, (len(self.points), -1)).sum(axis)
            for gradient, axis in zip([*at_line, *at_own], self.fast.frontier_axes, strict=True)
        ]
        return summed, end - start
