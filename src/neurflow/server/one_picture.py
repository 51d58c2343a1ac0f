"""Explains one picture: the effects of groups on the answer, and the maps of neurons."""

from __future__ import annotations

import base64
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from neurflow.circuit import Circuit
from neurflow.debugging.effects import group_effects, neuron_maps
from neurflow.debugging.picture_explainer import best_classes, predictions
from neurflow.debugging.result import Change, GroupEffect
from neurflow.debugging.what_if import Controls, require_class_target
from neurflow.errors import RequestError
from neurflow.method.surroundings import HOTTEST
from neurflow.model import Model
from neurflow.pages.messages import Effects, EffectsRequest, NeuronMap, NeuronMaps
from neurflow.refs import Target

RIVALS = 12
"""classes offered as rivals, besides those of the target"""


def effects_on(
    model: Model,
    circuit: Circuit,
    pixels: Tensor,
    change: Change,
    request: EffectsRequest,
    pause: Callable[[], None],
) -> Effects:
    """Return the effect of each group of ``change`` by itself on the answer to a picture.

    ``pause`` is called after each group: it may run other work, or end this by an exception.

    Raises:
        RequestError: the target is inside the network, or the rival is no class, or the answer itself.
    """
    require_class_target(model, circuit)
    with torch.inference_mode():
        (output,) = model.outputs([model.node(model.network.output_name)])(model.feed(pixels[None]))
    logits = output[0].flatten().float().cpu().numpy()
    best = best_classes(logits, RIVALS)
    target = circuit.target
    own = [c for c in (target.neuron, target.minus) if c is not None]
    answer, rival = best[0], _rival(request, best, own, len(logits))
    figure = Target(layer=target.layer, neuron=answer, minus=rival, name=target.name)
    controls = Controls(request.draws, request.seed)
    found: dict[str, GroupEffect] = {}
    for effect in group_effects(model, circuit, pixels, change, figure, controls):
        found[effect.id] = effect
        pause()
    named = {each.index: each for each in predictions(model, logits, {*best, *own, *_one(rival)})}
    return Effects(
        answer=named[answer],
        rival=None if rival is None else named[rival],
        value=float(logits[answer] - (0 if rival is None else logits[rival])),
        classes=list(named.values()),
        effects=[found[id] for id in dict.fromkeys(change.groups)],
    )


def _rival(request: EffectsRequest, best: list[int], own: list[int], classes: int) -> int | None:
    """Return the number of the class that the answer is compared with."""
    answer, wanted = best[0], request.rival
    if wanted == "none" or classes == 1:
        return None
    if wanted == "nearest":
        return next(c for c in (*own, *best) if c != answer)
    if wanted >= classes:
        raise RequestError(f"There is no class {wanted}: the network has {classes}.")
    if wanted == answer:
        raise RequestError("The rival is the answer itself. Choose another class, or none.")
    return wanted


def _one(rival: int | None) -> tuple[int, ...]:
    return () if rival is None else (rival,)


def maps_on(model: Model, circuit: Circuit, pixels: Tensor, layer: str) -> NeuronMaps:
    """Return where each neuron of a layer responds on a picture."""
    with torch.inference_mode():
        found = neuron_maps(model, circuit, pixels, layer)
    shapes = {values.shape for values in found.values() if values is not None}
    height, width = shapes.pop() if shapes else (0, 0)
    return NeuronMaps(
        layer=layer,
        height=height,
        width=width,
        neurons=[
            NeuronMap(
                neuron=neuron,
                strength=0.0 if values is None else float(f"{values.max():.3g}"),
                heat="" if values is None else _bytes(values),
            )
            for neuron, values in found.items()
        ],
    )


def _bytes(values: np.ndarray) -> str:
    steps = np.round(np.clip(values / HOTTEST, 0, 1) * 255).astype(np.uint8)
    return base64.b64encode(steps.tobytes()).decode()
