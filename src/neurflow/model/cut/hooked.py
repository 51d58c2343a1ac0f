"""A network that is cut by hooks on its full forward pass, for modules that cannot be exported.

1. One forward pass with hooks on every module finds the outputs, their order, and how often each module
   runs. If a module runs several times, its last call is used.
2. To observe a layer, the network is run from the images, and the layer's output is stored.
3. A segment also runs the network from the images, and replaces the lower layer's output. All other
   values that reach the upper layer are computed from the images, so they have their observed values.

Hooks exist only inside ``_running``.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from neurflow.errors import ModelError
from neurflow.model.cut.exported import first_logits
from neurflow.model.network.layers import (
    PROPOSED_BLOCKS,
    Layer,
    block_names,
    default_axis,
    with_axes,
)
from neurflow.model.network.protocols import (
    Changes,
    Key,
    Observer,
    Path,
    expand_baseline,
    not_between,
    not_connected,
)

IMAGES, OUTPUT = "images", "output"


class HookedNetwork:
    """``Network`` on a module's own forward pass.

    Args:
        module: the module, in eval mode.
        example: ``[2, channel, height, width]``.
        reason: why the module was not exported, for the note.
        axes: layer → channel axis, as set by the user.
    """

    def __init__(
        self,
        module: nn.Module,
        example: Tensor,
        reason: str,
        axes: Mapping[str, int] | None = None,
    ) -> None:
        self._module = module
        self._example = example
        self.note = f"Cut by hooks on the full forward pass, which is slower: {reason}"
        self._names = {child: name for name, child in module.named_modules() if name}
        self._calls: Counter[str] = Counter()
        self.layers: dict[str, Layer] = {}
        logits = self._survey()
        self.layers = with_axes(self.layers, axes or {})
        self.classes = logits.shape[1]
        self._order = list(self.layers)
        self.widest = logits.element_size() * max(prod(x.shape) for x in self.layers.values())

    def _survey(self) -> Tensor:
        """Find calls and layers; return the logits of the example."""
        values: dict[str, Tensor] = {}

        def note(name: str, value: Tensor) -> None:
            self._calls[name] += 1
            values.pop(name, None)  # a module's position is that of its last call
            values[name] = value

        with torch.no_grad(), self._running(note, every=True):
            try:
                logits = first_logits(self._module(self._example))
            except ValueError:
                raise ModelError(
                    "The model returns no tensor of shape [batch, class]. "
                    "Wrap it in a module whose forward returns the logits."
                ) from None
        for name, value in values.items():
            if value.ndim >= 2 and value.is_floating_point() and len(value) == len(self._example):
                axis = default_axis(value.ndim, self._module.get_submodule(name))
                self.layers[name] = Layer(name, tuple(value.shape[1:]), axis)
        same = [n for n, v in values.items() if v is logits and n in self.layers]
        self.output_name = max(same, key=lambda name: name.count("."), default=OUTPUT)
        self.layers.setdefault(OUTPUT, Layer(OUTPUT, tuple(logits.shape[1:]), 1))
        if self.output_name != OUTPUT:
            del self.layers[OUTPUT]
        return logits

    @contextlib.contextmanager
    def _running(
        self, change: Callable[[str, Tensor], Any], *, every: bool = False
    ) -> Iterator[None]:
        """Install hooks on all modules that call ``change(name, first tensor of the output)``.

        If a module runs several times, only its last call counts, unless ``every`` is true.
        """
        count: Counter[str] = Counter()

        def hook(module: nn.Module, _: Any, output: Any) -> Any:
            name = self._names[module]
            count[name] += 1
            value = _first(output)
            if value is None or (not every and count[name] != self._calls[name]):
                return None
            new = change(name, value)
            return None if new is None else _with_first(output, new)

        handles = [child.register_forward_hook(hook) for child in self._names]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @property
    def normalises(self) -> bool:
        """Whether it has a layer norm or attention."""
        kinds = (nn.LayerNorm, nn.RMSNorm, nn.MultiheadAttention)
        return any(isinstance(module, kinds) for module in self._module.modules())

    def key(self, name: str) -> Key:
        """Return the layer's name, which is its key."""
        return name

    def precedes(self, lower: str, upper: str) -> bool:
        """Compare the order in which outputs are complete."""
        return self._order.index(lower) < self._order.index(upper)

    def proposed(self) -> list[str]:
        """Return the outputs of blocks, each of which depends on the previous one, and the logits.

        Without blocks, these are modules without parameters, as in a plain ``nn.Sequential``, or any
        others.
        """
        modules = dict(self._module.named_modules())
        names = [name for name in self._order if name in modules]
        plain = [name for name in names if not any(True for _ in modules[name].parameters())]
        kept: list[str] = []
        for candidates in (block_names(self._module, names), plain, names):
            kept = self._chain(candidates)
            if len(kept) > 1:
                break
        return kept

    def _chain(self, candidates: Sequence[str]) -> list[str]:
        """Return a chain of candidates, each of which depends on the previous one, and the logits."""
        kept = [self.output_name]
        for name in reversed(candidates):
            if len(kept) > PROPOSED_BLOCKS:
                break
            if name != self.output_name and self._depends(kept[0], name):
                kept.insert(0, name)
        return kept

    def _depends(self, upper: str, lower: str) -> bool:
        """Return whether a large, irregular change of the lower output changes the upper one.

        Changes at the level of rounding errors are ignored, because two equal runs may differ in the
        last digits.
        """
        if not self.precedes(lower, upper):
            return False
        x, value = self.observe([lower, upper])(self._example)
        ramp = torch.linspace(0, 1, x.numel()).view_as(x).to(x)
        found = self.run(self._example, lower, x + ramp * (1 + x.abs().max()), upper)
        return bool((found - value).abs().max() > 1e-4 * value.abs().max())

    def observe(self, keys: Sequence[Key]) -> Observer:
        """Return a function that runs the module and returns the requested values."""
        names = cast(Sequence[str], keys)

        def observe(images: Tensor) -> tuple[Tensor, ...]:
            kept: dict[str, Tensor] = {IMAGES: images}

            def keep(name: str, value: Tensor) -> None:
                if name in names:
                    kept[name] = value.clone()  # a later operation may work in place

            with self._running(keep), torch.no_grad():
                kept[OUTPUT] = first_logits(self._module(images))
            return tuple(kept[name] for name in names)

        return observe

    def run(
        self, images: Tensor, lower: str, x: Tensor, upper: str, changes: Changes | None = None
    ) -> Tensor:
        """Return the upper layer's output, with ``x`` as the lower layer's and others changed."""
        kept: dict[str, Tensor] = {}
        changes = {**(changes or {}), lower: lambda _: x.clone()}

        def change(name: str, value: Tensor) -> Tensor | None:
            if name == upper:
                kept[name] = value.clone()
            return changes[name](value) if name in changes else None

        with self._running(change):
            kept[OUTPUT] = first_logits(self._module(images))
        return kept[upper]

    def segment(self, lower: str, upper: str) -> HookedSegment:
        """Return a segment that runs the whole network from the images."""
        if not self._depends(upper, lower):
            raise not_connected(lower, upper)
        return HookedSegment(self, self.layers[lower], self.layers[upper])


