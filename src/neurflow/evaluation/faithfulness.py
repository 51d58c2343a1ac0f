"""Faithfulness by circuit size: how much of the class's logit remains if only a circuit is kept?

1. Order the neurons of each layer in several ways: by their contribution through the circuit
   (``contribution_order``); by NeuronMCT, which is integrated gradients from the layer directly to the
   target; by mean activation; and at random. The first two exist with signed and absolute values.
2. Keep the first share ``p`` of the order in all layers at once, and ablate the rest.
3. Faithfulness is ``f(p) = (logit(p) − logit(0)) / (logit(1) − logit(0))``. Two areas over ``p``
   summarise it, as in MIB (Mueller et al. 2025). CPR, the area under the curve, is large if the logit
   is kept or raised, which is the aim of signed orders. CMD, the area between the curve and 1, is small
   if the logit does not change, which is the aim of absolute orders.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from pydantic import Field

from neurflow.evaluation.class_pictures import ClassPictures
from neurflow.evaluation.contribution_order import Order, first_share, orders_of_circuit, scores
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.settings import Ablation
from neurflow.evaluation.statistics import mean_interval
from neurflow.stats import Interval


class FaithfulnessRow(Row):
    """One order of neurons, ablation and size."""

    order: str = Field(description="order in which neurons are kept")
    ablation: Ablation = Field(description="replacement of the other neurons")
    share: float = Field(description="share of each layer's neurons that is kept")
    faithfulness: Interval = Field(description="part of the class's logit that remains; 1 is all")
    accuracy: Interval = Field(description="accuracy on the class")
    area: float = Field(description="CPR, area under this order's curve; large is good")
    distance: float = Field(description="CMD, area between this order's curve and 1; small is good")


def faithfulness(lab: Laboratory) -> Table[FaithfulnessRow]:
    """Measure how much of the class's logit remains if only the first neurons of an order are kept."""
    pictures = ClassPictures(lab)
    rows, notes = [], list(pictures.notes)
    for ablation in lab.settings.ablations:
        for order, ranking in rankings(lab).items():
            found = _curve(pictures, order, ranking, ablation)
            rows += found
            if not found:
                notes.append(f"{order}, {ablation}: ablating everything changes nothing.")
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
) -> list[FaithfulnessRow]:
    """Return the rows of one order, by size; none if ablating all neurons does not change the logit."""
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
        return []
    remaining = (logit[2:] - nothing) / change
    curve = np.array([0.0, *remaining.mean(1)])
    return [
        FaithfulnessRow(
            order=order,
            ablation=ablation,
            share=share,
            faithfulness=mean_interval(part, lab.settings),
            accuracy=mean_interval(predicted, lab.settings),
            area=float(np.trapezoid(curve, [0.0, *shares])),
            distance=float(np.trapezoid(np.abs(1 - curve), [0.0, *shares])),
        )
        for share, part, predicted in zip(shares, remaining, right[2:], strict=True)
    ]


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
