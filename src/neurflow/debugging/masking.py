"""Masking: set neurons to zero or to their mean, scale them, or keep them alone, at one or more layers.

1. Observe the lowest masked layer, the logits, and the bypass values of the segment between the two.
2. Change the chosen neurons in the observed output, at every spatial position.
3. Run the segment, and change further layers when they are reached. Everything that depends on a masked
   layer sees the change, and nothing else does. The result equals that of hooks on the layers of the
   full network, but the part below the lowest masked layer is not run again.

The network itself is never modified.
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
from neurflow.runtime.memory import Batch

Ablation = Filler | float
Neurons = Mapping[str, Sequence[int]]
"""layer → some of its neurons"""


@dataclass(frozen=True)
class Mask:
    """A change of some neurons.

    Attributes:
        neurons: layer → the neurons that are changed.
        ablation: ``zero``, ``mean``, or a factor.
        means: layer → ``[neuron of the layer]`` values that ``mean`` sets them to.
    """

    neurons: Neurons
    ablation: Ablation = "zero"
    means: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def apply(self, x: Tensor, layer: Layer) -> Tensor:
        """Return a layer's output ``[batch, …]`` with its neurons changed; ``x`` is not modified."""
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
    """Return the mask of ``neurons`` or, with ``keep``, of all other neurons of ``layers``.

    Raises:
        RequestError: the ablation is ``mean``, but the means are not known.
    """
    chosen = {}
    for layer in layers:
        if ablation == "mean" and len((means or {}).get(layer.name, ())) != layer.neurons:
            raise RequestError(
                f"This result does not have the means of layer {layer.name!r}. Mask by zero, or "
                "create the result again with neurflow discover."
            )
        named = set(neurons.get(layer.name, ()))
        chosen[layer.name] = sorted(set(range(layer.neurons)) - named if keep else named)
    return Mask(chosen, ablation, means or {})


@dataclass(frozen=True)
class Observed:
    """The values of one run without a mask.

    Attributes:
        outputs: layer → its output ``[batch, …]``.
        logits: ``[batch, class]``.
        bypass: values that reach the logits without passing through the lowest layer.
    """

    outputs: dict[str, Tensor]
    logits: Tensor
    bypass: Sequence[Tensor]

    @property
    def before(self) -> np.ndarray:
        """The logits as an array."""
        return _numpy(self.logits.flatten(1))


class Masker:
    """Runs a model with neurons of some layers masked.

    Args:
        model: the network.
        layers: names; all layers must depend on the one nearest to the input.

    Raises:
        LayerError: the logits do not depend on that layer, or it is the output itself.
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
    def observe(self, pixels: Tensor) -> Observed:
        """Run the network once on pictures ``[batch, channel, height, width]``, without a mask."""
        values = self._observe(self.model.feed(pixels))
        count = len(self.layers)
        outputs = {layer.name: x for layer, x in zip(self.layers, values[:count], strict=True)}
        return Observed(outputs, values[count], values[count + 1 :])

    @torch.inference_mode()
    def run(
        self, pixels: Tensor, masks: Sequence[Mask]
    ) -> tuple[np.ndarray, list[np.ndarray], dict[str, Tensor]]:
        """Compute the logits without a mask, and with each of several masks.

        Args:
            pixels: ``[batch, channel, height, width]``.
            masks: changes of these layers.

        Returns:
            (logits ``[batch, class]`` without a mask, those with each mask, layer → unmasked output)

        Raises:
            LayerError: a mask is of another layer.
        """
        seen = self.observe(pixels)
        after = [_numpy(self._masked(seen, mask).flatten(1)) for mask in masks]
        return seen.before, after, seen.outputs

    @torch.inference_mode()
    def together(self, seen: Observed, masks: Sequence[Mask], at_once: Batch) -> np.ndarray:
        """Return the logits ``[mask, class]`` of one picture with each of several masks.

        Masks of a single layer are run as one batch. The results are those of ``run``.

        Args:
            seen: observed values of one picture.
            masks: changes of these layers.
            at_once: number of masks in a batch.
        """
        for mask in masks:
            self._refuse_others(mask)
        lowest, *others = self.layers
        x = seen.outputs[lowest.name]
        if others or any(not each.dim() or len(each) != 1 for each in (x, *seen.bypass)):
            return np.concatenate([_numpy(self._masked(seen, mask).flatten(1)) for mask in masks])

        def run(part: np.ndarray) -> Tensor:
            changed = torch.cat([mask.apply(x, lowest) for mask in part])
            held = [each.expand(len(part), *each.shape[1:]) for each in seen.bypass]
            return self.segment.run(changed, held)

        each = np.empty(len(masks), dtype=object)
        each[:] = masks
        return np.concatenate([_numpy(y.flatten(1)) for _, y in at_once.map(run, each)])

    def _masked(self, seen: Observed, mask: Mask) -> Tensor:
        lowest, *others = self.layers
        self._refuse_others(mask)
        changes = {
            layer.name: partial(mask.apply, layer=layer)
            for layer in others
            if mask.neurons.get(layer.name)
        }
        x = mask.apply(seen.outputs[lowest.name], lowest)
        return self.segment.run(x, seen.bypass, changes)

    def _refuse_others(self, mask: Mask) -> None:
        names = [layer.name for layer in self.layers]
        for name in mask.neurons:
            if name not in names:
                raise LayerError(f"Only {', '.join(names)} can be masked here, not {name!r}.")


def _numpy(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()


def matched_sets(
    phi: Mapping[str, np.ndarray], neurons: Neurons, draws: int, seed: int
) -> list[dict[str, list[int]]]:
    """Draw random sets of neurons that match the given ones, layer by layer (``matched_neurons``).

    The list is empty if a layer has too few other neurons.
    """
    drawn = {
        name: matched_neurons(phi[name], chosen, draws, seed) for name, chosen in neurons.items()
    }
    count = min(map(len, drawn.values()))
    return [{name: sets[i] for name, sets in drawn.items()} for i in range(count)]


def matched_neurons(
    phi: np.ndarray, neurons: Sequence[int], draws: int, seed: int, pool: int = 10
) -> list[list[int]]:
    """Draw random sets of as many other neurons with similar activation.

    Each neuron is replaced by one of the ``pool`` nearest in activation, among those that are neither
    given nor drawn already. The list is empty if the layer has too few other neurons.

    Args:
        phi: ``[neuron]`` mean activation of every neuron of the layer.
        neurons: the neurons to match.
        draws: number of sets.
        seed: seed of the draws.
        pool: number of candidates for each neuron.
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
