"""Score error of integrated gradients: how far are the scores from their limit?

The error is ``Σ_s |T_N − T| / Σ_s |T|``, where each T is the mean |T| over some crops of V_a, and the
limit T is computed with :data:`LIMIT` Gauss-Legendre points. It is measured for several N, and for the
rule and N with which the circuit was made, beside the error that the circuit states.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from pydantic import AliasChoices, Field

from neurflow.attribution.streaming import RULES, attribute, integrate
from neurflow.circuit import RuleName
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.statistics import mean_interval
from neurflow.method.concepts import Concept
from neurflow.runtime.renaming import FormerName
from neurflow.stats import Interval

USED = "as used"
LIMIT = 400
"""number of Gauss-Legendre points that is taken as the limit"""
CROPS = 5
"""number of crops of each neuron on which the error is measured"""


class IntegrationRow(Row):
    """One layer and number of points."""

    layer: str = Field(description="layer of the target neurons")
    steps: str = Field(description="N; 'as used' is the rule and N of the circuit")
    neurons: int = Field(description="target neurons")
    error: Interval = Field(description="score error, relative")
    worst: float = Field(description="largest error of a neuron")
    stated: float | None = Field(
        description="largest error that the circuit states for these neurons",
        validation_alias=AliasChoices("stated", "told"),
    )

    told = FormerName("stated")


def integration(lab: Laboratory) -> Table[IntegrationRow]:
    """Measure the score error of each layer's attributions, by number of points."""
    rows = []
    for upper in lab.uppers:
        neurons = lab.circuit.layer(upper).neurons
        chosen = [neurons[a] for a in lab.sampled(upper)]
        plans: dict[str, dict[int, tuple[RuleName, int]]] = {
            str(n): {a.index: ("gauss", n) for a in chosen} for n in lab.settings.steps
        }
        if all(a.rule and a.steps for a in chosen):
            plans = {
                USED: {a.index: (a.rule, a.steps) for a in chosen if a.rule and a.steps}
            } | plans
        stated = [a.score_error for a in chosen if a.score_error is not None]
        for steps, plan in plans.items():
            found = errors(lab, upper, plan)
            rows.append(
                IntegrationRow(
                    layer=upper,
                    steps=steps,
                    neurons=len(found),
                    error=mean_interval(found, lab.settings),
                    worst=max(found),
                    stated=max(stated) if steps == USED and stated else None,
                )
            )
    return Table(
        protocol="integration",
        title="Score error of integrated gradients",
        question=f"Distance of the scores from those with {LIMIT} Gauss-Legendre points, relative to "
        "their sum, for other numbers N of points and for the rule and N of the circuit. 0 is exact.",
        chart=Chart(x="layer", y=("error",), series=("steps",), y_label="score error"),
        rows=tuple(rows),
    )


def errors(lab: Laboratory, upper: str, plan: Mapping[int, tuple[RuleName, int]]) -> list[float]:
    """Return the score error of each target of ``plan`` (target → rule and N), in the same order."""
    limit = _importance(lab, upper, dict.fromkeys(plan, ("gauss", LIMIT)))
    found = _importance(lab, upper, plan)
    return [
        float(np.abs(found[a] - exact).sum() / (exact.sum() or 1.0)) for a, exact in limit.items()
    ]


def _importance(
    lab: Laboratory, upper: str, plan: Mapping[int, tuple[RuleName, int]]
) -> dict[int, np.ndarray]:
    """Return target → ``[lower neuron]`` mean |T| over some crops."""
    bench = lab.scoring
    found: dict[int, np.ndarray] = {}
    for rule, steps in dict.fromkeys(plan.values()):

        def compute(rule: RuleName = rule, steps: int = steps) -> dict[str, list[float]]:
            targets = [a for a, used in plan.items() if used == (rule, steps)]
            task = bench.task(
                upper,
                _some(bench.concepts(upper, targets, lab.circuit.config.k)),
                lab.circuit.config,
            )
            scores = attribute(task, steps=steps, measure=partial(integrate, rule=RULES[rule]))
            return {str(a): each.importance.tolist() for a, each in scores.items()}

        stored = lab.cached(f"integration {upper} {rule} {steps} {sorted(plan)}", compute)
        found |= {int(a): np.array(values) for a, values in stored.items()}
    return {a: found[a] for a in plan}


def _some(concepts: Mapping[int, Concept]) -> dict[int, Concept]:
    """Reduce each concept to at most :data:`CROPS` crops, evenly spread over its ranks."""
    found = {}
    for a, concept in concepts.items():
        part = np.arange(len(concept.crops))[:: -(-len(concept.crops) // CROPS)]
        found[a] = Concept(
            concept.crops[part], concept.phi[part], concept.meaning[part], concept.vectors
        )
    return found
