"""IG against weight norm: which of two orders finds the neurons that matter sooner?

1. Order the lower neurons by mean ``|IG|``, and by the L2 norm of the next convolution's filters.
2. Zero the first 1, 2, …, 16 of each order, and see how much of ``V_a`` is left.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from neurflow.core_neurons import core_neurons
from neurflow.errors import RequestError
from neurflow.evaluation.ablation import overlaps
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.statistics import mean_interval
from neurflow.evidence import Interval

METHODS = ("integrated_gradients", "weight_norm")


class NormRow(Row):
    """One layer, order and size."""

    layer: str = Field(description="layer of the target neurons")
    method: str = Field(description="what orders the lower neurons")
    top: int = Field(description="first neurons of the order, zeroed")
    neurons: int = Field(description="target neurons sampled")
    overlap: Interval = Field(description="overlap of top-k that is left")


def ig_against_weight_norm(lab: Laboratory) -> Table[NormRow]:
    """Overlap of top-k after zeroing the first neurons by IG, and by weight norm."""
    rows, notes = [], []
    for upper in lab.uppers:
        for method in METHODS:
            try:
                left = in_order(lab, upper, method)
            except RequestError as error:
                notes.append(f"{upper}: {error}")
                continue
            rows += [
                NormRow(
                    layer=upper,
                    method=method,
                    top=size + 1,
                    neurons=left.shape[1],
                    overlap=mean_interval(values, lab.settings),
                )
                for size, values in enumerate(left)
            ]
    return Table(
        protocol="norm",
        title="Integrated gradients against weight norm",
        question="Overlap of top-k after zeroing the first neurons below, ordered by integrated "
        "gradients or by the norm of the weights that read them. Lower is better.",
        chart=Chart(
            x="top", y=("overlap",), series=("method",), panel=("layer",), y_label="overlap of top-k",
            line=True,
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )  # fmt: skip


def in_order(lab: Laboratory, upper: str, method: str) -> np.ndarray:
    """``[size, target neuron]`` overlap left by the first 1, 2, … neurons of each target's order."""
    importance = lab.importance(upper, method)
    largest = min(lab.settings.norm_top, importance.shape[1])
    orders = [core_neurons(scores, largest).tolist() for scores in importance]
    left = np.empty((largest, len(orders)))
    for size in range(largest):
        sets = [order[: size + 1] for order in orders]
        left[size] = np.diag(overlaps(lab, upper, sets, "zero", f"first {size + 1} by {method}"))
    return left
