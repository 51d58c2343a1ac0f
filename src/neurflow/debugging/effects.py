"""Why one picture gets its answer: the effect of each group on it, one group at a time.

1. The explained value is the logit of the answer, minus that of a rival class if there is one.
2. Each group is masked in the real network (``masking``). Its effect is the value with the group minus
   the value without it, so a group with a positive effect supports the answer.
3. As a control, ``draws`` random sets of the same number of neurons with matched activation are masked,
   drawn as in ``what_if``.

Groups of one layer share what lies below it, so the whole network runs once for each layer. Each mask
runs only the part from the layer to the logits, and masks of a few groups run together as a batch.
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

TOGETHER = 16
"""number of masks that a batch has at least, if the layer has enough groups; fewer would run slowly"""


def group_effects(
    model: Model,
    circuit: Circuit,
    pixels: Tensor,
    change: Change,
    explained: Target,
    controls: Controls,
) -> Iterator[GroupEffect]:
    """Yield the effect of each group of a change on one picture, masked by itself.

    The groups come layer by layer, and are computed a few at a time, so that a caller can do other
    work in between.

    Args:
        model: the network that the circuit is of.
        circuit: the circuit that has the groups.
        pixels: ``[channel, height, width]`` of the picture.
        change: groups below the target, and how their neurons are masked.
        explained: the class, or the difference of two, whose logit is explained.
        controls: sets of random neurons that each group is compared with; no draws for none.
    """
    at_once = model.batch(Budget(MEMORY, Silent()))
    for name in change.neurons:
        masker = Masker(model, [name])
        layer, means = masker.layers[0], {name: circuit.layer(name).means}
        seen = masker.observe(pixels[None])
        phi = {name: layer.pool(seen.outputs[name])[0].double().cpu().numpy()}
        own = [circuit.group(id) for id in change.groups if circuit.group(id).id.layer == name]
        chunk = max(1, TOGETHER // (controls.draws + 1))
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
        model: the network that the circuit is of.
        circuit: the circuit that has the layer.
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
        usual = float(np.abs(np.mean(neuron.activations))) + EPSILON
        result[index] = None if maps is None else np.maximum(maps[..., index], 0) / usual
    return result
