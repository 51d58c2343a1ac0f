"""The tables of the atlas equal the circuits row by row; queries are restricted."""

import math
from itertools import combinations
from statistics import mean, median

import numpy as np
import pytest

import neurflow
from neurflow.atlas import (
    Atlas,
    changed,
    like_group,
    nearest,
    serving,
    shared_groups,
    shortcut_candidates,
    similarities,
)
from neurflow.atlas.questions import MIN_PICTURES, SAME
from neurflow.atlas.schema import TABLES
from neurflow.atlas.tables import SHOWN, add_circuit, write_tables
from neurflow.errors import RequestError
from tests.conftest import relabelled
from tests.method.test_discover import CONFIG


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


def test_every_table_has_all_rows_of_every_circuit(atlas, circuits):
    for table in TABLES.keys() - {"labels", "evidence"}:
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
        layers = atlas.query("SELECT * FROM layers WHERE circuit = ? ORDER BY place", [name])
        assert layers.layer.tolist() == [layer.name for layer in circuit.layers]
        shown = atlas.query('SELECT "group", place, webp FROM thumbnails WHERE circuit = ?', [name])
        assert {(group, place): bytes(webp) for group, place, webp in shown.values.tolist()} == {
            (group.id, place): circuit.thumbnails[crop]
            for layer in circuit.layers
            for group in layer.groups
            for place, crop in enumerate(group.crops[:SHOWN])
        }
    for table, columns in TABLES.items():
        assert list(atlas.query(f"SELECT * FROM {table}").columns) == ["circuit", *columns]


def test_similarity_of_circuits_is_by_shared_neurons(atlas, circuits):
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


@pytest.mark.parametrize("least", [SAME["neurons"], 0.6])
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
        assert row["similarity of c-bee"] == pytest.approx(best((row["layer"], row["group"]), bee))


def test_neurons_are_ranked_by_the_number_of_circuits_that_use_them(atlas, circuits):
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


def test_shortcut_candidates_have_crops_at_one_place(atlas, circuits):
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
                if len({c.image for c in group.crops}) >= MIN_PICTURES and usual > 0:
                    weight = sum(abs(e.weight) for e in circuit.outputs(group.id))
                    expected[name, group.id] = (spreads[group.id] / usual, weight)
    told = {(row.circuit, row.group): (row.spread, row.weight) for row in found.itertuples()}
    assert told.keys() == expected.keys() and told
    for key, values in told.items():
        assert values == pytest.approx(expected[key])
    assert list(found.spread) == sorted(found.spread)


def test_changes_between_two_sweeps(atlas, circuits, model, images, tmp_path):
    config = CONFIG.model_copy(update={"concept_set": "all", "groups": 3, "tau": 3})
    other = neurflow.discover(model, images, "bee", config=config)
    add_circuit(tmp_path / "atlas", "c-bee", other)
    found = changed(atlas, Atlas(tmp_path))
    assert set(found.circuit) == {"c-bee"}
    before, after = neurons(circuits["c-bee"]), neurons(other)
    for row in found.to_dict("records"):
        if row["layer"] in before:
            assert row["jaccard"] == pytest.approx(
                jaccard(before[row["layer"]], after[row["layer"]])
            )
    assert (changed(atlas, atlas).jaccard == 1).all()


def vectors(circuits):
    """Mean concept vector of every inner group, less the mean over all groups of its layer."""
    found = {}
    for name, circuit in circuits.items():
        for layer in circuit.layers[:-1]:
            for group in layer.groups:
                parts = [
                    layer.neurons[a].semantic_groups[i].concept_vector for a, i in group.members
                ]
                found[name, layer.name, group.id] = np.mean(parts, axis=0)
    centres = {
        layer: np.mean([v for (_, name, _), v in found.items() if name == layer], axis=0)
        for _, layer, _ in found
    }
    return {key: vector - centres[key[1]] for key, vector in found.items()}


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_groups_can_be_compared_by_concept_vectors_of_their_crops(atlas, circuits):
    known = vectors(circuits)

    def best(group, other):
        of = {key: v for key, v in known.items() if key[:2] == (other, group[1])}
        return max((cosine(known[group], v), key[2]) for key, v in of.items())

    ant = [key for key in known if key[0] == "c-ant"]
    least = sorted(best(group, "c-bee")[0] for group in ant)[len(ant) // 2]  # half of them
    found = shared_groups(atlas, ["ant", "bee"], without=["cat"], by="crops", least=least - 1e-3)
    expected = {
        key[2]: best(key, "c-bee")
        for key in ant
        if best(key, "c-bee")[0] >= least - 1e-3 > best(key, "c-cat")[0]
    }
    told = {row["group"]: row for row in found.to_dict("records")}
    assert told.keys() == expected.keys() and told
    for group, (similarity, match) in expected.items():
        assert told[group]["similarity of c-bee"] == pytest.approx(similarity, abs=2e-3)
        assert told[group]["c-bee"] == match


@pytest.mark.parametrize("by", ["neurons", "crops"])
def test_groups_most_similar_to_a_group(atlas, circuits, by):
    known = vectors(circuits)
    group = next(key for key in known if key[0] == "c-bee")
    sets = {(name, *key): m for name, c in circuits.items() for key, m in members(c).items()}
    expected = {}
    for key in known:
        if key[0] != "c-bee" and key[1] == group[1]:
            similarity = (
                jaccard(sets[group], sets[key])
                if by == "neurons"
                else cosine(known[group], known[key])
            )
            if similarity > 0:
                expected[key[0], key[2]] = pytest.approx(similarity, abs=2e-3)
    found = like_group(atlas, "bee", group[2], by=by, count=1000)
    told = {(row.circuit, row.group): row.similarity for row in found.itertuples()}
    assert told == expected and told
    assert list(found.similarity) == sorted(found.similarity, reverse=True)
    with pytest.raises(RequestError, match="has no group"):
        like_group(atlas, "bee", "block9/0")


def test_circuits_without_a_common_layer_are_not_compared(circuits, tmp_path):
    ant = circuits["c-ant"]
    add_circuit(tmp_path / "atlas", "c-ant", ant)
    from neurflow.atlas.tables import frames_of

    frames = frames_of("c-far", ant)
    for table in ("layers", "neurons", "semantic_groups", "groups", "group_vectors"):
        frames[table]["layer"] = "far." + frames[table].layer
    frames["targets"]["layer"] = "far." + frames["targets"].layer
    write_tables(tmp_path / "atlas", "c-far", frames)
    atlas = Atlas(tmp_path)
    assert len(similarities(atlas)) == 0 and len(nearest(atlas, "c-ant")) == 0
    assert len(shared_groups(atlas, ["c-ant", "c-far"], by="crops")) == 0


def test_labels_are_stored_with_their_evidence_and_entries_are_replaced(circuits, tmp_path):
    circuit = circuits["c-ant"]
    id = circuit.layers[0].groups[0].id
    for label in ("wings", "round eyes"):
        add_circuit(tmp_path / "atlas", "c-ant", relabelled(circuit, id, label))
        add_circuit(tmp_path / "atlas", "c-bee", circuits["c-bee"])  # without any label
    atlas = Atlas(tmp_path)
    found = atlas.query("SELECT * FROM labels")
    assert found[["circuit", "group", "label"]].values.tolist() == [["c-ant", id, "round eyes"]]
    (shown,) = like_group(atlas, "c-bee", id, by="crops", count=1).itertuples()
    known = atlas.query('SELECT label FROM labels WHERE circuit = ? AND "group" = ?', [*shown[2:4]])
    assert [shown.label] == (known.label.tolist() or [None])
