"""``neurflow.audit``: which groups look like shortcuts, by five signals on labelled pictures.

A group that sees what the class *is* fires on pictures of the class alone, moves with the object,
and is missed when it is masked. A shortcut is the opposite. For each group below the target's layer:

1. *raises*: how much probability of the class it adds on pictures of other classes (that without
   minus that with its neurons masked);
2. *fixes*: the share of false positives that are no longer called the class once it is masked;
3. *cost*: the share of pictures answered rightly that are answered wrongly once it is masked;
4. *fixed*: how alike its heat maps are from picture to picture: mean correlation over all pairs of
   pictures that the model calls the class;
5. *apart*: how far its heat lies from that of the layer's other groups that speak for the class:
   ``(1 − correlation) / 2`` with their mean, weighted by what each carries to the target.

Groups are ranked by ``raises + fixes − 4 cost + (fixed + apart) / 4``. Spoiling a quarter of the right
answers outweighs turning all false positives: what breaks the class mends them too. Place alone is
weaker evidence than effect. What cannot be measured (no false positives, no space) counts as nothing.
A ranking, not a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurflow.circuit import Circuit, CircuitLayer, SkippedImage
from neurflow.debugging.chain import reach
from neurflow.debugging.explain import as_source, same_model
from neurflow.debugging.masking import Masker, mask_of
from neurflow.debugging.mistakes import wilson
from neurflow.debugging.reading import spatial_map, true_class, usual_of
from neurflow.debugging.result import AuditReport, GroupAudit, Interval, Signals
from neurflow.errors import ImagesError, RequestError
from neurflow.images import Images, UnreadableImage, load_images
from neurflow.model import Model
from neurflow.progress import Progress, Silent
from neurflow.scores import EPSILON

BATCH = 32
"""pictures run through the network at once"""
WEIGHTS = {"raises": 1.0, "fixes": 1.0, "cost": -4.0, "fixed": 0.25, "apart": 0.25}
"""how signals count in the ranking"""


def audit(
    circuit: Circuit,
    model: Model,
    images: Any,
    *,
    progress: Progress | None = None,
) -> AuditReport:
    """Rank groups by the evidence that they are a shortcut for the class.

    Args:
        circuit: of the class.
        model: the one that the circuit was found in.
        images: labelled pictures that the model was not trained on, of the class and of others: a
            folder of class folders, or any labelled source that ``load_images`` takes.
        progress: told what is being done.

    Raises:
        RequestError: another model, or a target that is no class.
        ImagesError: no labelled pictures of the class, or none of other classes.
    """
    same_model(circuit, model)
    target = circuit.target
    if target.layer != model.network.output_name:
        raise RequestError(f"An audit is of a class, and the target is {target.name!r}.")
    progress = progress or Silent()
    pictures = _pictures(model, load_images(as_source(images), model), progress)
    own = pictures.labels == target.neuron
    if not own.any() or own.all():
        kind = "of other classes" if own.any() else f"labelled {target.name!r}"
        raise ImagesError(
            f"An audit needs pictures of the class and of others; there are none {kind}. "
            "Name class folders after the classes."
        )
    carried = reach(circuit)
    found: dict[str, Signals] = {}
    said = np.array([], dtype=int)
    progress.start("masking every group", len(circuit.layers) - 1)
    for layer in circuit.layers[:-1]:
        effects = _effects(model, layer, pictures.pixels)
        said = effects.before.argmax(1)
        for group, after, maps in zip(layer.groups, effects.after, effects.heats, strict=True):
            found[group.id] = Signals(
                raises=_mean(_gain(effects.before, after, target.neuron)[~own]),
                fixes=_share(after.argmax(1) != target.neuron, ~own & (said == target.neuron)),
                cost=_share(after.argmax(1) != pictures.labels, said == pictures.labels),
                fixed=likeness(maps[said == target.neuron]),
                apart=_apart(layer, group.id, effects.heats, carried, said == target.neuron),
            )
        progress.advance()
    evidence = {id: weigh(signals) for id, signals in found.items()}
    ordered = sorted(found, key=lambda id: -evidence[id])
    false = int((~own & (said == target.neuron)).sum())
    return AuditReport(
        model=circuit.model,
        target=target,
        pictures=len(own),
        of_class=int(own.sum()),
        false_positives=false,
        groups=tuple(
            GroupAudit(id=id, rank=place, evidence=evidence[id], signals=found[id])
            for place, id in enumerate(ordered, start=1)
        ),
        skipped=pictures.skipped,
        notes=()
        if false
        else (
            f"None of these pictures is taken for {target.name!r} by mistake: what masking fixes "
            "cannot be measured. Pictures as they come in use make the audit sharper.",
        ),
    )


@dataclass(frozen=True)
class _Pictures:
    """Labelled pictures that can be read: ``[picture, channel, height, width]``, ``[picture]``."""

    pixels: torch.Tensor
    labels: np.ndarray
    skipped: tuple[SkippedImage, ...]


def _pictures(model: Model, images: Images, progress: Progress) -> _Pictures:
    pixels, labels, skipped = [], [], []
    progress.start("reading pictures", len(images))
    for index, ref in enumerate(images.refs):
        progress.advance()
        label = true_class(ref.label, model)
        if label is None:
            what = f"its label {ref.label!r} names no class" if ref.label else "it has no label"
            skipped.append(SkippedImage(name=ref.name, reason=what))
            continue
        try:
            pixels.append(images.read(index))
            labels.append(label)
        except UnreadableImage as error:
            skipped.append(SkippedImage(name=ref.name, reason=str(error)))
    if not pixels:
        first = skipped[0]
        raise ImagesError(f"No picture can be used. The first, {first.name}: {first.reason}.")
    return _Pictures(torch.stack(pixels), np.array(labels), tuple(skipped))


@dataclass(frozen=True)
class _Effects:
    """One layer's groups on all pictures: logits ``[picture, class]``, heat ``[picture, cell]``."""

    before: np.ndarray
    after: list[np.ndarray]
    heats: list[np.ndarray]


