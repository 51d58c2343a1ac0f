"""What if a group were gone: the same pictures, with its neurons masked in the real network.

1. Mask the groups' neurons at their layer (``masking``), over one picture or many.
2. Mask as many random neurons of matched activation, ``draws`` times: what any such set would do.
3. The published check: mask on all crops, and show those whose target falls most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from neurflow.circuit import Circuit, Target
from neurflow.crops import crop_boxes, crop_pixels
from neurflow.debugging.masking import By, Mask, Masker, mask_of, matched_neurons
from neurflow.debugging.reading import BATCH, predictions, target_values, true_class
from neurflow.debugging.result import (
    Change,
    CropEffect,
    Effect,
    Interval,
    Overall,
    WhatIf,
)
from neurflow.errors import RequestError
from neurflow.images import Images, UnreadableImage
from neurflow.model import Model
from neurflow.progress import Progress

CROPS_SHOWN = 12
CROPPED = 8
"""crops are checked on at most so many pictures"""


def change_of(
    circuit: Circuit, groups: Sequence[str], *, keep: bool = False, by: By = "zero"
) -> Change:
    """What masking (or keeping alone) some groups means in neurons.

    Raises:
        RequestError: a group that does not exist, groups of several layers, or the target's own.
    """
    found = [circuit.group(id) for id in dict.fromkeys(groups)]
    layers = {group.id.rpartition("/")[0] for group in found}
    if len(layers) > 1:
        raise RequestError(
            f"Groups of one layer are masked at a time; these are of {', '.join(sorted(layers))}."
        )
    (layer,) = layers
    if isinstance(by, str) and by not in ("zero", "mean"):
        raise RequestError(f"Neurons are changed by zero, mean or a factor, not by {by!r}.")
    if layer == circuit.layers[-1].name:
        raise RequestError(
            f"{found[0].id} is the target itself. Mask a group of a layer below: "
            f"{', '.join(each.name for each in circuit.layers[:-1])}."
        )
    neurons = sorted({neuron for group in found for neuron in group.neurons})
    return Change(
        groups=tuple(group.id for group in found),
        layer=layer,
        neurons=tuple(neurons),
        keep=keep,
        by=by,
    )


def what_if(
    model: Model,
    circuit: Circuit,
    images: Images,
    change: Change,
    *,
    draws: int,
    seed: int,
    progress: Progress,
    crops: bool = True,
) -> WhatIf:
    """The pictures before and after a change; those that cannot be read are left out.

    ``crops``: whether the published check is done too; it takes longer than all else.
    """
    target = circuit.target
    if target.layer != model.network.output_name:
        raise RequestError(
            f"The target {target.name!r} is inside the network: masking shows its effect on classes. "
            "Discover the circuit of a class."
        )
    masker = Masker(model, change.layer)
    means = circuit.layer(change.layer).means
    mask = mask_of(masker.layer, change.neurons, change.by, keep=change.keep, means=means)
    progress.start("masking", len(images))
    pixels = list(readable(images, progress))
    phi = _mean_phi(masker, [each for _, each in pixels])
    sets = matched_neurons(phi, change.neurons, draws, seed)
    masks = [
        mask,
        *(mask_of(masker.layer, s, change.by, keep=change.keep, means=means) for s in sets),
    ]
    effects: list[Effect] = []
    random_hits: list[np.ndarray] = []
    for index, each in pixels:
        before, after, _ = masker.run(each[None], masks)
        ref = images.refs[index]
        effects.append(
            _effect(model, target, ref.name, ref.label, before[0], [a[0] for a in after])
        )
        random_hits.append(np.array([a[0].argmax() for a in after[1:]]))
    group_phi = phi[list(change.neurons)].mean()
    return WhatIf(
        change=change,
        effects=tuple(effects),
        crops=_crops(model, circuit, images, pixels[:CROPPED], masker, mask) if crops else (),
        overall=_overall(model, effects, random_hits) if len(effects) > 1 else None,
        draws=len(sets),
        matched=float(np.mean([phi[s].mean() for s in sets]) / group_phi)
        if sets and group_phi
        else None,
        seed=seed,
    )


def readable(images: Images, progress: Progress) -> Iterator[tuple[int, torch.Tensor]]:
    """(position, pixels) of the pictures that can be read."""
    for index in range(len(images)):
        progress.advance()
        try:
            yield index, images.read(index)
        except UnreadableImage:
            continue


def _mean_phi(masker: Masker, pixels: Sequence[torch.Tensor]) -> np.ndarray:
    """``[neuron]`` mean activation of a layer over pictures: what random neurons are matched by."""
    total = np.zeros(masker.layer.neurons)
    for start in range(0, len(pixels), BATCH):
        total += masker.run(torch.stack(list(pixels[start : start + BATCH])), [])[2].sum(axis=0)
    return total / len(pixels)


def _effect(
    model: Model,
    target: Target,
    name: str,
    label: str | None,
    before: np.ndarray,
    after: Sequence[np.ndarray],
) -> Effect:
    values = target_values(np.stack([before, *after]), target)
    differences = values[1:] - values[0]
    return Effect(
        name=name,
        label=label,
        before=predictions(model, before),
        after=predictions(model, after[0]),
        target_before=float(values[0]),
        target_after=float(values[1]),
        random=spread(differences[1:]),
    )


def spread(values: np.ndarray | Sequence[float]) -> Interval | None:
    """Mean and 5th to 95th percentile; None of nothing."""
    if len(values) == 0:
        return None
    low, high = np.quantile(values, [0.05, 0.95])
    return Interval(value=float(np.mean(values)), low=float(low), high=float(high))


def _overall(model: Model, effects: Sequence[Effect], random_hits: Sequence[np.ndarray]) -> Overall:
    truth = [true_class(effect.label, model) for effect in effects]
    known = [i for i, label in enumerate(truth) if label is not None]

    def accuracy(said: Sequence[int]) -> float | None:
        return float(np.mean([said[i] == truth[i] for i in known])) if known else None

    hits = np.array(random_hits)
    by_draw = [accuracy(column) for column in hits.T.tolist()] if known and hits.size else []
    return Overall(
        pictures=len(effects),
        labelled=len(known),
        accuracy_before=accuracy([effect.before[0].index for effect in effects]),
        accuracy_after=accuracy([effect.after[0].index for effect in effects]),
        accuracy_random=spread([value for value in by_draw if value is not None]),
        change=float(np.mean([effect.change for effect in effects])),
        change_random=_mean_interval([effect.random for effect in effects]),
        flips=tuple(e.name for e in effects if e.before[0].index != e.after[0].index),
    )


def _mean_interval(intervals: Sequence[Interval | None]) -> Interval | None:
    """Means of values and ends over pictures."""
    found = [i for i in intervals if i is not None]
    if not found:
        return None
    value, low, high = np.mean([(i.value, i.low, i.high) for i in found], axis=0).tolist()
    return Interval(value=value, low=low, high=high)


def _crops(
    model: Model,
    circuit: Circuit,
    images: Images,
    pixels: Sequence[tuple[int, torch.Tensor]],
    masker: Masker,
    mask: Mask,
) -> tuple[CropEffect, ...]:
    """The published check: the crops whose target falls most under the mask."""
    size = model.input_size[1:]
    boxes = crop_boxes(*size, circuit.config.granularities)
    found = []
    for index, each in pixels:
        name = images.refs[index].name
        parts = torch.split(crop_pixels(each, boxes, size), BATCH)
        runs = [masker.run(part, [mask]) for part in parts]
        before = target_values(np.concatenate([run[0] for run in runs]), circuit.target)
        after = target_values(np.concatenate([run[1][0] for run in runs]), circuit.target)
        found += [
            CropEffect(name=name, box=box, before=float(b), after=float(a))
            for box, b, a in zip(boxes, before, after, strict=True)
        ]
    return tuple(sorted(found, key=lambda crop: crop.after - crop.before)[:CROPS_SHOWN])
