"""A circuit in the formats of other tools: a networkx graph, GraphML, and pandas tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx
import pandas as pd

from neurflow.circuit.evidence import Evidence
from neurflow.circuit.group_columns import GROUP_COLUMNS, figures
from neurflow.circuit.robustness_file import FIELDS
from neurflow.circuit.types import CircuitData, CircuitLayer, NeuronGroup, SemanticGroup
from neurflow.refs import Member
from neurflow.runtime.files import subfolder, write_atomically

EDGE_COLUMNS = ("positive", "negative", "low", "high", *FIELDS)
"""columns of edges besides their weight"""
LABEL_COLUMNS = (
    "label_source",
    "label_author",
    "label_time",
    "label_pinned",
    "label_confidence",
    "label_auprc",
    "label_chance",
    "label_beats_chance",
    "label_beats_others",
    "label_concept_auprc",
)
"""columns on the evidence of a label; ``label_chance`` is the AUPRC at chance level"""


def write_records(records: Iterable[Mapping[str, Any]], path: Path) -> Path:
    """Write flat records as CSV, creating folders as needed.

    Raises:
        WorkError: the file cannot be written.
    """
    subfolder(path.parent)
    write_atomically(path, pd.DataFrame(list(records)).to_csv(index=False).encode())
    return path


def to_networkx(circuit: CircuitData) -> nx.DiGraph:
    """Return the concept circuit as a directed graph, with edges from lower to upper groups.

    Nodes are group ids with ``layer``, ``size`` (members), ``label``, ``caption``, and the known values
    of ``LABEL_COLUMNS`` and ``GROUP_COLUMNS``. Edges carry the signed ``weight`` W(G, H), its
    ``positive`` and ``negative`` part, and the ends ``low`` and ``high`` of its 95 % interval. Where
    ``evaluate`` has measured them, nodes have ``stability``, and edges ``significance`` and
    ``stability``.
    """
    graph = nx.DiGraph(target=circuit.target.name)
    for layer in circuit.layers:
        for group in layer.groups:
            graph.add_node(
                group.id,
                layer=layer.name,
                size=len(group.members),
                label=group.label,
                caption=group.caption,
                **{name: value for name, value in _evidence(group).items() if value is not None},
                **figures(layer, group),
            )
    for edge in circuit.edges:
        known = {name: getattr(edge, name) for name in EDGE_COLUMNS}
        measured = {name: value for name, value in known.items() if value is not None}
        graph.add_edge(edge.lower, edge.upper, weight=edge.weight, **measured)
    return graph


def to_graphml(circuit: CircuitData, path: str | Path) -> Path:
    """Write the concept circuit as GraphML, which Gephi, yEd and Cytoscape read.

    Attributes as in ``to_networkx``. GraphML has no null, so missing values are left out.

    Raises:
        WorkError: the file cannot be written.
    """
    graph, path = to_networkx(circuit), Path(path)
    for attributes in graph.nodes.values():
        for name in [name for name, value in attributes.items() if value is None]:
            del attributes[name]
        for name, value in attributes.items():
            attributes[name] = _xml(value) if isinstance(value, str) else value
    graph.graph["target"] = _xml(circuit.target.name)
    lines = "\n".join(nx.generate_graphml(graph))
    write_atomically(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{lines}\n'.encode())
    return path


def _xml(text: str) -> str:
    """Return text in which characters that XML forbids are replaced."""
    return "".join(
        letter if letter.isprintable() or letter in "\t\n" else "\ufffd" for letter in text
    )


def _evidence(group: NeuronGroup) -> dict[str, Any]:
    """Return the values of ``LABEL_COLUMNS``; None for unknown values."""
    evidence: Evidence | None = group.evidence
    found = evidence.validation if evidence else None
    values = (
        evidence.source if evidence else None,
        evidence.author if evidence else None,
        evidence.time.isoformat() if evidence else None,
        evidence.pinned if evidence else None,
        evidence.confidence if evidence else None,
        found.auprc.value if found else None,
        found.chance.value if found else None,
        found.beats_chance if found else None,
        found.beats_others if found else None,
        evidence.concept.auprc.value if evidence and evidence.concept else None,
    )
    return dict(zip(LABEL_COLUMNS, values, strict=True))


def to_frames(circuit: CircuitData) -> dict[str, pd.DataFrame]:
    """Return the tables ``neurons, semantic_groups, groups, neuron_edges, group_edges``.

    ``neuron_edges`` has a row for each (neuron, semantic group, core neuron) with the signed
    weight w(a, s, V_a^i); rows follow the circuit's order.
    """
    rows = {
        "neurons": _neurons,
        "semantic_groups": _semantic_groups,
        "groups": _groups,
        "neuron_edges": _neuron_edges,
        "group_edges": _group_edges,
    }
    return {
        name: pd.DataFrame(list(of(circuit)), columns=list(COLUMNS[name]))
        for name, of in rows.items()
    }


_MEANING = ("layer", "neuron", "semantic_group")
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "neurons": (
        "layer",
        "neuron",
        "largest_activation",
        "smallest_activation",
        "semantic_groups",
        "steps",
        "rule",
        "score_error",
        "cancellation",
        "completeness_error",
    ),
    "semantic_groups": (*_MEANING, "crops", "group"),
    "groups": (
        "group",
        "layer",
        "members",
        "crops",
        "label",
        "caption",
        *LABEL_COLUMNS,
        *(column.name for column in GROUP_COLUMNS),
    ),
    "neuron_edges": (*_MEANING, "lower_layer", "lower_neuron", "weight"),
    "group_edges": ("upper", "lower", "weight", *EDGE_COLUMNS),
}
"""table of ``to_frames`` → its columns"""

Record = tuple[Any, ...]


def _neurons(circuit: CircuitData) -> Iterator[Record]:
    for layer in circuit.layers:
        for neuron in layer.neurons.values():
            yield (
                layer.name,
                neuron.index,
                neuron.activations[0],
                neuron.activations[-1],
                len(neuron.semantic_groups),
                neuron.steps,
                neuron.rule,
                neuron.score_error,
                neuron.cancellation,
                neuron.completeness_error,
            )


def _meanings(layer: CircuitLayer) -> Iterator[tuple[Member, SemanticGroup]]:
    """Yield the members (neuron, semantic group) of a layer with their semantic groups."""
    for neuron in layer.neurons.values():
        for number, part in enumerate(neuron.semantic_groups):
            yield Member(neuron.index, number), part


def _semantic_groups(circuit: CircuitData) -> Iterator[Record]:
    for layer in circuit.layers:
        group_of = {member: group.id for group in layer.groups for member in group.members}
        for member, part in _meanings(layer):
            yield (layer.name, *member, len(part.crops), group_of[member])


def _groups(circuit: CircuitData) -> Iterator[Record]:
    for layer in circuit.layers:
        for group in layer.groups:
            yield (
                group.id,
                layer.name,
                len(group.members),
                len(group.crops),
                group.label,
                group.caption,
                *_evidence(group).values(),
                *(column.value(layer, group) for column in GROUP_COLUMNS),
            )


def _neuron_edges(circuit: CircuitData) -> Iterator[Record]:
    for lower, upper in pairwise(circuit.layers):
        for member, part in _meanings(upper):
            for neuron, weight in part.weights.items():
                yield (upper.name, *member, lower.name, neuron, weight)


def _group_edges(circuit: CircuitData) -> Iterator[Record]:
    for edge in circuit.edges:
        yield (edge.upper, edge.lower, edge.weight, *(getattr(edge, name) for name in EDGE_COLUMNS))
