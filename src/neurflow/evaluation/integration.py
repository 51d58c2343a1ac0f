"""Completeness error of integrated gradients: do the parts add up to the whole?

``|Σ_s T_s − (φ_a(x) − φ_a(0))|`` summed over ``V_a``, relative to the summed change: as the circuit
keeps it for every neuron, and for sampled neurons with other numbers of points ``N``.
"""

from __future__ import annotations

from pydantic import Field

from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.statistics import mean_interval
from neurflow.evidence import Interval

USED = "as used"


class IntegrationRow(Row):
    """One layer and number of points."""

    layer: str = Field(description="layer of the target neurons")
    steps: str = Field(description="N; 'as used' is what the circuit rests on")
    neurons: int = Field(description="target neurons")
    error: Interval = Field(description="completeness error, relative")
    worst: float = Field(description="largest error of a neuron")


def integration(lab: Laboratory) -> Table[IntegrationRow]:
    """Completeness error of each layer's attributions, by number of points."""
    rows = []
    for upper in lab.uppers:
        used = [n.completeness_error or 0.0 for n in lab.circuit.layer(upper).neurons.values()]
        rows.append(_row(lab, upper, USED, used))
        for steps in lab.settings.steps:
            rows.append(_row(lab, upper, str(steps), errors(lab, upper, steps)))
    return Table(
        protocol="integration",
        title="Completeness error of integrated gradients",
        question="How far attributions are from adding up to the change that they explain, relative "
        "to it, with N Gauss-Legendre points and as the circuit used them. 0 is exact.",
        chart=Chart(x="layer", y=("error",), series=("steps",), y_label="completeness error"),
        rows=tuple(rows),
    )


def errors(lab: Laboratory, upper: str, steps: int) -> list[float]:
    """Completeness error of each sampled target with ``steps`` points."""
    config = lab.circuit.config.model_copy(update={"steps": steps})

    def compute() -> list[float]:
        concepts = lab.scoring.concepts(upper, lab.sampled(upper), config.k)
        scores = lab.scoring.scores("integrated_gradients", upper, concepts, config)
        return [found.completeness_error for found in scores.values()]

    found: list[float] = lab.kept(f"integration {upper} {steps}", compute)
    return found


def _row(lab: Laboratory, upper: str, steps: str, found: list[float]) -> IntegrationRow:
    error = mean_interval(found, lab.settings)
    return IntegrationRow(
        layer=upper, steps=steps, neurons=len(found), error=error, worst=max(found)
    )
