"""The effect of each group on the prediction for one picture, one group at a time.

1. The explained value is the logit of the predicted class, minus that of a rival class if there is one.
2. Each group is masked in the real network (``masking``). Its effect is the value with the group minus
   the value without it, so a group with a positive effect supports the prediction.
3. As a control, ``draws`` random sets of the same number of neurons with matched activation are masked,
   drawn as in ``what_if``.

The whole network is run once for each layer. For each mask, only the part from the layer to the logits
is run, and masks of several groups are run as one batch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from neurflow.circuit import Circuit
from neurflow.circuit.scores import EPSILON
from neurflow.debugging.masking import Masker, Neurons, mask_of, matched_sets
from neurflow.debugging.picture_explainer import target_values
from neurflow.debugging.result import Change, GroupEffect
from neurflow.debugging.what_if import Controls
from neurflow.method.surroundings import spatial_map
from neurflow.model import Model
from neurflow.refs import Target
from neurflow.runtime.memory import MEMORY, Budget
from neurflow.runtime.progress import Silent
from neurflow.stats import spread

MIN_BATCH = 16
"""smallest number of masks in a batch, if the layer has enough groups; small batches are slow"""


def group_effects(
    model: Model,
    circuit: Circuit,
    pixels: Tensor,
    change: Change,
    explained: Target,
    controls: Controls,
) -> Iterator[GroupEffect]:
    """Yield the effect of each group of a change on one picture, with only this group masked.

    Groups are yielded layer by layer, and computed a few at a time, so that the caller can do other
    work in between.

    Args:
        model: the model that the circuit was found in.
        circuit: the circuit of the groups.
        pixels: ``[channel, height, width]`` of the picture.
        change: groups below the target, and how their neurons are masked.
        explained: the class, or the difference of two, whose logit is explained.
        controls: number and seed of the random sets that each group is compared with.
    """
    at_once = model.batch(Budget(MEMORY, Silent()))
    for name in change.neurons:
        masker = Masker(model, [name])
        layer, means = masker.layers[0], {name: circuit.layer(name).means}
        seen = masker.observe(pixels[None])
        phi = {name: layer.pool(seen.outputs[name])[0].double().cpu().numpy()}
        own = [circuit.group(id) for id in change.groups if circuit.group(id).id.layer == name]
        chunk = max(1, MIN_BATCH // (controls.draws + 1))
        for start in range(0, len(own), chunk):
            some = own[start : start + chunk]
            sets = [
                matched_sets(phi, {name: group.neurons}, controls.draws, controls.seed)
                for group in some
            ]
            masked: list[Neurons] = []
            for group, random in zip(some, sets, strict=True):
                masked += [{name: group.neurons}, *random]
            masks = [
                mask_of(masker.layers, neurons, ablation=change.ablation, means=means)
                for neurons in masked
            ]
            after = masker.together(seen, masks, at_once)
            values = target_values(np.concatenate([seen.before, after]), explained)
            effects = iter((values[0] - values[1:]).tolist())
            for group, random in zip(some, sets, strict=True):
                effect = next(effects)
                drawn = [next(effects) for _ in random]
                yield GroupEffect(id=group.id, effect=effect, random=spread(drawn))


def neuron_maps(
    model: Model, circuit: Circuit, pixels: Tensor, layer: str
) -> dict[int, np.ndarray | None]:
    """Return where each neuron of a circuit's layer responds on a picture.

    Args:
        model: the model that the circuit was found in.
        circuit: a circuit with the layer.
        pixels: ``[channel, height, width]`` of the picture.
        layer: name of the layer.

    Returns:
        neuron → ``[height, width]``, where 1 is the neuron's mean activation on its own crops and
        inhibition counts as 0; None for a layer without space.
    """
    found = model.layer(layer)
    (output,) = model.outputs([model.node(layer)])(model.feed(pixels[None]))
    maps = spatial_map(output[0].detach().float().cpu().numpy(), found)
    result: dict[int, np.ndarray | None] = {}
    for index, neuron in circuit.layer(layer).neurons.items():
        typical = float(np.abs(np.mean(neuron.activations))) + EPSILON
        result[index] = None if maps is None else np.maximum(maps[..., index], 0) / typical
    return result
