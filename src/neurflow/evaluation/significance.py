"""Significance of group edges: could ``W(G, H)`` arise from random groups of the lower layer?

1. Compute the contribution of each (neuron, semantic group) pair of the lower layer to each group of
   the upper layer.
2. Assign these pairs at random to groups of the same sizes, many times.
3. The p-value of an edge is the share of assignments, the observed one included, whose ``|W|`` is at
   least as large.
4. Among many edges, some are significant by chance. The share of edges that pass at a false-discovery
   rate of 5 % (Benjamini & Hochberg 1995) is therefore reported too.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from pydantic import Field
from scipy.stats import false_discovery_control

from neurflow.circuit import Circuit, CircuitLayer, SemanticGroup
from neurflow.circuit.interactions import group_interactions, refuse_without_shares
from neurflow.circuit.robustness_file import EdgeRobustness, RobustnessFile
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.refs import Member

LEVEL = 0.05


class SignificanceRow(Row):
    """The edges between two layers."""

    layer: str = Field(description="upper layer")
    lower: str = Field(description="lower layer")
    edges: int = Field(description="edges between their groups")
    significant: float = Field(description="share of edges with p < 0.05")
    discovered: float = Field(description="share at a false-discovery rate of 5 %")
    weight: float = Field(description="their share of the absolute weight")


def significance(lab: Laboratory) -> Table[SignificanceRow]:
    """Return the share of significant edges, with p-values from random groups of the lower layer."""
    rows, edges = [], []
    circuit = lab.circuit
    lab.progress.start("permutations", len(circuit.layers) - 1)
    for lower, upper in pairwise(circuit.layers):
        contribution = contributions(circuit, upper, lower)
        p = p_values(
            contribution, memberships(circuit, lower), lab.settings.permutations, lab.settings.seed
        )
        above, below = (
            {group.id: index for index, group in enumerate(layer.groups)}
            for layer in (upper, lower)
        )
        own = [edge for edge in circuit.edges if edge.upper in above]
        values = np.array([p[above[e.upper], below[e.lower]] for e in own])
        edges += [
            EdgeRobustness(upper=e.upper, lower=e.lower, significance=float(v))
            for e, v in zip(own, values, strict=True)
        ]
        lab.progress.advance()
        if own:
            discovered = false_discovery_control(values) < LEVEL
            weight = np.abs([e.weight for e in own])
            rows.append(
                SignificanceRow(
                    layer=upper.name,
                    lower=lower.name,
                    edges=len(own),
                    significant=float((values < LEVEL).mean()),
                    discovered=float(discovered.mean()),
                    weight=float(weight[discovered].sum() / weight.sum()),
                )
            )
    return Table(
        protocol="significance",
        title="Significance of group edges",
        question="Share of edges whose weight is larger than with random groups of the lower layer's "
        "(neuron, meaning) pairs. An edge is significant if the members of its lower group act "
        "together; otherwise its weight reflects only the size of the group.",
        chart=Chart(x="layer", y=("significant", "discovered", "weight"), y_label="share"),
        rows=tuple(reversed(rows)),
        robustness=RobustnessFile(edges=tuple(edges)),
    )


def contributions(circuit: Circuit, upper: CircuitLayer, lower: CircuitLayer) -> np.ndarray:
    """Return what each column contributes to each upper group: its weight if it were a group itself.

    Returns:
        ``[upper group, column]``, with the columns of :func:`columns`.
    """
    single_columns = columns(circuit, lower)
    pairs: dict[Member, SemanticGroup] = {
        Member(a, i): part
        for a, neuron in upper.neurons.items()
        for i, part in enumerate(neuron.semantic_groups)
    }
    refuse_without_shares(upper, lower.neurons)
    weights = group_interactions(
        [g.members for g in upper.groups], single_columns, pairs, circuit.config
    )
    contribution = np.zeros((len(upper.groups), len(single_columns)))
    for index, weight in weights.items():
        contribution[index] = weight
    return contribution


def columns(circuit: Circuit, layer: CircuitLayer) -> list[list[Member]]:
    """Return the units that contribute separately.

    These are single members or, with published sharing, all members of a neuron together.
    """
    members = [member for group in layer.groups for member in group.members]
    if circuit.config.sharing != "published":
        return [[member] for member in members]
    of_neuron: dict[int, list[Member]] = {}
    for member in members:
        of_neuron.setdefault(member.neuron, []).append(member)
    return list(of_neuron.values())


class Memberships:
    """Membership of columns in groups, as observed or with the members reassigned.

    Args:
        groups: ``[member]`` index of its group.
        columns: ``[member]`` index of its column.
        width: number of columns.
    """

    def __init__(self, groups: np.ndarray, columns: np.ndarray, width: int) -> None:
        self.groups, self.columns, self.width = groups, columns, width

    def matrix(self, groups: np.ndarray | None = None) -> np.ndarray:
        """Return ``[column, group]``: 1 if the column has a member in the group."""
        groups = self.groups if groups is None else groups
        found = np.zeros((self.width, int(self.groups.max()) + 1))
        found[self.columns, groups] = 1
        return found


def memberships(circuit: Circuit, layer: CircuitLayer) -> Memberships:
    """Return the memberships of a layer; groups are numbered by their position."""
    found = columns(circuit, layer)
    column = {member: i for i, members in enumerate(found) for member in members}
    pairs = [(g, m) for g, group in enumerate(layer.groups) for m in group.members]
    return Memberships(
        np.array([g for g, _ in pairs]), np.array([column[m] for _, m in pairs]), len(found)
    )


def p_values(
    contribution: np.ndarray, members: Memberships, permutations: int, seed: int
) -> np.ndarray:
    """Return ``[upper group, lower group]``: the two-sided p-value of each weight."""
    rng = np.random.default_rng(seed)
    observed = np.abs(contribution @ members.matrix())
    as_large = np.ones_like(observed)
    for _ in range(permutations):
        shuffled = np.abs(contribution @ members.matrix(rng.permutation(members.groups)))
        as_large += shuffled >= observed - 1e-12
    return np.asarray(as_large / (permutations + 1))
