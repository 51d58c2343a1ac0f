"""Faithfulness by circuit size: how much of the class's logit remains if only a circuit is kept?

1. Order the neurons of each layer in several ways: by their contribution through the circuit
   (``contribution_order``); by NeuronMCT, which is integrated gradients from the layer directly to the
   target; by mean activation; and at random. The first two exist with signed and absolute values.
2. Keep the first share ``p`` of the order in all layers at once, and ablate the rest.
3. Faithfulness is ``f(p) = (logit(p) − logit(0)) / (logit(1) − logit(0))``. Two areas over ``p``
   summarise it, as in MIB (Mueller et al. 2025). CPR, the area under the curve, is large if the logit
   is kept or raised, which is the aim of signed orders. CMD, the area between the curve and 1, is small
   if the logit does not change, which is the aim of absolute orders. Their intervals, and those of the
   differences between the circuit and NeuronMCT, come from resamples of the pictures, which are the
   same for all orders.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from pydantic import BeforeValidator, Field

from neurflow.evaluation.class_pictures import ClassPictures
from neurflow.evaluation.contribution_order import Order, first_share, orders_of_circuit, scores
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.settings import Ablation
from neurflow.evaluation.statistics import mean_interval
from neurflow.stats import Interval

COMPARED = (
    ("CPR", "NeurFlow", "NeuronMCT, signed"),
    ("CMD", "NeurFlow, absolute", "NeuronMCT"),
)
"""area, and the two orders whose difference is reported"""


def _interval(value: Any) -> Any:
    """Return an area with its interval; results of earlier versions have only the value."""
    return (value, value, value) if isinstance(value, float) else value


Area = Annotated[Interval, BeforeValidator(_interval)]


class Areas(NamedTuple):
    """The areas of one order: first for all pictures, then for resamples of them."""

    cpr: Float[np.ndarray, " draw"]
    cmd: Float[np.ndarray, " draw"]


class FaithfulnessRow(Row):
    """One order of neurons, ablation and size."""

    order: str = Field(description="order in which neurons are kept")
    ablation: Ablation = Field(description="replacement of the other neurons")
    share: float = Field(description="share of each layer's neurons that is kept")
    faithfulness: Interval = Field(description="part of the class's logit that remains; 1 is all")
    accuracy: Interval = Field(description="accuracy on the class")
    area: Area = Field(description="CPR, area under this order's curve; larger is better")
    distance: Area = Field(
        description="CMD, area between this order's curve and 1; smaller is better"
    )


def faithfulness(lab: Laboratory) -> Table[FaithfulnessRow]:
    """Measure how much of the class's logit remains if only the first neurons of an order are kept."""
    pictures = ClassPictures(lab)
    rows, notes = [], list(pictures.notes)
    for ablation in lab.settings.ablations:
        areas = {}
        for order, ranking in rankings(lab).items():
            found = _curve(pictures, order, ranking, ablation)
            if found is None:
                notes.append(f"{order}, {ablation}: ablating everything changes nothing.")
                continue
            rows += found[0]
            areas[order] = found[1]
        notes += _compared(areas, ablation)
    return Table(
        protocol="faithfulness",
        title="Faithfulness against circuit size",
        question="Part of the class's logit that remains when only the first neurons of each layer "
        "are kept, in the circuit's order and in others. Signed orders should have a large area "
        "(CPR), absolute orders a small distance (CMD).",
        chart=Chart(
            x="share",
            y=("faithfulness",),
            series=("order",),
            panel=("ablation",),
            y_label="faithfulness",
            line=True,
            log=True,
            reference=1.0,
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _curve(
    pictures: ClassPictures, order: str, ranking: Order, ablation: Ablation
) -> tuple[list[FaithfulnessRow], Areas] | None:
    """Return the rows of one order, and its areas; None if ablating everything changes nothing."""
    lab = pictures.lab
    shares = sorted(set(lab.settings.sizes) | {1.0})
    sets = [first_share(ranking, share) for share in (0.0, *shares)]
    lab.progress.start(f"keeping by {order}, {ablation}", len(sets) * len(pictures))

    def compute() -> list[object]:
        right, logit = pictures.predictions(sets, ablation, keep=True)
        return [right.astype(int).tolist(), logit.tolist()]

    right, logit = map(np.array, lab.cached(f"faithfulness {order} {ablation}", compute))
    nothing, everything = logit[1], logit[0]
    change = float((everything - nothing).mean())
    if change == 0:
        return None
    remaining = (logit[2:] - nothing) / change
    areas = _areas(logit, shares, lab.settings.bootstrap, lab.settings.seed)
    cpr, cmd = map(_percentiles, areas)
    rows = [
        FaithfulnessRow(
            order=order,
            ablation=ablation,
            share=share,
            faithfulness=mean_interval(part, lab.settings),
            accuracy=mean_interval(predicted, lab.settings),
            area=cpr,
            distance=cmd,
        )
        for share, part, predicted in zip(shares, remaining, right[2:], strict=True)
    ]
    return rows, areas


def _areas(
    logit: Float[np.ndarray, "set picture"], shares: list[float], draws: int, seed: int
) -> Areas:
    """Return the areas of the curve of mean faithfulness, for all pictures and for resamples.

    Args:
        logit: logit of the whole network, with all neurons ablated, and with each share kept.
        shares: shares that are kept, in ascending order; the last one is 1.
        draws: number of resamples.
        seed: seed of the resamples.
    """
    count = logit.shape[1]
    chosen = np.random.default_rng(seed).integers(count, size=(draws, count))
    means = logit[:, np.concatenate([np.arange(count)[None], chosen])].mean(2)
    everything, nothing, *kept = means
    change = everything - nothing
    change[change == 0] = np.nan  # a resample on which ablation changes nothing has no curve
    curve = np.array([0 * change, *(np.array(kept) - nothing) / change])
    points = [0.0, *shares]
    return Areas(
        np.trapezoid(curve, points, axis=0), np.trapezoid(np.abs(1 - curve), points, axis=0)
    )


def _percentiles(values: Float[np.ndarray, " draw"]) -> Interval:
    """Return the first value with the 2.5th and 97.5th percentile of the others."""
    low, high = np.nanpercentile(values[1:] if len(values) > 1 else values, [2.5, 97.5])
    return Interval(float(values[0]), float(low), float(high))


def _compared(areas: Mapping[str, Areas], ablation: Ablation) -> list[str]:
    """Return notes on the differences between the areas of the circuit and of NeuronMCT."""
    notes = []
    for area, own, other in COMPARED:
        if own in areas and other in areas:
            at = ("CPR", "CMD").index(area)
            found = _percentiles(areas[own][at] - areas[other][at])
            notes.append(
                f"{area} of {own} minus that of {other}, {ablation}: {found.value:.3f} "
                f"({found.low:.3f} to {found.high:.3f})."
            )
    return notes


def rankings(lab: Laboratory) -> dict[str, dict[str, list[int]]]:
    """Return name of the order → layer below the target → its neurons in that order."""
    rng = np.random.default_rng(lab.settings.seed)
    found: dict[str, dict[str, list[int]]] = defaultdict(dict)
    found["NeurFlow"] = orders_of_circuit(lab, signed=True)
    found["NeurFlow, absolute"] = orders_of_circuit(lab, signed=False)
    for name in lab.names[:-1]:
        found["NeuronMCT"][name] = _descending(lab.target_scores(name, "neuron_mct"))
        found["NeuronMCT, signed"][name] = _descending(scores(lab, name, {}, signed=True))
        means = lab.scoring.means(name)
        found["activation"][name] = _descending(means)
        found["random"][name] = rng.permutation(len(means)).tolist()
    return dict(found)


def _descending(values: np.ndarray) -> list[int]:
    found: list[int] = np.argsort(-values, kind="stable").tolist()
    return found
