"""Faithfulness against circuit size: how much of the class is left when only the circuit is kept?

1. Order the neurons of each layer: by what reaches the target through the circuit (the product of
   absolute weights along the way, summed over ways), the others after them; by NeuronMCT; by mean
   activation; at random.
2. Keep the first share ``p`` of each order at all layers at once, ablate the rest.
3. Faithfulness ``(logit(p) − logit(0)) / (logit(1) − logit(0))``, and the area under its curve over
   ``p``: the circuit performance ratio (CPR) of MIB (Mueller et al. 2025).
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
from pydantic import Field

from neurflow.circuit import Circuit
from neurflow.evaluation.fidelity import _target_scores
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.settings import Ablation
from neurflow.evaluation.statistics import mean_interval
from neurflow.evaluation.subjects import Subjects
from neurflow.evidence import Interval


class FaithfulnessRow(Row):
    """One order, ablation and size."""

    order: str = Field(description="what orders the neurons")
    ablation: Ablation = Field(description="what takes the place of the others")
    share: float = Field(description="share of each layer's neurons that is kept")
    faithfulness: Interval = Field(description="part of the class's logit that is left, 1 is all")
    accuracy: Interval = Field(description="accuracy on the class")
    area: float = Field(description="area under the faithfulness curve of this order (CPR)")


def faithfulness(lab: Laboratory) -> Table[FaithfulnessRow]:
    """Part of the class that is left when only the first neurons of an order are kept."""
    subjects = Subjects(lab)
    rows = []
    shares = sorted(set(lab.settings.sizes) | {1.0})
    for by in lab.settings.ablations:
        for order, ranking in rankings(lab).items():
            sets = [kept_at(ranking, share) for share in (0.0, *shares)]
            lab.progress.start(f"keeping by {order}, {by}", len(sets) * len(subjects))

            def compute(sets: list[dict[str, list[int]]] = sets, by: Ablation = by) -> list[object]:
                right, logit = subjects.answers(sets, by, keep=True)
                return [right.astype(int).tolist(), logit.tolist()]

            right, logit = map(np.array, lab.kept(f"faithfulness {order} {by}", compute))
            nothing, everything = logit[1], logit[0]
            change = float((everything - nothing).mean())
            if change == 0:
                continue
            left = (logit[2:] - nothing) / change
            area = float(np.trapezoid([0.0, *left.mean(1)], [0.0, *shares]))
            for share, part, answers in zip(shares, left, right[2:], strict=True):
                rows.append(
                    FaithfulnessRow(
                        order=order,
                        ablation=by,
                        share=share,
                        faithfulness=mean_interval(part, lab.settings),
                        accuracy=mean_interval(answers, lab.settings),
                        area=area,
                    )
                )
    return Table(
        protocol="faithfulness",
        title="Faithfulness against circuit size",
        question="Part of the class's logit that is left when only the first neurons of each layer "
        "are kept, by the circuit's order and by others. Higher and sooner is better.",
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
        notes=tuple(subjects.notes),
    )


def rankings(lab: Laboratory) -> dict[str, dict[str, list[int]]]:
    """Order → layer below the target → its neurons, first the ones kept first."""
    reach = neuron_reach(lab.circuit)
    rng = np.random.default_rng(lab.settings.seed)
    found: dict[str, dict[str, list[int]]] = defaultdict(dict)
    for name in lab.names[:-1]:
        means = lab.scoring.means(name)
        by_activation = np.argsort(-means, kind="stable").tolist()
        ours = np.array([reach[name].get(s, -1.0) for s in by_activation])
        found["NeurFlow"][name] = [by_activation[i] for i in np.argsort(-ours, kind="stable")]
        scores = _target_scores(lab, name, "neuron_mct")
        found["NeuronMCT"][name] = np.argsort(-scores, kind="stable").tolist()
        found["activation"][name] = by_activation
        found["random"][name] = rng.permutation(len(means)).tolist()
    return dict(found)


def neuron_reach(circuit: Circuit) -> dict[str, dict[int, float]]:
    """Layer → neuron → what reaches the target through it.

    The product of absolute weights along each way up to the target, summed over ways; a neuron's
    weights are averaged over its meanings by their number of crops.
    """
    top = circuit.layers[-1]
    found: dict[str, dict[int, float]] = {top.name: {circuit.target.neuron: 1.0}}
    for lower, upper in reversed(list(pairwise(circuit.layers))):
        below: dict[int, float] = defaultdict(float)
        for a, carried in found[upper.name].items():
            neuron = upper.neurons[a]
            for part in neuron.semantic_groups:
                share = len(part.crops) / len(neuron.crops)
                for s, weight in part.weights.items():
                    below[s] += carried * share * abs(weight)
        found[lower.name] = dict(below)
    return found


def kept_at(ranking: dict[str, list[int]], share: float) -> dict[str, list[int]]:
    """The first ``share`` of each layer's neurons, rounded up."""
    return {name: order[: int(np.ceil(share * len(order)))] for name, order in ranking.items()}
