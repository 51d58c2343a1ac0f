"""The interface of networks that can be observed and cut.

There are two implementations. ``exported.ExportedNetwork`` uses one graph and is fast.
``hooked.HookedNetwork`` is for modules that cannot be exported; it is slower and gives the same
results.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from neurflow.errors import LayerError
from neurflow.model.network.layers import Layer

Key = Hashable
"""identifies a value that a network computes, such as a layer's output or a bypass value"""
Observer = Callable[[Tensor], tuple[Tensor, ...]]
"""images ``[batch, channel, height, width]`` → the requested values"""
Changes = Mapping[str, Callable[[Tensor], Tensor]]
"""layer → function that is applied to its output before it is used"""


def not_between(name: str, lower: Layer, upper: Layer) -> LayerError:
    """Return the error for a change of a layer outside of a segment."""
    return LayerError(
        f"Layer {name!r} is not between {lower.name!r} and {upper.name!r}, so its output cannot be "
        "changed there."
    )


def not_connected(lower: str, upper: str) -> LayerError:
    """Return the error for two layers of which the upper one does not depend on the lower one."""
    return LayerError(
        f"Layer {upper!r} does not depend on {lower!r}: name layers input side first, each fed by the "
        "one before."
    )


def expand_baseline(x: Tensor, baseline: Tensor | None) -> Tensor:
    """Return a baseline ``[1, …]``, or 0 for None, in the shape of ``x`` ``[batch, …]``."""
    if baseline is None:
        return x.new_zeros(()).expand_as(x)
    return torch.zeros_like(x).add_(baseline)  # in the memory layout of x


def points_between(low: Tensor, high: Tensor, points: Sequence[float], axis: int = 0) -> Tensor:
    """Return the points ``low + α (high − low)`` of straight lines, for each α in ``points``.

    They are joined along ``axis``, all samples of the first point first.
    """
    shape = [1] * (low.ndim + 1)
    shape[axis] = len(points)
    alpha = _on_device(tuple(points), low.dtype, low.device).view(shape)
    found = torch.lerp(low.unsqueeze(axis), high.unsqueeze(axis), alpha)
    return found.flatten(axis, axis + 1)


