"""Merging and splitting groups: weights follow the definition, numbers are not reused, undo."""

import json
import random
from collections import defaultdict

import pytest

import neurflow
from neurflow.circuit import LabelStore, change_edits, load_circuit, load_edits
from neurflow.circuit.edits import Edits, Merge, Split, apply, merge, redo, split, undo
from neurflow.errors import NeurFlowError, RequestError, ResultError
from neurflow.refs import Member
from tests.method.test_discover import CONFIG, images, model, target

__all__ = ["images", "model", "target"]  # fixtures

NONE = Edits()


@pytest.fixture
def shared(circuit):
    """The hand-written circuit, with a quarter of neuron 4's weight in its first meaning."""
    block, head = circuit.layers
    bee = head.neurons[2]
    part = bee.semantic_groups[0].model_copy(update={"shares": {4: (0.25, 0.75)}})
    bee = bee.model_copy(update={"semantic_groups": (part,)})
    head = head.model_copy(update={"neurons": {2: bee}})
    return circuit.model_copy(update={"layers": (block, head)})


@pytest.fixture(
    scope="module", params=[("conserving", "mean"), ("conserving", "sum"), ("published", "sum")]
)
def found(request, model, images, target):
    """A circuit with several groups a layer, and neurons of several meanings."""
    sharing, aggregation = request.param
    choice = {"sharing": sharing, "aggregation": aggregation, "groups": 4}
    config = CONFIG.model_copy(update=choice)
    return neurflow.discover(model, images, target, config=config)


def ids(circuit, layer):
    return {group.id: group.members for group in circuit.layer(layer).groups}


def weights(circuit):
    return {(edge.upper, edge.lower): edge.weight for edge in circuit.edges}


def slowly(circuit):
    """Weights between all groups, computed one pair and one meaning at a time."""
    published = circuit.config.sharing == "published"
    total = defaultdict(float)
    for lower, upper in zip(circuit.layers, circuit.layers[1:], strict=False):
        for above in upper.groups:
            scale = 1 / len(above.members) if circuit.config.aggregation == "mean" else 1
            for below in lower.groups:
                for a, i in above.members:
                    part = upper.neurons[a].semantic_groups[i]
                    for s, weight in part.weights.items():
                        meanings = [j for t, j in below.members if t == s]
                        share = sum(part.shares.get(s, (1.0,))[j] for j in meanings)
                        if published:
                            share = float(bool(meanings))
                        total[above.id, below.id] += scale * weight * share
    return {ends: weight for ends, weight in total.items() if weight}


def test_a_merged_group_has_the_weights_of_its_members(shared):
    done = merge(shared, NONE, ["block/1", "block/0"])
    assert done.done == (Merge(groups=("block/1", "block/0"), into="block/2"),)
    changed = apply(shared, done)
    assert set(ids(changed, "block")["block/2"]) == {(4, 0), (7, 0), (4, 1)}
    assert weights(changed) == {("head/0", "block/2"): pytest.approx(0.75 - 0.25)}
    # crops that most members share come first
    assert set(changed.group("block/2").crops) == set(shared.layer("block").neurons[4].crops)
    assert changed.group("block/2").label is None
    assert ids(shared, "block").keys() == {"block/0", "block/1"}, "what was found is untouched"


def test_a_split_group_has_the_weights_of_its_parts(shared):
    changed = apply(shared, split(shared, NONE, "block/0", [Member(7, 0)]))
    assert ids(changed, "block") == {
        "block/2": ((7, 0),),
        "block/3": ((4, 0),),
        "block/1": ((4, 1),),
    }
    assert weights(changed) == {
        ("head/0", "block/1"): -0.5,  # as stored: the edit does not change it
        ("head/0", "block/2"): pytest.approx(-0.25),
        ("head/0", "block/3"): pytest.approx(0.75 * 0.25),
    }


