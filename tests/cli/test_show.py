"""``neurflow show``: a stored circuit as text of limited size for a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from neurflow.circuit import (
    Circuit,
    CircuitLayer,
    GroupEdge,
    GroupTree,
    Neuron,
    NeuronGroup,
)
from neurflow.refs import Member
from tests.cli.conftest import Outcome
from tests.conftest import evidence, relabelled

Run = Callable[..., Outcome]


def test_groups_and_inputs_are_listed_from_the_target_down(neurflow: Run, run_folder: Path) -> None:
    code, out, err = neurflow("show", run_folder)
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "bee by Tiny"
    assert lines[1] == "2 images, 118 crops, 2 layers, 3 neurons, 3 groups"
    assert "head/0 1 member ← -0.50 block/1, +0.25 block/0" in lines
    assert "block/0 2 members" in lines
    assert "yellow stripes" in lines
    assert lines.index("head 1 neuron in 1 group") < lines.index("block 2 neurons in 2 groups")
    assert lines[-1] == "Note: Only 2 images: concepts rest on few pictures."


def test_one_layer_and_one_group(neurflow: Run, run_folder: Path) -> None:
    out = neurflow("show", run_folder, "--layer", "block").out
    assert "block/1" in out
    assert "head/0" not in out
    lines = [
        " ".join(line.split())
        for line in neurflow("show", run_folder, "--group", "head/0").out.splitlines()
    ]
    assert lines == [
        "head/0 1 member, 3 crops",
        "neuron 2, meaning 0 ← neurons +0.75 4, -0.25 7",
        "inputs -0.50 block/1, +0.25 block/0",
        "crops bee/a.png at 0,0 to 8,8",
        "b.png at 0,0 to 4,4",
        "bee/a.png at 4,4 to 8,8",
    ]


def test_the_end_of_a_long_id_is_enough(neurflow: Run, run_folder: Path) -> None:
    shown = neurflow("show", run_folder, "--group", "…ock/1")
    assert shown.out == neurflow("show", run_folder, "--group", "block/1").out != ""
    code, _, err = neurflow("show", run_folder, "--group", "…/0")
    assert code == 2
    assert "Several groups end in '/0': block/0, head/0. Write one in full." in err
    assert "no group '…/9'" in neurflow("show", run_folder, "--group", "…/9").err


def test_json_is_the_only_output_on_stdout(neurflow: Run, run_folder: Path) -> None:
    data = json.loads(neurflow("show", run_folder, "--json").out)
    assert data["target"] == {"layer": "head", "neuron": 2, "minus": None, "name": "bee"}
    assert (data["images"], data["skipped"], data["crops"]) == (2, 1, 118)
    assert [layer["name"] for layer in data["layers"]] == ["block", "head"]
    assert data["layers"][1]["largest"] == [
        {
            "id": "head/0",
            "label": None,
            "members": 1,
            "inputs": {"block/1": -0.5, "block/0": 0.25},
        }
    ]
    group = json.loads(neurflow("show", run_folder, "--group", "block/0", "--json").out)
    assert group["outputs"] == {"head/0": 0.25}
    assert group["members"][1] == {"neuron": 7, "semantic_group": 0, "weights": {}}
    assert group["crops"][0] == {"image": "bee/a.png", "box": [0, 0, 8, 8]}


def test_failures(neurflow: Run, run_folder: Path) -> None:
    code, out, err = neurflow("show", run_folder / "none", "--json")
    assert code == 2 and json.loads(out)["error"]["kind"] == "MissingResult"
    assert "neurflow discover" in err
    (run_folder / "circuit.json").write_text("{")
    assert neurflow("show", run_folder).code == 1


def test_wrong_requests(neurflow: Run, run_folder: Path) -> None:
    assert neurflow("show", run_folder, "--layer", "blok") == (
        2,
        "",
        "Error: The circuit has no layer 'blok'. Near names: block.\n",
    )
    code, _, err = neurflow("show", run_folder, "--group", "block/2")
    assert code == 2
    assert "Near names: block/" in err
    code, _, err = neurflow("show", run_folder, "--group", "block/1", "--layer", "block")
    assert code == 2
    assert "not both" in err


def crowded(circuit: Circuit, count: int) -> Circuit:
    """A circuit of ``count`` neurons below the target, one per group, with long and hostile names."""
    name = "features.denseblock4.denselayer16.\x1b[2Jconv"
    template = circuit.layers[0].neurons[7]
    vector = [0.0] * count
    part = template.semantic_groups[0].model_copy(update={"concept_vector": vector})
    neurons: dict[int, Neuron] = {
        a: template.model_copy(update={"index": a, "semantic_groups": (part,)})
        for a in range(count)
    }
    groups = tuple(
        NeuronGroup(
            id=f"{name}/{a}", members=(Member(a, 0),), crops=template.crops, label="[red]x" * 30
        )
        for a in neurons
    )
    top = circuit.layers[1]
    bee = top.neurons[2]
    weights = dict.fromkeys(range(count), 1 / count)
    driven = bee.semantic_groups[0].model_copy(
        update={"weights": weights, "concept_vector": vector}
    )
    bee = bee.model_copy(update={"semantic_groups": (driven,), "importance": weights})
    return circuit.model_copy(
        update={
            "layers": (
                CircuitLayer(name=name, neurons=neurons, groups=groups),
                top.model_copy(update={"neurons": {2: bee}}),
            ),
            "edges": tuple(
                GroupEdge(upper="head/0", lower=group.id, weight=1 / count) for group in groups
            ),
        }
    )


def test_long_output_is_truncated(neurflow: Run, circuit: Circuit, tmp_path: Path) -> None:
    crowded(circuit, 300).save(tmp_path / "crowd")
    out = neurflow("show", tmp_path / "crowd").out
    assert "… and 295 smaller groups" in out
    assert len(out.splitlines()) < 80
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert "[red]x" in out
    wider = neurflow("show", tmp_path / "crowd", "--top", 7).out
    assert "… and 293 smaller groups" in wider
    detail = neurflow("show", tmp_path / "crowd", "--group", "head/0").out
    assert len(detail.splitlines()) < 20
    assert "\x1b" not in detail


def test_a_label_is_shown_with_its_evidence(
    neurflow: Run, circuit: Circuit, tmp_path: Path
) -> None:
    bad = relabelled(circuit, "block/1", "wheel \x1b[2J", evidence=evidence(0.7))
    mark = {"author": "ann", "time": "2026-01-02T00:00:00Z"}
    good = evidence(features=("striped", "yellow"), pin=mark, confidence=0.5)
    relabelled(bad, "block/0", "stripes", caption="Stripes.", evidence=good).save(tmp_path / "run")
    out = " ".join(neurflow("show", tmp_path / "run").out.split())
    assert "wheel [2J (does not beat chance)" in out
    assert "stripes ←" not in out and "stripes (does" not in out
    out = " ".join(neurflow("show", tmp_path / "run", "--group", "block/0").out.split())
    assert "by a model, gpt-9, 2026-01-02 00:00 UTC, confidence 0.50 (its own)" in out
    assert "pinned by ann" in out
    assert "striped; yellow" in out
    assert "beats other labels: 12 unseen crops among 6 random and 6 hard ones" in out
    assert "AUPRC 0.90 [0.70, 0.95], chance 0.55" in out
    assert "0 of 4 other labels fit as well, best is “grass”, AUPRC 0.60" in out
    assert "“bee” instead: AUPRC 0.50; the label's gain +0.40" in out
    data = json.loads(neurflow("show", tmp_path / "run", "--group", "block/1", "--json").out)
    assert data["evidence"]["doubt"] == "does not beat chance"
    assert data["evidence"]["validation"]["beats_chance"] is False
    brief = json.loads(neurflow("show", tmp_path / "run", "--json").out)["layers"][0]["largest"]
    assert [group["doubt"] for group in brief] == [None, "does not beat chance"]


def test_another_cut_is_shown_with_the_reproducibility_of_its_groups(
    neurflow: Run, circuit: Circuit, tmp_path: Path
) -> None:
    block, head = circuit.layers
    members = [member for group in block.groups for member in group.members]
    assert [len(group.members) for group in block.groups] == [2, 1]
    tree = GroupTree(
        members=tuple(members),
        merges=((0, 1), (2, 3)),
        heights=(0.1, 0.5),
        numbers=(2, 3, 1, 0, 4),
        returns=(None, None, None, 0.12, None),
        default=2,
    )
    bee = head.neurons[2]
    part = bee.semantic_groups[0].model_copy(update={"shares": {4: (0.25, 0.75)}})
    bee = bee.model_copy(update={"semantic_groups": (part,)})
    head = head.model_copy(update={"neurons": {2: bee}})
    layers = (block.model_copy(update={"tree": tree, "note": "Look twice."}), head)
    circuit.model_copy(update={"layers": layers}).save(tmp_path)
    out = " ".join(neurflow("show", tmp_path).out.split())
    assert "reproducibility 0.12" in out and "Look twice." in out
    finer = json.loads(neurflow("show", tmp_path, "--groups", "block=3", "--json").out)
    ids = [group["id"] for group in finer["layers"][0]["largest"]]
    assert sorted(ids) == ["block/1", "block/2", "block/3"]
    coarse = json.loads(neurflow("show", tmp_path, "--groups", "block=1", "--json").out)
    (edge,) = coarse["layers"][1]["largest"][0]["inputs"].items()
    assert edge[0] == "block/4"


def test_errors_explain_cuts_that_cannot_be_shown(neurflow: Run, run_folder: Path) -> None:
    code, _, err = neurflow("show", run_folder, "--groups", "block")
    assert code == 2 and "--groups layer4.1=9" in err
    code, _, err = neurflow("show", run_folder, "--groups", "block=2")
    assert code == 1 and "earlier version" in " ".join(err.split())