@lru_cache(maxsize=256)
def _on_device(points: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the points as a tensor, which is kept: a GPU waits for every copy from the host."""
    with torch.inference_mode(False):
        return torch.tensor(points, dtype=dtype, device=device)


@dataclass(frozen=True)
class Path:
    """The path from the baseline to ``x`` at the frontier of a segment, where it is straight too.

    Attributes:
        start, end: values of the frontier at the baseline and at ``x``.
        fixed: other inputs of the tail, which are constant along the line.
        back: gradients at the frontier → the gradient at ``x``.
        scores: (gradients at the frontier, ``x`` minus the baseline, crop of each sample) →
            ``[batch, channel]`` the difference times the gradient, summed over space. None if this is
            not faster than :attr:`back`.
    """

    start: Sequence[Tensor]
    end: Sequence[Tensor]
    fixed: Sequence[Tensor]
    back: Callable[[Sequence[Tensor]], Tensor]
    scores: Callable[[Sequence[Tensor], Tensor, Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Cells:
    """The cells of a path, or points on it, which are cells of length 0.

    Attributes:
        points: ends of the cells, or the points.
        weights: ``[cell]`` lengths of the cells, or weights of the points.
        count: number of modes on which gradients are projected; None if every cell is used.
    """

    points: Sequence[float]
    weights: Tensor
    count: int | None = None

    @property
    def uses_secants(self) -> bool:
        """Whether there are cells, so that slopes are those of secants and not derivatives."""
        return len(self.points) > len(self.weights)


class NeuronSegment(Protocol):
    """A segment reduced to one upper neuron per sample, split where it stops being affine in its input.

    Everything up to the *frontier* is affine in ``x``. ``tail`` maps the frontier and *fixed* tensors
    to ``φ_a``. The batch axes are those along which samples of several points can be concatenated.
    """

    @property
    def serves(self) -> np.ndarray:
        """The upper neurons that it can compute: bool ``[neuron]``."""

    @property
    def trunk(self) -> tuple[Key, ...]:
        """Values of the network that :meth:`path` computes from ``x`` unless they are given."""

    @property
    def affine(self) -> bool:
        """Whether ``φ_a`` itself is affine in ``x``."""

    @property
    def frontier_axes(self) -> tuple[int, ...]:
        """Batch axis of each frontier tensor."""

    @property
    def fixed_axes(self) -> tuple[int | None, ...]:
        """Batch axis of each fixed tensor, or None."""

    @property
    def tail(self) -> Callable[..., Any]:
        """``(batch, *frontier, *fixed)`` → ``(φ_a [batch],)``."""

    @property
    def secants(self) -> Callable[..., Any] | None:
        """The tail with slopes of secants as derivatives, or None; its arguments are (points, …)."""

    @property
    def parted(self) -> Any:
        """The tail in two parts (``fast.parted``), or None."""

    @property
    def together(self) -> Callable[[Path, Tensor, Cells, int], tuple[list[Tensor], Tensor]] | None:
        """Mean gradients of samples that share crops; None if there is no work to share.

        (path, numbers of the samples' crops ``[batch]``, cells, capacity in values) → gradients at the
        frontier, and the change of ``φ_a`` ``[batch]`` over the cells.
        """

    @property
    def projects(self) -> bool:
        """Whether :attr:`together` needs fewer modes than cells."""

    def path(
        self,
        neurons: Tensor,
        x: Tensor,
        bypass: Sequence[Tensor],
        trunk: Sequence[Tensor] = (),
        baseline: Tensor | None = None,
    ) -> Path:
        """Return the line from ``baseline`` to ``x``, for the neuron of each sample.

        Args:
            neurons: ``[batch]`` index of an upper neuron.
            x: ``[batch, …]`` output of the lower layer.
            bypass: values that bypass the lower layer.
            trunk: values of :attr:`trunk` at ``x``; they are computed if omitted.
            baseline: ``[1, …]``, broadcast to ``x``; None stands for 0.
        """


class Segment(Protocol):
    """The part of a network between two layers, as a function of the lower one's output."""

    @property
    def lower(self) -> Layer:
        """The layer where it starts."""

    @property
    def upper(self) -> Layer:
        """The layer where it ends."""

    @property
    def bypass(self) -> tuple[Key, ...]:
        """Values that bypass the lower layer; :meth:`run` needs their observed values."""

    @property
    def observed(self) -> Mapping[Key, tuple[int, int]]:
        """Values of the network that attribution needs → (batch axis, rows per sample).

        The lower layer's output comes first, then the bypass values, then trunks that are worth storing
        (:attr:`NeuronSegment.trunk`).
        """

    @property
    def normalises(self) -> bool:
        """Whether a layer norm or attention lies between the picture and the upper layer."""

    def run(
        self, x: Tensor, bypass: Sequence[Tensor] = (), changes: Changes | None = None
    ) -> Tensor:
        """Return the upper layer's output ``[batch, …]``.

        ``x`` ``[batch, …]`` is the lower layer's output. ``changes`` are applied to
        layers in between; ``LayerError`` for any other layer.
        """

    def specialised(self, neuron: int) -> NeuronSegment:
        """Return the segment specialised for an upper neuron and similar ones."""


class Network(Protocol):
    """A network with named layers that can be observed and cut."""

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Layers by name, in execution order."""

    @property
    def output_name(self) -> str:
        """Name of the layer of the logits."""

    @property
    def classes(self) -> int:
        """Number of logits."""

    @property
    def widest(self) -> int:
        """Bytes of the largest value that is computed for one image."""

    @property
    def note(self) -> str | None:
        """A note for the user on how the network is cut."""

    def key(self, name: str) -> Key:
        """Return the key of a layer's output for :meth:`observe`."""

    def precedes(self, lower: str, upper: str) -> bool:
        """Return whether a layer's output is computed before that of another layer."""

    def proposed(self) -> list[str]:
        """Return the layers studied by default, input side first, the logits last."""

    def observe(self, keys: Sequence[Key]) -> Observer:
        """Return a function from images to the values of some keys."""

    def segment(self, lower: str, upper: str) -> Segment:
        """Return the part from ``lower`` to ``upper``; ``LayerError`` if they are not connected."""
