"""The atlas against the circuits it was made of, one row at a time; and what a query may not do."""

import json
import math
from itertools import combinations
from statistics import mean, median

import numpy as np
import pytest

import neurflow
from neurflow.atlas import (
    Atlas,
    changed,
    nearest,
    serving,
    shared_groups,
    shortcut_candidates,
    similarities,
)
from neurflow.atlas.questions import FEWEST_PICTURES, SAME
from neurflow.atlas.tables import TABLES, keep_tables
from neurflow.cli import main
from neurflow.errors import RequestError, ResultError
from tests.conftest import relabelled
from tests.test_discover import CONFIG, images, model

__all__ = ["images", "model"]  # fixtures


@pytest.fixture(scope="module")
def circuits(model, images):
    """A circuit for each of three classes, by name."""
    config = CONFIG.model_copy(update={"concept_set": "all", "groups": 3, "tau": 5})
    return {
        f"c-{name}": neurflow.discover(model, images, name, config=config)
        for name in ("ant", "bee", "cat")
    }


@pytest.fixture(scope="module")
def folder(circuits, tmp_path_factory):
    place = tmp_path_factory.mktemp("sweep")
    for name, circuit in circuits.items():
        keep_tables(place / "atlas", name, circuit)
    return place


@pytest.fixture(scope="module")
def atlas(folder):
    return Atlas(folder)


def neurons(circuit):
    return {layer.name: set(layer.neurons) for layer in circuit.layers[:-1]}


def members(circuit):
    return {
        (layer.name, group.id): {a for a, _ in group.members}
        for layer in circuit.layers[:-1]
        for group in layer.groups
    }


def jaccard(a, b):
    return len(a & b) / len(a | b)


def test_every_table_holds_every_circuit_with_all_its_rows(atlas, circuits):
    for table in TABLES:
        counted = dict(
            atlas.query(f"SELECT circuit, count(*) FROM {table} GROUP BY ALL").values.tolist()
        )
        assert set(counted) == set(circuits)
    for name, circuit in circuits.items():
        edges = atlas.query(
            "SELECT upper, lower, weight FROM group_edges WHERE circuit = ?", [name]
        )
        assert {(upper, lower): w for upper, lower, w in edges.values.tolist()} == {
            (e.upper, e.lower): pytest.approx(e.weight) for e in circuit.edges
        }
        (row,) = atlas.query("SELECT * FROM targets WHERE circuit = ?", [name]).to_dict("records")
        assert row["target"] == circuit.target.name
        assert row["groups"] == sum(len(layer.groups) for layer in circuit.layers)


def test_circuits_are_alike_by_the_neurons_they_share(atlas, circuits):
    found = similarities(atlas)
    told = {frozenset((a, b)): s for a, b, s in found.values.tolist()}
    for a, b in combinations(circuits, 2):
        first, second = neurons(circuits[a]), neurons(circuits[b])
        expected = mean(jaccard(first[name], second[name]) for name in first)
        assert told[frozenset((a, b))] == pytest.approx(expected)
    assert len(told) == 3
    assert list(found.similarity) == sorted(found.similarity, reverse=True)
    near = nearest(atlas, "ant")
    assert set(near.circuit) == {"c-bee", "c-cat"}
    assert near.similarity[0] == max(v for pair, v in told.items() if "c-ant" in pair)


@pytest.mark.parametrize("least", [SAME, 0.6])
def test_shared_groups_are_those_with_a_counterpart_in_each(atlas, circuits, least):
    found = shared_groups(atlas, ["ant", "c-bee"], without=["cat"], least=least)
    ant, bee, cat = (members(circuits[name]) for name in ("c-ant", "c-bee", "c-cat"))

    def best(group, others):
        layer, _ = group
        return max(
            jaccard(ant[group], other) for (name, _), other in others.items() if name == layer
        )

    expected = {group for group in ant if best(group, bee) >= least and best(group, cat) < least}
    assert {(layer, group) for layer, group in found[["layer", "group"]].values} == expected
    for row in found.to_dict("records"):
        assert row["jaccard of c-bee"] == pytest.approx(best((row["layer"], row["group"]), bee))


def test_neurons_are_ranked_by_how_many_circuits_they_serve(atlas, circuits):
    found = serving(atlas, count=1000)
    for row in found.to_dict("records"):
        using = [
            circuit.layer(row["layer"]).neurons[row["neuron"]]
            for circuit in circuits.values()
            if row["neuron"] in circuit.layer(row["layer"]).neurons
        ]
        assert row["circuits"] == len(using)
        assert row["meanings"] == pytest.approx(mean(len(n.semantic_groups) for n in using))
    assert list(found.circuits) == sorted(found.circuits, reverse=True)
    expected = {
        (name, a) for c in circuits.values() for name, all_ in neurons(c).items() for a in all_
    }
    assert len(found) == len(expected)


