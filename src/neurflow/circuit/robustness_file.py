"""Stability and significance of a stored circuit's groups and edges, in a file beside it.

::

    runs/bee/
    ├── circuit.json
    ├── …
    └── robustness-DIGEST.json      DIGEST of the circuit.json that the figures belong to

``neurflow evaluate`` measures them after discovery, without changing ``circuit.json``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from neurflow.circuit.beside import FileBeside
from neurflow.circuit.types import C, CircuitData, CircuitLayer, GroupEdge
from neurflow.refs import Frozen, GroupId
from neurflow.stats import Interval, Share

SCHEMA_VERSION = 1
FIELDS = ("significance", "stability")
"""figures of an edge"""


class EdgeRobustness(Frozen):
    """Significance and stability of one edge."""

    upper: GroupId
    lower: GroupId
    significance: Annotated[float, Field(gt=0, le=1)] | None = None
    stability: Share | None = None


class RobustnessFile(FileBeside):
    """The contents of ``robustness-DIGEST.json``."""

    stem: ClassVar[str] = "robustness"

    format: Literal["neurflow robustness"] = "neurflow robustness"
    schema_version: int = SCHEMA_VERSION
    groups: dict[GroupId, Interval] = Field(default_factory=dict)
    edges: tuple[EdgeRobustness, ...] = ()


def robustness_of(circuit: CircuitData) -> RobustnessFile:
    """Return the figures of a circuit's groups and edges; empty if nothing was measured."""
    return RobustnessFile(
        groups={
            group.id: group.stability
            for layer in circuit.layers
            for group in layer.groups
            if group.stability is not None
        },
        edges=tuple(
            EdgeRobustness(
                upper=edge.upper,
                lower=edge.lower,
                **{name: getattr(edge, name) for name in FIELDS},
            )
            for edge in circuit.edges
            if any(getattr(edge, name) is not None for name in FIELDS)
        ),
    )


def with_robustness(circuit: C, found: RobustnessFile) -> C:
    """Return the circuit with new figures; figures that were not measured again stay."""
    edges = {(edge.upper, edge.lower): edge for edge in found.edges}

    def with_stability(layer: CircuitLayer) -> CircuitLayer:
        groups = tuple(
            group.model_copy(update={"stability": found.groups[group.id]})
            if group.id in found.groups
            else group
            for group in layer.groups
        )
        return layer.model_copy(update={"groups": groups})

    def measured(edge: GroupEdge) -> dict[str, float]:
        known = edges.get((edge.upper, edge.lower))
        values = {name: getattr(known, name, None) for name in FIELDS}
        return {name: value for name, value in values.items() if value is not None}

    return circuit.model_copy(
        update={
            "layers": tuple(map(with_stability, circuit.layers)),
            "edges": tuple(edge.model_copy(update=measured(edge)) for edge in circuit.edges),
        }
    )
