"""The mistakes of a class, and the groups that fire unlike its usual pattern.

1. *Missed* are pictures of the class that the model calls something else, *taken* those of other
   classes that it calls the class. Against a difference ``A-B``: pictures of A called B, and of B
   called A.
2. A mistake is explained by the groups that are unlike the target's images there, ranked by how far
   (``unlike``) times how much they carry to the target (``path_weight``).
3. All mistakes of a kind together: how often each group fires on them, next to pictures on which the
   model is right. Shares come with Wilson's interval, and groups are ranked by the difference over its
   standard error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from math import sqrt

from neurflow.circuit import Circuit
from neurflow.debugging.pictures import true_class
from neurflow.debugging.result import GroupContrast, Mistake, Mistakes, PictureReport
from neurflow.errors import ImagesError, RequestError
from neurflow.model import Model
from neurflow.stats import Interval, wilson

LISTED = 8
"""groups told of a mistake"""


def find_mistakes(model: Model, circuit: Circuit, pictures: Sequence[PictureReport]) -> Mistakes:
    """Compare the class's mistakes among labelled pictures with what is usual for it.

    Raises:
        RequestError: the target is no class.
        ImagesError: no picture is labelled with a class of the model.
    """
    target = circuit.target
    if target.layer != model.network.output_name:
        raise RequestError(f"Mistakes are of a class, and the target is {target.name!r}.")
    truth = {picture.name: true_class(picture.label, model) for picture in pictures}
    known = [picture for picture in pictures if truth[picture.name] is not None]
    if not known:
        raise ImagesError(
            "None of the pictures is labelled with a class of the model: errors cannot be told. "
            "Give a folder of class folders, or the label of all: --label CLASS."
        )
    own, rival = target.neuron, target.minus
    below = {group.id for layer in circuit.layers[:-1] for group in layer.groups}
    of_class = [p for p in known if truth[p.name] == own]
    others = [p for p in known if truth[p.name] != own and rival in (None, truth[p.name])]
    right = [p for p in of_class if p.top[0].index == own]
    missed = [p for p in of_class if p.top[0].index != own and rival in (None, p.top[0].index)]
    taken = [p for p in others if p.top[0].index == own]
    rejected = [p for p in others if p.top[0].index != own]
    return Mistakes(
        right=len(right),
        missed=tuple(_mistake(picture, below) for picture in missed),
        taken=tuple(_mistake(picture, below) for picture in taken),
        missed_for=dict(Counter(picture.top[0].name for picture in missed).most_common()),
        why_missed=_contrasts(missed, right, below),
        why_taken=_contrasts(taken, rejected, below),
    )


def _mistake(picture: PictureReport, below: Collection[str]) -> Mistake:
    """A mistake with its most telling groups ``below`` the target's own layer."""
    ranked = sorted(
        (g for g in picture.groups if g.id in below), key=lambda g: -abs(g.unlike * g.path_weight)
    )
    return Mistake(
        name=picture.name,
        label=picture.label or "",
        predicted=picture.top[0].name,
        groups=tuple(ranked[:LISTED]),
    )


def _contrasts(
    mistakes: Sequence[PictureReport], others: Sequence[PictureReport], below: Collection[str]
) -> tuple[GroupContrast, ...]:
    """Groups by how much more or less often they fire on mistakes; () without both kinds."""
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
    """Difference of two shares in standard errors under one common share; 0 if there is no error.

    Args:
        a: share of ``of_a`` pictures.
        of_a: their number.
        b: share of ``of_b`` others.
        of_b: their number.
    """
    pooled = (a.value * of_a + b.value * of_b) / (of_a + of_b)
    error = sqrt(pooled * (1 - pooled) * (1 / of_a + 1 / of_b))
    return (a.value - b.value) / error if error > 0 else 0.0