@dataclass(frozen=True)
class HookedSegment:
    """``Segment`` that runs the whole network."""

    network: HookedNetwork
    lower: Layer
    upper: Layer
    bypass: tuple[Key, ...] = (IMAGES,)

    @property
    def observed(self) -> dict[Key, tuple[int, int]]:
        """The lower layer's output and the images."""
        return {self.lower.name: (0, 1), IMAGES: (0, 1)}

    @property
    def normalises(self) -> bool:
        """Whether the network has a layer norm or attention."""
        return self.network.normalises

    def run(
        self,
        x: Float[Tensor, "rows ..."],
        bypass: Sequence[Tensor] = (),
        changes: Changes | None = None,
    ) -> Float[Tensor, "upper_rows ..."]:
        """Run the segment; the bypass consists of the images."""
        for name in changes or ():
            after = self.network.precedes(self.lower.name, name)
            if not (after and self.network.precedes(name, self.upper.name)):
                raise not_between(name, self.lower, self.upper)
        return self.network.run(bypass[0], self.lower.name, x, self.upper.name, changes)

    def specialised(self, neuron: int) -> HookedNeuron:
        """Return a segment that selects the neuron from the whole output, which saves no work."""
        return HookedNeuron(self)


@dataclass(frozen=True)
class HookedNeuron:
    """``NeuronSegment`` with the lower layer's output as the frontier."""

    segment: HookedSegment
    trunk: tuple[Key, ...] = ()
    secants: Callable[..., Any] | None = None
    together: None = None
    parted: Any = None
    projects: bool = False
    affine: bool = False
    frontier_axes: tuple[int, ...] = (0,)
    fixed_axes: tuple[int | None, ...] = (0, 0)

    @property
    def serves(self) -> np.ndarray:
        """All neurons are served."""
        return np.ones(self.segment.upper.neurons, dtype=bool)

    def path(
        self,
        neurons: Int[Tensor, " batch"],
        x: Float[Tensor, "rows ..."],
        bypass: Sequence[Tensor],
        trunk: Sequence[Tensor] = (),
        baseline: Tensor | None = None,
    ) -> Path:
        """Return the path: ``x`` is the frontier; neurons and images are fixed."""
        start = expand_baseline(x, baseline)
        return Path([start], [x], [neurons, *bypass], back=lambda gradients: gradients[0])

    def tail(
        self,
        batch: int,
        x: Float[Tensor, "rows ..."],
        neurons: Int[Tensor, " batch"],
        images: Float[Tensor, "batch channel height width"],
    ) -> tuple[Float[Tensor, " batch"]]:
        """Return ``φ_a`` of each sample."""
        phi = self.segment.upper.pool(self.segment.run(x, [images]))
        return (phi.gather(1, neurons[:, None])[:, 0],)


def _first(output: Any) -> Tensor | None:
    """Return the first tensor of a module's output."""
    if isinstance(output, Tensor):
        return output
    values = output.values() if isinstance(output, dict) else output
    if isinstance(output, dict | tuple | list):
        return next((value for value in values if isinstance(value, Tensor)), None)
    return None


def _with_first(output: Any, new: Tensor) -> Any:
    """Return a module's output with its first tensor replaced."""
    if isinstance(output, Tensor):
        return new
    old = _first(output)
    if isinstance(output, dict):
        key = next(key for key, value in output.items() if value is old)
        output[key] = new
        return output
    values = [new if value is old else value for value in output]
    return type(output)(*values) if hasattr(output, "_fields") else type(output)(values)