def test_candidates_for_shortcuts_keep_to_one_place(atlas, circuits):
    found = shortcut_candidates(atlas, count=1000)
    expected = {}
    for name, circuit in circuits.items():
        for layer in circuit.layers[:-1]:
            spreads = {}
            for group in layer.groups:
                x = [(c.box[0] + c.box[2]) / 2 for c in group.crops]
                y = [(c.box[1] + c.box[3]) / 2 for c in group.crops]
                spreads[group.id] = math.sqrt(np.var(x) + np.var(y))
            usual = median(spreads.values())
            for group in layer.groups:
                if len({c.image for c in group.crops}) >= FEWEST_PICTURES and usual > 0:
                    weight = sum(abs(e.weight) for e in circuit.outputs(group.id))
                    expected[name, group.id] = (spreads[group.id] / usual, weight)
    told = {(row.circuit, row.group): (row.spread, row.weight) for row in found.itertuples()}
    assert told.keys() == expected.keys() and told
    for key, values in told.items():
        assert values == pytest.approx(expected[key])
    assert list(found.spread) == sorted(found.spread)


def test_what_changed_between_two_sweeps(atlas, circuits, model, images, tmp_path):
    config = CONFIG.model_copy(update={"concept_set": "all", "groups": 3, "tau": 3})
    other = neurflow.discover(model, images, "bee", config=config)
    keep_tables(tmp_path / "atlas", "c-bee", other)
    found = changed(atlas, Atlas(tmp_path))
    assert set(found.circuit) == {"c-bee"}
    before, after = neurons(circuits["c-bee"]), neurons(other)
    for row in found.to_dict("records"):
        if row["layer"] in before:
            assert row["jaccard"] == pytest.approx(
                jaccard(before[row["layer"]], after[row["layer"]])
            )
    assert (changed(atlas, atlas).jaccard == 1).all()


def test_labels_arrive_and_an_entry_is_replaced(circuits, tmp_path):
    circuit = circuits["c-ant"]
    id = circuit.layers[0].groups[0].id
    for label in ("wings", "round eyes"):
        keep_tables(tmp_path / "atlas", "c-ant", relabelled(circuit, id, label))
        keep_tables(tmp_path / "atlas", "c-bee", circuits["c-bee"])  # without any label
    found = Atlas(tmp_path).query("SELECT label FROM groups WHERE label IS NOT NULL")
    assert found.label.tolist() == ["round eyes"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{outside}')",
        "SELECT * FROM read_text('{outside}')",
        "SELECT * FROM '{outside}'",
        "COPY targets TO '{inside}'",
        "COPY targets TO '{outside}.csv'",
        "ATTACH '{outside}.db'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "DROP VIEW targets",
        "CREATE TABLE x AS SELECT 1",
        "INSTALL httpfs",
        "PRAGMA database_list",
        "SELECT 1; SELECT 2",
        "SELECT * FROM nowhere",
        "SELEC",
        "",
    ],
)
def test_a_query_reads_the_atlas_and_nothing_else(atlas, folder, tmp_path, sql):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    filled = sql.format(outside=secret, inside=folder / "atlas" / "new.parquet")
    before = sorted(folder.rglob("*"))
    with pytest.raises(RequestError):
        atlas.query(filled)
    assert sorted(folder.rglob("*")) == before
    assert [file.name for file in tmp_path.iterdir()] == ["secret.csv"]
    assert len(atlas.query("SELECT * FROM targets")) == 3


def test_no_atlas_and_one_of_another_version_are_told_apart(tmp_path):
    with pytest.raises(ResultError, match="no atlas yet"):
        Atlas(tmp_path)
    (tmp_path / "atlas").mkdir()
    (tmp_path / "atlas" / "schema.json").write_text('{"schema_version": 99}')
    with pytest.raises(ResultError, match="schema version 99"):
        Atlas(tmp_path)
    (tmp_path / "atlas" / "schema.json").write_text("{")
    with pytest.raises(ResultError, match="damaged"):
        Atlas(tmp_path)


def test_names_that_are_not_there_are_told_with_near_ones(atlas):
    with pytest.raises(RequestError, match=r"no circuit 'bees'.*bee"):
        nearest(atlas, "bees")
    with pytest.raises(RequestError, match="name another one"):
        shared_groups(atlas, ["ant"])


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "c-ant"),
        (["SELECT target FROM targets ORDER BY target DESC LIMIT 1"], "cat"),
        (["--shared", "ant,bee"], "jaccard"),
        (["--serving", "--top", "2"], "circuits"),
        (["--nearest", "ant"], "c-cat"),
        (["--shortcuts"], "spread"),
        (["--changed", "{folder}"], "c-bee"),
    ],
)
def test_the_command_answers_in_words_and_as_data(folder, capsys, monkeypatch, options, words):
    monkeypatch.setenv("COLUMNS", "100")
    filled = [option.format(folder=folder) for option in options]
    for form in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            main(["atlas", str(folder), *filled, *form])
        assert not ended.value.code
        told = capsys.readouterr().out
        assert words in told
        assert not form or isinstance(json.loads(told)["rows"], list)
    with pytest.raises(SystemExit) as ended:
        main(["atlas", str(folder), "--serving", "--shortcuts"])
    assert ended.value.code == 2
