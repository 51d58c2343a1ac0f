"""What the method asks of a network, however it is cut.

Two implementations: ``exported.ExportedNetwork`` on one graph, fast and exact, and
``hooked.HookedNetwork`` for a module that does not export, slower, with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from neurflow.errors import LayerError
from neurflow.model.network.layers import Layer

Key = Hashable
"""names a value that a network computes: a layer's output, or what a segment holds"""
Observer = Callable[[Tensor], tuple[Tensor, ...]]
"""images ``[batch, channel, height, width]`` → the values asked for"""
Changes = Mapping[str, Callable[[Tensor], Tensor]]
"""layer → what is made of its output before anything reads it"""


def not_between(name: str, lower: Layer, upper: Layer) -> LayerError:
    """A change that a segment cannot make."""
    return LayerError(
        f"Layer {name!r} does not lie between {lower.name!r} and {upper.name!r}: "
        "what it passes on cannot be changed there."
    )


def like(x: Tensor, baseline: Tensor) -> Tensor:
    """A baseline ``[1, …]`` as a tensor of the shape and memory layout of ``x`` ``[batch, …]``."""
    return torch.zeros_like(x).add_(baseline)


@dataclass(frozen=True)
class Path:
    """The line from the baseline to ``x`` at the frontier of a segment: straight there too.

    Attributes:
        start, end: the frontier's values at the baseline and at ``x``.
        fixed: other values that the tail needs, the same all along the line.
        back: gradients at the frontier → the gradient at ``x``.
    """

    start: Sequence[Tensor]
    end: Sequence[Tensor]
    fixed: Sequence[Tensor]
    back: Callable[[Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class Cells:
    """The cells of a path, or points on it, which are cells of no length.

    Attributes:
        points: ends of the cells; the points.
        weights: ``[cell]`` their lengths; of points, their weights.
        count: how many modes gradients are projected on; None to keep every cell.
    """

    points: Sequence[float]
    weights: Tensor
    count: int | None = None

    @property
    def long(self) -> bool:
        """Whether they are cells: slopes are then those of secants, not derivatives."""
        return len(self.points) > len(self.weights)


class NeuronSegment(Protocol):
    """A segment reduced to one upper neuron a sample, split where it stops being affine in its input.

    Up to the *frontier* everything is affine in ``x``; ``tail`` maps the frontier, and tensors that
    are *fixed*, to ``φ_a``. Batch axes say where samples of several points can be put behind each
    other.
    """

    @property
    def serves(self) -> np.ndarray:
        """``[neuron]`` which upper neurons it may be asked for."""

    @property
    def trunk(self) -> tuple[Key, ...]:
        """Values of the network that :meth:`path` makes from ``x`` unless it is given them."""

    @property
    def affine(self) -> bool:
        """Whether ``φ_a`` itself is affine in ``x``."""

    @property
    def frontier_axes(self) -> tuple[int, ...]:
        """Batch axis of each frontier tensor."""

    @property
    def fixed_axes(self) -> tuple[int | None, ...]:
        """Batch axis of each fixed tensor; None for one without."""

    @property
    def tail(self) -> Callable[..., Any]:
        """``(batch, *frontier, *fixed)`` → ``(φ_a [batch],)``."""

    @property
    def secants(self) -> Callable[..., Any] | None:
        """The tail with slopes of secants for derivatives, if it has them: (points, …) as ``tail``."""

    @property
    def together(self) -> Callable[[Path, Tensor, Cells, int], tuple[list[Tensor], Tensor]] | None:
        """Mean gradients of samples that share crops; None if there is no work to share.

        (path, numbers of the samples' crops ``[batch]``, cells, room in numbers) → gradients at the
        frontier, and the change of ``φ_a`` ``[batch]`` over the cells.
        """

    @property
    def projects(self) -> bool:
        """Whether :attr:`together` can do with fewer modes than cells."""

    def path(
        self,
        neurons: Tensor,
        x: Tensor,
        bypass: Sequence[Tensor],
        trunk: Sequence[Tensor] = (),
        baseline: Tensor | None = None,
    ) -> Path:
        """The line from ``baseline`` ``[1, …]`` to ``x`` ``[batch, …]``, for each sample's neuron.

        The baseline is broadcast to ``x``; None is 0. ``neurons`` is ``[batch]``.
        """


class Segment(Protocol):
    """The part of a network between two layers, as a function of the lower one's output."""

    @property
    def lower(self) -> Layer:
        """Where it starts."""

    @property
    def upper(self) -> Layer:
        """Where it ends."""

    @property
    def bypass(self) -> tuple[Key, ...]:
        """Values that go round the lower layer; :meth:`run` needs them as observed."""

    @property
    def observed(self) -> Mapping[Key, tuple[int, int]]:
        """What attribution needs of the network → its batch axis, and rows there per sample.

        The lower layer's output comes first, then the bypass values, then trunks that are worth keeping
        (:attr:`NeuronSegment.trunk`).
        """

    @property
    def normalises(self) -> bool:
        """Whether a layer norm or attention lies between the picture and the upper layer."""

    def run(
        self, x: Tensor, bypass: Sequence[Tensor] = (), changes: Changes | None = None
    ) -> Tensor:
        """Upper layer's output ``[batch, …]`` for the lower layer's output ``x`` ``[batch, …]``.

        ``changes`` are made to layers on the way; one that does not lie there is a ``LayerError``.
        """

    def specialised(self, neuron: int) -> NeuronSegment:
        """The segment made fast for an upper neuron and all that are like it."""


class Network(Protocol):
    """A network with named layers that can be observed and cut."""

    @property
    def layers(self) -> Mapping[str, Layer]:
        """By name, in execution order."""

    @property
    def output_name(self) -> str:
        """Layer of the logits."""

    @property
    def classes(self) -> int:
        """Number of logits."""

    @property
    def widest(self) -> int:
        """Bytes of the largest value that is computed for one image."""

    @property
    def note(self) -> str | None:
        """What the user should know of how it is cut."""

    def key(self, name: str) -> Key:
        """The output of a layer, for :meth:`observe`."""

    def precedes(self, lower: str, upper: str) -> bool:
        """Whether a layer's output is computed before another's, and is not the same."""

    def proposed(self) -> list[str]:
        """Layers studied by default, input side first, the logits last."""

    def observe(self, keys: Sequence[Key]) -> Observer:
        """A function from images to values."""

    def segment(self, lower: str, upper: str) -> Segment:
        """The part between two layers; ``LayerError`` if the upper does not depend on the lower."""
