"""What the method asks of a network, however it is cut.

Two implementations: ``exported.ExportedNetwork`` on one graph, fast and exact, and
``hooked.HookedNetwork`` for a module that does not export, slower, with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from neurflow.model.layers import Layer

Key = Hashable
"""names a value that a network computes: a layer's output, or what a segment holds"""
Observer = Callable[[Tensor], tuple[Tensor, ...]]
"""images ``[batch, channel, height, width]`` → the values asked for"""


class NeuronSegment(Protocol):
    """A segment reduced to one upper neuron, split where it stops being affine in its input.

    ``evaluate`` gives the *frontier*, affine in ``x``, and tensors that are *fixed*; ``tail`` maps
    both to ``φ_a``. Batch axes say where samples of several points can be put behind each other.
    """

    @property
    def frontier_axes(self) -> tuple[int, ...]:
        """Batch axis of each frontier tensor."""

    @property
    def fixed_axes(self) -> tuple[int | None, ...]:
        """Batch axis of each fixed tensor; None for one without."""

    @property
    def trivial(self) -> bool:
        """Whether the frontier is ``x`` itself."""

    @property
    def tail(self) -> Callable[..., Any]:
        """``(batch, *frontier, *fixed)`` → ``(φ_a [batch],)``."""

    def evaluate(self, x: Tensor, held: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """(frontier, fixed) for the lower layer's output ``x`` ``[batch, …]``."""


class Segment(Protocol):
    """The part of a network between two layers, as a function of the lower one's output."""

    @property
    def lower(self) -> Layer:
        """Where it starts."""

    @property
    def upper(self) -> Layer:
        """Where it ends."""

    @property
    def held(self) -> tuple[Key, ...]:
        """Values that go round the lower layer; :meth:`run` needs them as observed."""

    @property
    def held_axes(self) -> tuple[tuple[int, int], ...]:
        """(batch axis, rows per sample) of each held value."""

    def run(self, x: Tensor, held: Sequence[Tensor] = ()) -> Tensor:
        """Upper layer's output ``[batch, …]`` for the lower layer's output ``x`` ``[batch, …]``."""

    def neuron(self, index: int) -> NeuronSegment:
        """The segment made fast for one upper neuron."""


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
