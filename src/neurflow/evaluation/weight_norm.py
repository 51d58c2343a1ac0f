"""Integrated gradients against weight norm: which puts the neurons that matter first?

1. Order the lower neurons by integrated gradients with the circuit's rule (published: by mean
   ``|IG|``), and by the L2 norm of the next convolution's filters.
2. Zero the first 1, 2, …, 16 neurons of each order, and measure how much of V_a remains.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from neurflow.errors import RequestError
from neurflow.evaluation.ablation import overlaps
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.statistics import mean_interval
from neurflow.method.core_neurons import core_neurons
from neurflow.stats import Interval

RULED = "integrated_gradients"
"""the method on which the circuit's own rule is based"""
METHODS = (RULED, "weight_norm")


class NormRow(Row):
    """One layer, order and size."""

    layer: str = Field(description="layer of the target neurons")
    method: str = Field(description="order of the lower neurons")
    top: int = Field(description="number of first neurons of the order that are zeroed")
    neurons: int = Field(description="target neurons sampled")
    overlap: Interval = Field(description="overlap of top-k that remains")


def ig_against_weight_norm(lab: Laboratory) -> Table[NormRow]:
    """Return the overlap of top-k after zeroing the first neurons by IG, and by weight norm."""
    rows, notes = [], []
    for upper in lab.uppers:
        for method in METHODS:
            try:
                remaining = in_order(lab, upper, method)
            except RequestError as error:
                notes.append(f"{upper}: {error}")
                continue
            rows += [
                NormRow(
                    layer=upper,
                    method=method,
                    top=size + 1,
                    neurons=remaining.shape[1],
                    overlap=mean_interval(values, lab.settings),
                )
                for size, values in enumerate(remaining)
            ]
    return Table(
        protocol="norm",
        title="Integrated gradients against weight norm",
        question="Overlap of top-k after zeroing the first neurons below, ordered by integrated "
        "gradients or by the norm of the weights applied to them. Lower is better.",
        chart=Chart(
            x="top", y=("overlap",), series=("method",), panel=("layer",), y_label="overlap of top-k",
            line=True,
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )  # fmt: skip


def in_order(lab: Laboratory, upper: str, method: str) -> np.ndarray:
    """Return ``[size, target neuron]``: the overlap after zeroing the first 1, 2, … neurons."""
    neurons, width = lab.sampled(upper), lab.trial.segment(upper).lower.neurons
    sizes = range(1, min(lab.settings.norm_top, width) + 1)
    if method == RULED:
        cores = lab.core_sets(upper, neurons, sizes)
        sets = {size: list(cores[size].values()) for size in sizes}
    else:
        orders = [core_neurons(scores, width).tolist() for scores in lab.importance(upper, method)]
        sets = {size: [order[:size] for order in orders] for size in sizes}
    return np.array(
        [
            np.diag(overlaps(lab, upper, sets[size], "zero", f"first {size} by {method}"))
            for size in sizes
        ]
    )
