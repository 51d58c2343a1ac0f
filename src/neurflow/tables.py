"""A circuit for other tools: a networkx graph, and pandas tables."""

from __future__ import annotations

import networkx as nx
import pandas as pd

from neurflow.circuit import Circuit, Member


def to_networkx(circuit: Circuit) -> nx.DiGraph:
    """Concept circuit as a directed graph, edges from lower group to upper group.

    Nodes are group ids with ``layer``, ``size`` (members), ``label``, ``caption``; edges carry the
    signed ``weight`` W(G, H).
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
            )
    graph.add_weighted_edges_from((edge.lower, edge.upper, edge.weight) for edge in circuit.edges)
    return graph


def to_frames(circuit: Circuit) -> dict[str, pd.DataFrame]:
    """Tables ``neurons, semantic_groups, groups, neuron_edges, group_edges``.

    ``neuron_edges`` has a row for each (neuron, semantic group, core neuron) with the signed
    weight w(a, s, V_a^i); rows follow the circuit's order.
    """
    neurons, semantic_groups, groups, neuron_edges = [], [], [], []
    below = {
        upper.name: lower.name
        for lower, upper in zip(circuit.layers, circuit.layers[1:], strict=False)
    }
    for layer in circuit.layers:
        group_of = {member: group.id for group in layer.groups for member in group.members}
        groups += [
            (group.id, layer.name, len(group.members), len(group.crops), group.label, group.caption)
            for group in layer.groups
        ]
        for neuron in layer.neurons.values():
            neurons.append(
                (
                    layer.name,
                    neuron.index,
                    neuron.activations[0],
                    neuron.activations[-1],
                    len(neuron.semantic_groups),
                    neuron.steps,
                    neuron.completeness_error,
                )
            )
            for number, part in enumerate(neuron.semantic_groups):
                key = (layer.name, neuron.index, number)
                semantic_groups.append(
                    (*key, len(part.crops), group_of[Member(neuron.index, number)])
                )
                neuron_edges += [
                    (*key, below[layer.name], lower, weight)
                    for lower, weight in part.weights.items()
                ]
    pair = ["layer", "neuron", "semantic_group"]
    return {
        "neurons": pd.DataFrame(
            neurons,
            columns=[
                "layer",
                "neuron",
                "largest_activation",
                "smallest_activation",
                "semantic_groups",
                "steps",
                "completeness_error",
            ],
        ),
        "semantic_groups": pd.DataFrame(semantic_groups, columns=[*pair, "crops", "group"]),
        "groups": pd.DataFrame(
            groups, columns=["group", "layer", "members", "crops", "label", "caption"]
        ),
        "neuron_edges": pd.DataFrame(
            neuron_edges, columns=[*pair, "lower_layer", "lower_neuron", "weight"]
        ),
        "group_edges": pd.DataFrame(
            [(edge.upper, edge.lower, edge.weight) for edge in circuit.edges],
            columns=["upper", "lower", "weight"],
        ),
    }
