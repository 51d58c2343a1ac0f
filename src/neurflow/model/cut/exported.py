"""A network that is cut on its exported graph, which is the normal case."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from neurflow.model.cut.segment import GraphSegment
from neurflow.model.network.extract import extract
from neurflow.model.network.graph import NetworkGraph, channels_last, export_network, is_tensor
from neurflow.model.network.layers import Layer, layer_of, proposed_layers, with_axes
from neurflow.model.network.protocols import Key, Observer
from neurflow.runtime.float32 import full_float32


class ExportedNetwork:
    """``Network`` on a ``NetworkGraph``.

    Args:
        module: the module, in eval mode.
        example: ``[2, channel, height, width]``.
        axes: layer → channel axis, as set by the user.

    Raises the errors of ``torch.export`` if the module cannot be exported, and ``ValueError`` if the
    exported graph computes other logits than the module.
    """

    note = None

    def __init__(
        self, module: nn.Module, example: Tensor, axes: Mapping[str, int] | None = None
    ) -> None:
        self._module = module
        with _quiet():
            self.graph: NetworkGraph = export_network(module, example)
        found = ((name, layer_of(name, node)) for name, node in self.graph.modules.items())
        layers = {name: layer for name, layer in found if layer is not None}
        self.layers: dict[str, Layer] = with_axes(layers, axes or {})
        self.output_name = self.graph.output_name
        self.classes = int(self.graph.output.meta["val"].shape[1])
        self.widest = max(
            self.graph.bytes_of(node) for node in self.graph.graph.nodes if is_tensor(node)
        )
        self._compare(example)

    def _compare(self, example: Float[Tensor, "batch channel height width"]) -> None:
        """Check that the graph returns the module's logits for random images, in a larger batch."""
        draw = torch.rand((3, *example.shape[1:]), generator=torch.Generator().manual_seed(0))
        images = draw.to(example)
        with torch.no_grad(), full_float32():
            (found,) = self.observe([self.graph.output])(images)
            expected = first_logits(self._module(images))
        largest = float(expected.nan_to_num(0, 0, 0).abs().max())
        if not torch.allclose(found, expected, rtol=1e-2, atol=1e-3 * largest, equal_nan=True):
            raise ValueError("the exported graph computes other logits than the module")

    def key(self, name: str) -> Key:
        """Return the graph node of a layer's output."""
        return self.graph.modules[name]

    def precedes(self, lower: str, upper: str) -> bool:
        """Compare positions in the graph."""
        return self.graph.modules[lower] < self.graph.modules[upper]

    def proposed(self) -> list[str]:
        """Return the block outputs on every path, and the logits."""
        return proposed_layers(self.graph, self._module)

    def observe(self, keys: Sequence[Key]) -> Observer:
        """Return the graph up to the requested nodes."""
        forward = extract(self.graph.root, [self.graph.input], cast(Sequence[fx.Node], keys))
        return lambda images: forward(channels_last(images))

    def segment(self, lower: str, upper: str) -> GraphSegment:
        """Cut the graph between two layers."""
        return GraphSegment(self.graph, self.layers[lower], self.layers[upper])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's output about a failure, which its error repeats."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def why_not(error: Exception) -> str:
    """Return the reason why a module cannot be exported, in one line; common causes are explained."""
    text = str(error).strip()
    if "Constraints violated" in text and "batch" in text:
        return "its forward fixes the size of the batch, as len(x) does (x.shape[0] does not)."
    if "data-dependent" in text:
        return "its forward branches on the values of the images."
    return next(iter(text.splitlines()), "") or type(error).__name__


def first_logits(output: object) -> Float[Tensor, "batch class"]:
    """Return the first two-dimensional tensor in a module's output, which may be nested."""
    queue = [output]
    while queue:
        value = queue.pop(0)
        if isinstance(value, Tensor) and value.ndim == 2:
            return value
        if isinstance(value, dict):
            queue = [*value.values(), *queue]
        elif isinstance(value, tuple | list):
            queue = [*value, *queue]
    raise ValueError("no logits")