def _effects(model: Model, layer: CircuitLayer, pixels: torch.Tensor) -> _Effects:
    masker = Masker(model, [layer.name])
    masks = [mask_of(masker.layers, {layer.name: group.neurons}) for group in layer.groups]
    observe = model.outputs([model.node(layer.name)])
    before, after, heats = [], [[] for _ in masks], [[] for _ in masks]  # type: ignore[var-annotated]
    for part in torch.split(pixels, BATCH):
        logits, masked, _ = masker.run(part, masks)
        before.append(logits)
        with torch.inference_mode():
            outputs = observe(model.feed(part))[0].float().cpu().numpy()
        maps = [spatial_map(output, masker.layers[0]) for output in outputs]
        for number, group in enumerate(layer.groups):
            after[number].append(masked[number])
            means = np.abs(np.array(usual_of(group).means)) + EPSILON
            for each in maps:
                values = np.zeros((1, 1, masker.layers[0].neurons)) if each is None else each
                excited = np.maximum(values[..., list(group.neurons)], 0) / means
                heats[number].append(excited.mean(axis=-1).ravel())
    return _Effects(
        np.concatenate(before), [np.concatenate(each) for each in after], list(map(np.array, heats))
    )


def _gain(before: np.ndarray, after: np.ndarray, target: int) -> np.ndarray:
    """``[picture]`` probability of the class that a group adds."""
    return np.asarray(_probability(before, target) - _probability(after, target))


def _probability(logits: np.ndarray, target: int) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted[:, target] / shifted.sum(axis=1))


def _mean(values: np.ndarray) -> Interval:
    """A mean with the 95 % interval of its standard error."""
    mean = float(values.mean())
    half = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return Interval(value=mean, low=mean - half, high=mean + half)


def _share(hits: np.ndarray, among: np.ndarray) -> Interval | None:
    """A share of pictures with Wilson's interval; None of none."""
    return wilson(int(hits[among].sum()), int(among.sum())) if among.any() else None


def _unit(maps: np.ndarray) -> np.ndarray:
    """``[picture, cell]`` maps without their mean, of length 1; flat maps are left out."""
    centred = maps - maps.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    return np.asarray(centred[length > EPSILON] / length[length > EPSILON, None])


def likeness(maps: np.ndarray) -> Interval | None:
    """Mean correlation of ``[picture, cell]`` maps over all pairs, with a jackknife interval.

    None for fewer than three pictures with a map that is not flat.
    """
    unit = _unit(maps)
    count = len(unit)
    if count < 3:
        return None
    total = unit.sum(axis=0)
    pairs = total @ total - count
    mean = float(pairs / (count * (count - 1)))
    # leaving picture i out takes away its pairs with all others, each counted twice
    left_out = (pairs - 2 * (unit @ total - 1)) / ((count - 1) * (count - 2))
    error = np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum())
    return Interval(value=mean, low=mean - 1.96 * float(error), high=mean + 1.96 * float(error))


def _apart(
    layer: CircuitLayer,
    id: str,
    heats: Sequence[np.ndarray],
    carried: dict[str, float],
    among: np.ndarray,
) -> Interval | None:
    """How far a group's heat lies from that of the layer's other groups that speak for the class."""
    own = next(h for group, h in zip(layer.groups, heats, strict=True) if group.id == id)[among]
    rest = np.zeros_like(own)
    for group, each in zip(layer.groups, heats, strict=True):
        if group.id != id and carried[group.id] > 0:
            rest += carried[group.id] * each[among]
    centred = [maps - maps.mean(axis=1, keepdims=True) for maps in (own, rest)]
    lengths = np.linalg.norm(centred[0], axis=1) * np.linalg.norm(centred[1], axis=1)
    some = lengths > EPSILON**2
    if not some.any():
        return None
    correlation = (centred[0] * centred[1]).sum(axis=1)[some] / lengths[some]
    return _mean((1 - correlation) / 2)


def weigh(signals: Signals) -> float:
    """Evidence that a group is a shortcut: its signals weighted and added."""
    return sum(
        weight * value.value
        for name, weight in WEIGHTS.items()
        if (value := getattr(signals, name))
    )
