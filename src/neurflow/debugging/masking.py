"""Masking: some neurons of a layer zeroed, set to their mean, scaled, or kept alone.

1. Observe the layer, the logits, and what flows to the logits round the layer (the held values of
   the segment from the layer to the logits).
2. Change the chosen neurons in the observed output, at every position of space.
3. Run the segment. All that depends on the layer sees the change, all else is as it was: the same as
   a hook on the layer in the full network, without running what lies below again.

The network itself is never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from neurflow.errors import RequestError
from neurflow.model import Layer, Model

By = Literal["zero", "mean"] | float


@dataclass(frozen=True)
class Mask:
    """A change of some neurons of a layer.

    Attributes:
        layer: name.
        neurons: the neurons that are changed.
        by: ``zero``, ``mean``, or a factor.
        means: ``[neuron of the layer]`` what ``mean`` sets them to.
    """

    layer: str
    neurons: tuple[int, ...]
    by: By = "zero"
    means: tuple[float, ...] = ()

    def others(self, neurons: Sequence[int]) -> Mask:
        """The same change of other neurons."""
        return Mask(self.layer, tuple(neurons), self.by, self.means)

    def apply(self, x: Tensor, layer: Layer) -> Tensor:
        """The layer's output ``[batch, …]`` with its neurons changed; ``x`` stays as it is."""
        changed = x.clone()
        view = changed.movedim(layer.axis, -1)
        index = list(self.neurons)
        if self.by == "zero":
            view[..., index] = 0
        elif self.by == "mean":
            view[..., index] = torch.tensor(self.means, dtype=x.dtype, device=x.device)[index]
        else:
            view[..., index] *= float(self.by)
        return changed


def mask_of(
    layer: Layer,
    neurons: Sequence[int],
    by: By = "zero",
    *,
    keep: bool = False,
    means: Sequence[float] = (),
) -> Mask:
    """The change of ``neurons``, or with ``keep`` of all others of the layer.

    Raises:
        RequestError: the means are not known.
    """
    if by == "mean" and len(means) != layer.neurons:
        raise RequestError(
            f"The means of layer {layer.name!r} are not in this result. "
            "Make it again with neurflow discover, or mask by zero."
        )
    chosen = set(neurons)
    if keep:
        chosen = set(range(layer.neurons)) - chosen
    return Mask(layer.name, tuple(sorted(chosen)), by, tuple(means))


class Masker:
    """One layer of a model ready to be masked, as often as wanted.

    Raises:
        LayerError: the logits do not depend on the layer, or it is their own.
    """

    def __init__(self, model: Model, layer: str) -> None:
        output = model.network.output_name
        self.model, self.layer = model, model.layer(layer)
        self.segment = model.segment(layer, output)
        keys = [model.node(layer), model.node(output), *self.segment.held]
        self._observe = model.outputs(keys)

    @torch.inference_mode()
    def run(
        self, pixels: Tensor, masks: Sequence[Mask]
    ) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """Logits without and with each mask.

        Args:
            pixels: ``[batch, channel, height, width]``.
            masks: changes of this layer.

        Returns:
            (logits ``[batch, class]``, of each mask likewise, φ of the layer ``[batch, neuron]``)
        """
        x, logits, *held = self._observe(self.model.feed(pixels))
        after = [
            _numpy(self.segment.run(mask.apply(x, self.layer), held).flatten(1)) for mask in masks
        ]
        return _numpy(logits.flatten(1)), after, _numpy(self.layer.pool(x))


def _numpy(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()


def matched_neurons(
    phi: np.ndarray, neurons: Sequence[int], draws: int, seed: int, pool: int = 10
) -> list[list[int]]:
    """Random sets of as many other neurons with about the same activation.

    Each neuron is replaced by one drawn from the ``pool`` nearest in activation that are neither its
    own kind nor drawn already. Fewer others than neurons: no sets.

    Args:
        phi: ``[neuron]`` mean activation of every neuron of the layer.
        neurons: those to be matched.
        draws: number of sets.
        seed: of the draws.
        pool: how many candidates each is drawn from.
    """
    others = np.setdiff1d(np.arange(len(phi)), neurons)
    if len(others) < len(neurons):
        return []
    rng = np.random.default_rng(seed)
    sets = []
    for _ in range(draws):
        free = others
        drawn = []
        for neuron in rng.permutation(np.asarray(neurons)):
            near = free[np.argsort(np.abs(phi[free] - phi[neuron]), kind="stable")[:pool]]
            drawn.append(int(rng.choice(near)))
            free = free[free != drawn[-1]]
        sets.append(sorted(drawn))
    return sets