@pytest.mark.parametrize("seed", range(5))
def test_weights_after_random_edits_equal_the_definition(found, seed):
    draw = random.Random(seed)
    edits = NONE
    for _ in range(6):
        now = apply(found, edits)
        layer = draw.choice([layer for layer in now.layers if len(layer.groups) > 1])
        if draw.random() < 0.5:
            edits = merge(found, edits, draw.sample([g.id for g in layer.groups], 2))
            continue
        group = max(layer.groups, key=lambda group: len(group.members))
        if len(group.members) > 1:
            chosen = draw.sample(group.members, draw.randint(1, len(group.members) - 1))
            edits = split(found, edits, group.id, chosen)
    changed = apply(found, edits)
    assert edits.done
    assert weights(changed) == pytest.approx(slowly(changed), abs=1e-6)
    for layer in found.layers:
        before, after = (
            sorted(member for group in circuit.layer(layer.name).groups for member in group.members)
            for circuit in (found, changed)
        )
        assert before == after


def test_merging_everything_back_restores_the_weights(found):
    name = found.layers[-2].name
    first, second = [group.id for group in found.layer(name).groups][:2]
    edits = merge(found, NONE, [first, second])
    (into,) = {e.into for e in edits.done}
    edits = split(found, edits, into, found.group(first).members)
    changed = apply(found, edits)
    again, other = edits.done[-1].into
    assert changed.group(again).members == found.group(first).members
    renamed = {again: first, other: second}
    back = {
        (renamed.get(a, a), renamed.get(b, b)): weight
        for (a, b), weight in weights(changed).items()
    }
    assert back == pytest.approx(weights(found), abs=1e-6)


def test_the_mean_is_over_the_merged_pairs(model, images, target):
    config = CONFIG.model_copy(update={"aggregation": "mean", "groups": 3})
    circuit = neurflow.discover(model, images, target, config=config)
    one, other, *_ = circuit.layers[-2].groups
    changed = apply(circuit, merge(circuit, NONE, [one.id, other.id]))
    (made,) = {g.id for g in changed.layers[-2].groups} - {g.id for g in circuit.layers[-2].groups}
    sizes = len(one.members), len(other.members)
    old, new = weights(circuit), weights(changed)
    for below in circuit.layers[-3].groups:
        expected = sum(
            old.get((group.id, below.id), 0) * size
            for group, size in zip((one, other), sizes, strict=True)
        ) / sum(sizes)
        assert new.get((made, below.id), 0) == pytest.approx(expected, abs=1e-6)


def test_undo_and_redo(shared):
    first = merge(shared, NONE, ["block/0", "block/1"])
    second = split(shared, first, "block/2", [Member(4, 1)])
    back = undo(second)
    assert apply(shared, back).model_dump() == apply(shared, first).model_dump()
    assert redo(back) == second
    assert apply(shared, undo(back)) is shared
    with pytest.raises(RequestError, match="nothing to undo"):
        undo(NONE)
    with pytest.raises(RequestError, match="nothing to redo"):
        redo(second)
    assert split(shared, back, "block/2", [Member(7, 0)]).undone == (), "another way was taken"


def test_numbers_of_groups_are_not_reused(shared):
    first = merge(shared, NONE, ["block/0", "block/1"])
    other = split(shared, undo(first), "block/0", [Member(4, 0)])
    assert other.done[0].into == ("block/3", "block/4")


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: merge(c, NONE, ["block/0"]), "needs two groups"),
        (lambda c: merge(c, NONE, ["block/0", "block/0"]), "needs two groups"),
        (lambda c: merge(c, NONE, ["block/0", "head/0"]), "one layer"),
        (lambda c: merge(c, NONE, ["block/0", "block/9"]), "block/9"),
        (lambda c: split(c, NONE, "block/0", []), "some of the 2 members"),
        (lambda c: split(c, NONE, "block/0", [(4, 0), (7, 0)]), "some of the 2 members"),
        (lambda c: split(c, NONE, "block/0", [(4, 1)]), "no member 4.1"),
        (lambda c: split(c, NONE, "block/8", [(4, 1)]), "block/8"),
    ],
)
def test_impossible_edits_are_refused(shared, change, words):
    with pytest.raises(NeurFlowError, match=words):
        change(shared)


