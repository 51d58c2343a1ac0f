"""The effect of masking groups: the network's outputs with and without the mask.

1. Mask the groups' neurons at their layer (``masking``), on one picture or many.
2. For comparison, mask the same number of random neurons of similar activation, ``draws`` times.
3. The published check: mask the groups on all crops, and list those on which the target falls most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch

from neurflow.circuit import Circuit
from neurflow.debugging.masking import Ablation, Mask, Masker, Neurons, mask_of, matched_sets
from neurflow.debugging.picture_explainer import (
    best_classes,
    predicted_classes,
    predictions,
    target_values,
)
from neurflow.debugging.pictures import BATCH, batches, readable, true_class
from neurflow.debugging.result import (
    Change,
    CropEffect,
    Effect,
    Overall,
    WhatIf,
)
from neurflow.errors import RequestError
from neurflow.model import Model
from neurflow.pictures.crops import crop_boxes, crop_pixels
from neurflow.pictures.images import Images
from neurflow.refs import Target
from neurflow.runtime.progress import Progress
from neurflow.stats import Interval, spread

CROPS_SHOWN = 12
"""largest number of crops in the list"""
MAX_CROPPED = 8
"""largest number of pictures whose crops are checked"""


@dataclass(frozen=True)
class Controls:
    """Settings for measuring a change.

    Attributes:
        draws: number of sets of random neurons to compare with.
        seed: seed of these sets.
        crops: whether the published check on all crops is done, which takes longer than the rest.
    """

    draws: int = 20
    seed: int = 0
    crops: bool = True


def change_of(
    circuit: Circuit, groups: Sequence[str], *, keep: bool = False, ablation: Ablation = "zero"
) -> Change:
    """Return the neurons that change when groups, or with ``keep`` all other neurons, are masked.

    Raises:
        RequestError: there is no such group or ablation, or a group is the target's own.
    """
    if isinstance(ablation, str) and ablation not in ("zero", "mean"):
        raise RequestError(f"There is no ablation {ablation!r}. Give zero, mean or a factor.")
    wanted = {circuit.group(id).id for id in groups}
    neurons: dict[str, tuple[int, ...]] = {}
    for layer in circuit.layers:
        found = [group for group in layer.groups if group.id in wanted]
        if found and layer is circuit.layers[-1]:
            raise RequestError(
                f"{found[0].id} is the target itself. Mask a group of a layer below: "
                f"{', '.join(each.name for each in circuit.layers[:-1])}."
            )
        if found:
            neurons[layer.name] = tuple(sorted({s for group in found for s in group.neurons}))
    return Change(
        groups=tuple(dict.fromkeys(groups)),
        neurons=neurons,
        keep=keep,
        ablation=ablation,
    )


def what_if(
    model: Model,
    circuit: Circuit,
    images: Images,
    change: Change,
    controls: Controls,
    progress: Progress,
) -> WhatIf:
    """Compare the outputs for pictures before and after a change; unreadable pictures are left out.

    Raises:
        RequestError: the target is not a class.
    """
    target = circuit.target
    require_class_target(model, circuit)
    masker = Masker(model, list(change.neurons))
    means = {name: circuit.layer(name).means for name in change.neurons}
    build = partial(mask_of, masker.layers, ablation=change.ablation, keep=change.keep, means=means)
    mask = build(change.neurons)
    progress.start("masking", 2 * len(images))
    phi = _mean_phi(masker, images, progress)
    sets = matched_sets(phi, change.neurons, controls.draws, controls.seed)
    masks = [mask, *map(build, sets)]
    effects: list[Effect] = []
    random_right: list[np.ndarray] = []
    for positions, pixels in batches(images, range(len(images))):
        before, after, _ = masker.run(pixels, masks)
        for place, index in enumerate(positions):
            ref, masked = images.refs[index], [logits[place] for logits in after]
            effects.append(_effect(model, target, ref.name, ref.label, before[place], masked))
            truth = true_class(ref.label, model)
            if truth is not None:
                random_right.append(model.output_spec.classes(np.array(masked))[1:, truth])
        progress.advance(len(positions))
    return WhatIf(
        change=change,
        effects=tuple(effects),
        crops=_crops(model, circuit, images, masker, mask) if controls.crops else (),
        overall=_overall(model, effects, random_right) if len(effects) > 1 else None,
        draws=len(sets),
        matched=_matched(phi, change.neurons, sets),
        seed=controls.seed,
    )


def require_class_target(model: Model, circuit: Circuit) -> None:
    """Raise ``RequestError`` unless the target is an output, because effects are those on outputs."""
    target = circuit.target
    if target.layer != model.network.output_name:
        raise RequestError(
            f"The target {target.name!r} is inside the network, but effects of masking are measured on "
            "classes. Discover the circuit of a class."
        )


def _mean_phi(masker: Masker, images: Images, progress: Progress) -> dict[str, np.ndarray]:
    """Return layer → ``[neuron]``: mean activation over the pictures, to match random neurons."""
    total = {layer.name: np.zeros(layer.neurons) for layer in masker.layers}
    count = 0
    for positions, pixels in batches(images, range(len(images))):
        observed = masker.observe(pixels).outputs
        for layer in masker.layers:
            total[layer.name] += layer.pool(observed[layer.name]).sum(dim=0).double().cpu().numpy()
        count += len(positions)
        progress.advance(len(positions))
    return {name: values / count for name, values in total.items()}


def _matched(
    phi: Mapping[str, np.ndarray], neurons: Neurons, sets: Sequence[Neurons]
) -> float | None:
    """Return the mean activation of random neurons relative to the groups', averaged over layers."""
    own = {name: float(phi[name][list(chosen)].mean()) for name, chosen in neurons.items()}
    if not sets or not all(own.values()):
        return None
    drawn = {name: np.mean([phi[name][list(s[name])].mean() for s in sets]) for name in own}
    return float(np.mean([drawn[name] / own[name] for name in own]))


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
    own = {c for c in (target.neuron, target.minus) if c is not None}
    shown = own.union(best_classes(before), best_classes(after[0]))
    if label is not None and (truth := true_class(label, model)) is not None:
        shown |= {truth} if model.output_spec.multilabel else set()  # it need not be among the best
    return Effect(
        name=name,
        label=label,
        before=predictions(model, before, shown),
        after=predictions(model, after[0], shown),
        target_before=float(values[0]),
        target_after=float(values[1]),
        random=spread(differences[1:]),
    )


