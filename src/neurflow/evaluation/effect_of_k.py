"""Effect of ``k``: how many of the ``τ`` core neurons are also found at the reference ``k``, 50?"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from neurflow.errors import RequestError
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.statistics import mean_interval
from neurflow.stats import Interval


class KRow(Row):
    """One layer and k."""

    layer: str = Field(description="layer of the target neurons")
    k: int = Field(description="crops in V_a")
    neurons: int = Field(description="target neurons sampled")
    same: Interval = Field(
        description="number of core neurons that are also found at the reference k"
    )
    tau: int = Field(description="τ, core neurons of each target")


def effect_of_k(lab: Laboratory) -> Table[KRow]:
    """Count the core neurons at each ``k`` that are also found at the reference ``k``.

    Raises:
        RequestError: there are too few crops for the reference ``k``, or for every other ``k``.
    """
    settings, tau = lab.settings, lab.circuit.config.tau
    crops = lab.scoring.capacity
    fitting = [k for k in settings.ks if k <= crops]
    if settings.k_reference > crops or not fitting:
        raise RequestError(
            f"The effect of k is measured relative to k={settings.k_reference}, but a V_a of "
            f"{len(lab.scoring.crops.chosen)} images has at most {crops} crops. "
            "Give more images, or a smaller k_reference."
        )
    notes = []
    if len(fitting) < len(settings.ks):
        left_out = ", ".join(str(k) for k in settings.ks if k > crops)
        notes.append(f"k = {left_out} omitted, because a V_a has at most {crops} crops.")
    rows = []
    for upper in lab.uppers:
        reference = core_sets(lab, upper, settings.k_reference)
        for k in fitting:
            shared = [
                len(np.intersect1d(one, other))
                for one, other in zip(core_sets(lab, upper, k), reference, strict=True)
            ]
            rows.append(
                KRow(
                    layer=upper,
                    k=k,
                    neurons=len(shared),
                    same=mean_interval(shared, settings),
                    tau=min(tau, lab.scoring.segment(upper).lower.neurons),
                )
            )
    return Table(
        protocol="k",
        title="Effect of k",
        question=f"Number of the τ={tau} core neurons that are also found at k = "
        f"{settings.k_reference}. A number close to τ means that k hardly matters.",
        chart=Chart(x="k", y=("same",), series=("layer",), y_label="same core neurons", line=True),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def core_sets(lab: Laboratory, upper: str, k: int) -> list[list[int]]:
    """Return S_a of each sampled target, computed from ``k`` crops."""
    tau = lab.circuit.config.tau
    return list(lab.core_sets(upper, lab.sampled(upper), [tau], k)[tau].values())
