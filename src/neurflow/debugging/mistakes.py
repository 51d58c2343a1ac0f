"""Mistakes of a class, and the groups that fire differently from its usual pattern.

1. *Missed* pictures are false negatives: pictures of the class that are predicted as another class.
   *Taken* pictures are false positives: pictures of other classes that are predicted as the class. A
   multi-label network predicts all labels above 0.5. For a difference ``A-B``, they are the pictures of
   A predicted as B, and those of B predicted as A.
2. A single mistake is explained by its most unusual groups: those with the largest product of
   ``unlike``, the distance from the target's images, and ``path_weight``, the weight to the target.
3. For all mistakes of one kind, the share of pictures on which each group fires is compared with the
   share on correctly classified pictures. Shares have Wilson intervals, and groups are ranked by the
   difference in standard errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from math import sqrt

from neurflow.circuit import Circuit
from neurflow.debugging.picture_explainer import predicted_classes
from neurflow.debugging.pictures import true_class
from neurflow.debugging.result import GroupContrast, Mistake, Mistakes, PictureReport
from neurflow.errors import ImagesError, RequestError
from neurflow.model import Model
from neurflow.stats import Interval, wilson

MAX_LISTED = 8
"""number of groups listed for a mistake"""


def find_mistakes(model: Model, circuit: Circuit, pictures: Sequence[PictureReport]) -> Mistakes:
    """Explain the mistakes of a class among labelled pictures.

    Raises:
        RequestError: the target is not a class.
        ImagesError: no picture is labelled with a class of the model.
    """
    target = circuit.target
    if target.layer != model.network.output_name or model.output_spec.kind == "values":
        raise RequestError(
            f"Mistakes need the circuit of a class, but the target {target.name!r} is not one."
        )
    truth = {picture.name: true_class(picture.label, model) for picture in pictures}
    known = [picture for picture in pictures if truth[picture.name] is not None]
    if not known:
        raise ImagesError(
            "None of the pictures is labelled with a class of the model, so mistakes are not known. "
            "Give a folder of class folders, or a label for all pictures: --label CLASS"
        )
    own, rival = target.neuron, target.minus
    below = {group.id for layer in circuit.layers[:-1] for group in layer.groups}
    of_class = [p for p in known if truth[p.name] == own]
    others = [p for p in known if truth[p.name] != own and rival in (None, truth[p.name])]
    called = {id(p): predicted_classes(model, p.top) for p in known}
    right = [p for p in of_class if own in called[id(p)]]
    missed = [
        p
        for p in of_class
        if own not in called[id(p)] and (rival is None or rival in called[id(p)])
    ]
    taken = [p for p in others if own in called[id(p)]]
    rejected = [p for p in others if own not in called[id(p)]]
    return Mistakes(
        right=len(right),
        missed=tuple(_mistake(picture, below) for picture in missed),
        taken=tuple(_mistake(picture, below) for picture in taken),
        missed_for=dict(Counter(picture.top[0].name for picture in missed).most_common()),
        why_missed=_contrasts(missed, right, below),
        why_taken=_contrasts(taken, rejected, below),
    )


def _mistake(picture: PictureReport, below: Collection[str]) -> Mistake:
    """Return a mistake with its most unusual groups among those ``below`` the target's layer."""
    ranked = sorted(
        (g for g in picture.groups if g.id in below), key=lambda g: -abs(g.unlike * g.path_weight)
    )
    return Mistake(
        name=picture.name,
        label=picture.label or "",
        predicted=picture.top[0].name,
        groups=tuple(ranked[:MAX_LISTED]),
    )


def _contrasts(
    mistakes: Sequence[PictureReport], others: Sequence[PictureReport], below: Collection[str]
) -> tuple[GroupContrast, ...]:
    """Return groups ranked by the difference in how often they fire on mistakes and on ``others``."""
    if not mistakes or not others:
        return ()
    found = []
    for position, reading in enumerate(mistakes[0].groups):
        if reading.id not in below:
            continue
        here, there = (
            wilson(sum(p.groups[position].fires for p in kind) / len(kind), len(kind))
            for kind in (mistakes, others)
        )
        found.append(
            GroupContrast(
                id=reading.id,
                path_weight=reading.path_weight,
                on_mistakes=here,
                on_others=there,
                evidence=standardised_difference(here, len(mistakes), there, len(others)),
            )
        )
    return tuple(sorted(found, key=lambda contrast: -abs(contrast.evidence)))


def standardised_difference(a: Interval, of_a: int, b: Interval, of_b: int) -> float:
    """Return the difference of two shares in standard errors, pooled; 0 if that error is 0.

    Args:
        a: first share.
        of_a: number of pictures that it is a share of.
        b: second share.
        of_b: number of pictures that it is a share of.
    """
    pooled = (a.value * of_a + b.value * of_b) / (of_a + of_b)
    error = sqrt(pooled * (1 - pooled) * (1 / of_a + 1 / of_b))
    return (a.value - b.value) / error if error > 0 else 0.0