def _overall(
    model: Model, effects: Sequence[Effect], random_right: Sequence[np.ndarray]
) -> Overall:
    truth = [true_class(effect.label, model) for effect in effects]
    known = [i for i, label in enumerate(truth) if label is not None]

    def accuracy(answers: Sequence[frozenset[int]]) -> float | None:
        return float(np.mean([truth[i] in answers[i] for i in known])) if known else None

    before, after = (
        [predicted_classes(model, top) for top in tops]
        for tops in ([e.before for e in effects], [e.after for e in effects])
    )
    by_draw = np.array(random_right, dtype=float).mean(axis=0).tolist() if random_right else []
    return Overall(
        pictures=len(effects),
        labelled=len(known),
        accuracy_before=accuracy(before),
        accuracy_after=accuracy(after),
        accuracy_random=spread(by_draw),
        change=float(np.mean([effect.change for effect in effects])),
        change_random=mean_spread([effect.random for effect in effects]),
        flips=tuple(
            e.name for e, was, now in zip(effects, before, after, strict=True) if was != now
        ),
    )


def mean_spread(spreads: Sequence[Interval | None]) -> Interval | None:
    """Return the means of the values and of the ends of several spreads; None if there are none."""
    known = [each for each in spreads if each is not None]
    return Interval(*np.mean(known, axis=0).tolist()) if known else None


def _crops(
    model: Model, circuit: Circuit, images: Images, masker: Masker, mask: Mask
) -> tuple[CropEffect, ...]:
    """Return the published check: the crops on which the target falls most under the mask."""
    size = model.input_size[1:]
    boxes = crop_boxes(*size, circuit.config.granularities)
    found = []
    for index, pixels in islice(readable(images, range(len(images))), MAX_CROPPED):
        parts = torch.split(crop_pixels(pixels, boxes, size), BATCH)
        runs = [masker.run(part, [mask]) for part in parts]
        before = target_values(np.concatenate([run[0] for run in runs]), circuit.target)
        after = target_values(np.concatenate([run[1][0] for run in runs]), circuit.target)
        found += [
            CropEffect(name=images.refs[index].name, box=box, before=float(b), after=float(a))
            for box, b, a in zip(boxes, before, after, strict=True)
        ]
    return tuple(sorted(found, key=lambda crop: crop.after - crop.before)[:CROPS_SHOWN])
