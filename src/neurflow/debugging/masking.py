"""Masking: some neurons zeroed, set to their mean, scaled, or kept alone, at one layer or several.

1. Observe the lowest masked layer, the logits, and what flows to the logits round that layer (the
   bypass values of the segment from the layer to the logits).
2. Change the chosen neurons in the observed output, at every position of space.
3. Run the segment, changing further layers as they are reached. All that depends on a masked layer
   sees the change, all else is as it was: the same as hooks on the layers in the full network, without
   running what lies below again.

The network itself is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from neurflow.debugging.result import Filler
from neurflow.errors import LayerError, RequestError
from neurflow.model import Layer, Model

Ablation = Filler | float
Neurons = Mapping[str, Sequence[int]]
"""layer → neurons of it"""


@dataclass(frozen=True)
class Mask:
    """A change of some neurons.

    Attributes:
        neurons: layer → the neurons that are changed.
        ablation: ``zero``, ``mean``, or a factor.
        means: layer → ``[neuron of the layer]`` what ``mean`` sets them to.
    """

    neurons: Neurons
    ablation: Ablation = "zero"
    means: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def apply(self, x: Tensor, layer: Layer) -> Tensor:
        """A layer's output ``[batch, …]`` with its neurons changed; ``x`` stays as it is."""
        index = list(self.neurons.get(layer.name, ()))
        if not index:
            return x
        changed = x.clone()
        view = changed.movedim(layer.axis, -1)
        if self.ablation == "zero":
            view[..., index] = 0
        elif self.ablation == "mean":
            means = torch.tensor(self.means[layer.name], dtype=x.dtype, device=x.device)
            view[..., index] = means[index]
        else:
            view[..., index] *= float(self.ablation)
        return changed


def mask_of(
    layers: Sequence[Layer],
    neurons: Neurons,
    ablation: Ablation = "zero",
    *,
    keep: bool = False,
    means: Mapping[str, Sequence[float]] | None = None,
) -> Mask:
    """The change of ``neurons`` of ``layers``, or with ``keep`` of all others of these layers.

    Raises:
        RequestError: the means are not known.
    """
    chosen = {}
    for layer in layers:
        if ablation == "mean" and len((means or {}).get(layer.name, ())) != layer.neurons:
            raise RequestError(
                f"The means of layer {layer.name!r} are not in this result. "
                "Make it again with neurflow discover, or mask by zero."
            )
        named = set(neurons.get(layer.name, ()))
        chosen[layer.name] = sorted(set(range(layer.neurons)) - named if keep else named)
    return Mask(chosen, ablation, means or {})


class Masker:
    """Some layers of a model ready to be masked, as often as wanted.

    Args:
        model: the network.
        layers: names; all of them depend on the one nearest to the input.

    Raises:
        LayerError: the logits do not depend on that one, or it is their own.
    """

    def __init__(self, model: Model, layers: Sequence[str]) -> None:
        network = model.network
        wanted = {model.layer(name).name for name in layers}
        names = [name for name in network.layers if name in wanted]
        self.model, self.layers = model, [model.layer(name) for name in names]
        self.segment = model.segment(names[0], network.output_name)
        keys = [*map(model.node, [*names, network.output_name]), *self.segment.bypass]
        self._observe = model.outputs(keys)

    @torch.inference_mode()
    def run(
        self, pixels: Tensor, masks: Sequence[Mask]
    ) -> tuple[np.ndarray, list[np.ndarray], dict[str, Tensor]]:
        """Logits without and with each mask.

        Args:
            pixels: ``[batch, channel, height, width]``.
            masks: changes of these layers.

        Returns:
            (logits ``[batch, class]``, of each mask likewise, layer → its output as it is)

        Raises:
            LayerError: a mask of another layer.
        """
        observed = self._observe(self.model.feed(pixels))
        count = len(self.layers)
        xs, logits, bypass = observed[:count], observed[count], observed[count + 1 :]
        after = [_numpy(self._masked(xs[0], bypass, mask).flatten(1)) for mask in masks]
        observed_at = {layer.name: x for layer, x in zip(self.layers, xs, strict=True)}
        return _numpy(logits.flatten(1)), after, observed_at

    def _masked(self, x: Tensor, bypass: Sequence[Tensor], mask: Mask) -> Tensor:
        lowest, *others = self.layers
        names = [layer.name for layer in self.layers]
        for name in mask.neurons:
            if name not in names:
                raise LayerError(f"Only {', '.join(names)} can be masked here, not {name!r}.")
        changes = {
            layer.name: partial(mask.apply, layer=layer)
            for layer in others
            if mask.neurons.get(layer.name)
        }
        return self.segment.run(mask.apply(x, lowest), bypass, changes)


def _numpy(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()


def matched_sets(
    phi: Mapping[str, np.ndarray], neurons: Neurons, draws: int, seed: int
) -> list[dict[str, list[int]]]:
    """Random neurons in the place of others, layer by layer (``matched_neurons``).

    None at all where a layer has fewer others than neurons.
    """
    drawn = {
        name: matched_neurons(phi[name], chosen, draws, seed) for name, chosen in neurons.items()
    }
    count = min(map(len, drawn.values()))
    return [{name: sets[i] for name, sets in drawn.items()} for i in range(count)]


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