def test_results_without_shares_cannot_be_edited(circuit):
    with pytest.raises(ResultError, match="an earlier version made it"):
        merge(circuit, NONE, ["block/0", "block/1"])


def test_edits_are_stored_beside_the_circuit_and_labels_remain(shared, tmp_path):
    shared.save(tmp_path)
    change_edits(tmp_path, lambda c, e: split(c, e, "block/0", [Member(7, 0)]))
    LabelStore(tmp_path).update("block/2", lambda group: group.model_copy(update={"label": "legs"}))
    loaded = load_circuit(tmp_path)
    assert loaded.group("block/2").label == "legs"
    assert weights(loaded)["head/0", "block/2"] == pytest.approx(-0.25)
    change_edits(tmp_path, lambda _, e: undo(e))
    assert load_circuit(tmp_path).group("block/0").label == "yellow stripes"
    change_edits(tmp_path, lambda _, e: redo(e))
    assert load_circuit(tmp_path).group("block/2").label == "legs"
    assert load_edits(tmp_path).done == (
        Split(group="block/0", members=(Member(7, 0),), into=("block/2", "block/3")),
    )


def test_an_edited_circuit_can_be_saved_elsewhere(shared, tmp_path):
    shared.save(tmp_path / "a")
    change_edits(tmp_path / "a", lambda c, e: merge(c, e, ["block/0", "block/1"]))
    load_circuit(tmp_path / "a").save(tmp_path / "b")
    assert ids(load_circuit(tmp_path / "b"), "block").keys() == {"block/2"}
    assert load_edits(tmp_path / "b") == NONE


def test_a_new_circuit_does_not_inherit_edits(shared, tmp_path):
    shared.save(tmp_path)
    change_edits(tmp_path, lambda c, e: merge(c, e, ["block/0", "block/1"]))
    shared.model_copy(update={"crop_count": 119}).save(tmp_path)
    assert load_edits(tmp_path) == NONE


BAD = {
    "truncated": b'{"format": "neurflow edits", "done": [',
    "another format": json.dumps({"format": "else", "schema_version": 1}).encode(),
    "a newer version": json.dumps({"format": "neurflow edits", "schema_version": 2}).encode(),
    "unknown group": Edits(done=(Merge(groups=("block/7", "block/8"), into="block/9"),)).encoded(),
    "a number in use": Edits(done=(Merge(groups=("block/0", "block/1"), into="head/3"),)).encoded(),
    "another layer": Edits(done=(Merge(groups=("x/0", "x/1"), into="x/2"),)).encoded(),
    "all its members": Edits(
        done=(Split(group="block/0", members=((4, 0), (7, 0)), into=("block/2", "block/3")),)
    ).encoded(),
    "one number twice": Edits(
        done=(Split(group="block/0", members=((4, 0),), into=("block/2", "block/2")),)
    ).encoded(),
    "a path for a number": b'{"format":"neurflow edits","schema_version":1,"done":[{"kind":"merge",'
    b'"groups":["block/0","block/1"],"into":"../../x"}]}',
    "no numbers": b'{"format":"neurflow edits","schema_version":1,"done":[{"kind":"split",'
    b'"group":"block/0","members":[[1e400,0]],"into":["block/2","block/3"]}]}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_damaged_and_hostile_edits_are_refused(shared, tmp_path, content):
    shared.save(tmp_path)
    index = (tmp_path / "circuit.json").read_bytes()
    file = tmp_path / Edits.file_name(index)
    file.write_bytes(content)
    with pytest.raises(ResultError, match=file.name):
        load_circuit(tmp_path)
    file.unlink()
    load_circuit(tmp_path)
