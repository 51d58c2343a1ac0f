"""A circuit as a graph and as tables has the same numbers."""

from __future__ import annotations

import networkx as nx
import pandas as pd
import pytest

from neurflow.circuit import Circuit
from neurflow.circuit.tables import LABEL_COLUMNS
from tests.conftest import evidence, relabelled


def test_graph(circuit: Circuit) -> None:
    graph = circuit.to_networkx()
    assert graph.graph["target"] == "bee"
    assert dict(graph.nodes(data="size")) == {"block/0": 2, "block/1": 1, "head/0": 1}
    assert graph.nodes["block/0"] == {
        "layer": "block",
        "size": 2,
        "label": "yellow stripes",
        "caption": None,
    }
    assert list(graph.edges(data="weight")) == [
        ("block/0", "head/0", 0.25),
        ("block/1", "head/0", -0.5),
    ]


def test_a_group_without_edges_is_in_the_graph(circuit: Circuit) -> None:
    graph = circuit.model_copy(update={"edges": ()}).to_networkx()
    assert set(graph) == {"block/0", "block/1", "head/0"}
    assert graph.number_of_edges() == 0


def test_frames(circuit: Circuit) -> None:
    frames = circuit.to_frames()
    assert list(frames) == ["neurons", "semantic_groups", "groups", "neuron_edges", "group_edges"]
    neurons = frames["neurons"]
    assert list(zip(neurons.layer, neurons.neuron, strict=True)) == [
        ("block", 4),
        ("block", 7),
        ("head", 2),
    ]
    assert neurons.semantic_groups.tolist() == [2, 1, 1]
    assert neurons.largest_activation.tolist() == [3.0] * 3
    assert neurons.smallest_activation.tolist() == [1.25] * 3
    assert neurons.steps.isna().tolist() == [True, True, False]
    assert frames["semantic_groups"].values.tolist() == [
        ["block", 4, 0, 2, "block/0"],
        ["block", 4, 1, 1, "block/1"],
        ["block", 7, 0, 3, "block/0"],
        ["head", 2, 0, 3, "head/0"],
    ]
    assert frames["neuron_edges"].values.tolist() == [
        ["head", 2, 0, "block", 4, 0.75],
        ["head", 2, 0, "block", 7, -0.25],
    ]
    assert frames["group_edges"][["upper", "lower", "weight"]].values.tolist() == [
        ["head/0", "block/0", 0.25],
        ["head/0", "block/1", -0.5],
    ]
    assert frames["groups"].members.tolist() == [2, 1, 1]


def test_frames_join(circuit: Circuit) -> None:
    frames = circuit.to_frames()
    joined = frames["neuron_edges"].merge(
        frames["neurons"], left_on=["lower_layer", "lower_neuron"], right_on=["layer", "neuron"]
    )
    assert len(joined) == 2
    weights = frames["neuron_edges"].groupby(["layer", "neuron", "semantic_group"]).weight
    assert weights.apply(lambda w: w.abs().sum()).tolist() == pytest.approx([1.0])


def test_frames_of_a_circuit_without_edges_keep_their_columns(circuit: Circuit) -> None:
    frames = circuit.model_copy(update={"edges": (), "layers": circuit.layers[:1]}).to_frames()
    assert isinstance(frames["neuron_edges"], pd.DataFrame)
    assert list(frames["neuron_edges"].columns)[-1] == "weight"
    assert list(frames["group_edges"].columns)[:3] == ["upper", "lower", "weight"]
    assert frames["group_edges"].empty


def labelled(circuit: Circuit) -> Circuit:
    hostile = '<b>"stripes" & \' </node>'
    found = evidence(confidence=0.25)
    return relabelled(circuit, "block/1", hostile, caption="A sentence.", evidence=found)


def test_labels_and_their_evidence_are_in_the_frames(circuit: Circuit) -> None:
    groups = labelled(circuit).to_frames()["groups"].set_index("group")
    assert groups.label["block/1"] == '<b>"stripes" & \' </node>'
    row = groups.loc["block/1"]
    assert (row.label_source, row.label_author, row.label_confidence) == ("model", "gpt-9", 0.25)
    assert (row.label_auprc, row.label_chance) == (0.9, 0.55)
    assert row.label_beats_chance is row.label_beats_others is True
    assert groups.loc["head/0"][list(LABEL_COLUMNS)].isna().all()


def test_graphml_has_labels_as_text_and_can_be_read(circuit: Circuit, tmp_path) -> None:
    told = labelled(circuit)
    told = relabelled(told, "block/0", "a\x1b[2Jb\ud800", evidence=None)
    told.to_graphml(tmp_path / "circuit.graphml")
    graph = nx.read_graphml(tmp_path / "circuit.graphml")
    node = graph.nodes["block/1"]
    assert node["label"] == '<b>"stripes" & \' </node>'
    assert (node["label_auprc"], node["label_beats_chance"]) == (0.9, True)
    assert "label" not in graph.nodes["head/0"]
    assert graph.nodes["block/0"]["label"].isprintable()
    assert graph.edges["block/1", "head/0"]["weight"] == -0.5
    assert graph.graph["target"] == "bee"
