"""Manual labels are stored with author and time, and labelers never overwrite pinned labels."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

import neurflow
from neurflow.circuit import Circuit, LabelStore, load_circuit, save_circuit
from neurflow.circuit.storage import SCHEMA_VERSION
from neurflow.errors import RequestError, ResultError
from neurflow.labels import Job, LabelAnswer, LabelRequest, Settings, label_groups, manual

QUICK = Settings(validated=False)


class Machine:
    """Gives every group the same label."""

    source = "model"

    def __init__(self, label: str = "a machine's", name: str = "machine") -> None:
        self.says, self.name = label, name
        self.asked: list[LabelRequest] = []

    def label(self, request: LabelRequest) -> LabelAnswer:
        self.asked.append(request)
        return LabelAnswer(label=self.says, caption="It says so.", confidence=0.5)

    def judge(self, request):
        return (0.5,) * len(request.pictures)


def test_a_manual_label_is_stored_with_author_time_and_source(
    circuit: Circuit, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    now = datetime(2026, 1, 2, tzinfo=UTC)
    monkeypatch.setattr(manual, "datetime", SimpleNamespace(now=now.astimezone))
    save_circuit(circuit, tmp_path)
    LabelStore(tmp_path).update(
        "block/1", lambda g: manual.set_label(g, " wheel \x1b[2J", "A wheel.", author="ann")
    )
    group = load_circuit(tmp_path).group("block/1")
    assert (group.label, group.caption) == ("wheel [2J", "A wheel.")
    assert (group.evidence.source, group.evidence.author) == ("person", "ann")
    assert group.evidence.time == now
    assert group.evidence.pinned
    edited = manual.set_label(group, "hub", author="bob")
    assert (edited.label, edited.caption, edited.evidence.author) == ("hub", None, "bob")


def test_labelers_do_not_change_set_or_pinned_labels(planted: Circuit, tmp_path):
    save_circuit(planted, tmp_path)
    store = LabelStore(tmp_path)
    store.update("early/0", lambda g: manual.set_label(g, "hers", author="ann"))
    neurflow.label(store.circuit, Machine("first"), settings=QUICK, out=tmp_path)
    store.update("early/1", lambda g: manual.pin(g, author="ann"))
    neurflow.label(store.circuit, Machine("second"), settings=QUICK, out=tmp_path)
    found = load_circuit(tmp_path)
    assert [found.group(f"early/{i}").label for i in range(3)] == ["hers", "first", "second"]
    assert found.group("early/1").evidence.pin.author == "ann"
    assert found.group("early/1").evidence.author == "machine"
    store.update("early/1", manual.unpin)
    neurflow.label(store.circuit, Machine("third"), settings=QUICK, out=tmp_path)
    store.update("early/0", manual.unpin)
    assert load_circuit(tmp_path).group("early/1").label == "third"
    neurflow.label(store.circuit, Machine("fourth"), settings=QUICK, out=tmp_path)
    assert load_circuit(tmp_path).group("early/0").label == "fourth"


def test_a_label_pinned_during_a_request_is_kept(planted: Circuit, tmp_path):
    save_circuit(planted, tmp_path)
    store = LabelStore(tmp_path)

    class Slow(Machine):
        def label(self, request: LabelRequest) -> LabelAnswer:
            if request.group == "late/0":
                store.update("late/0", lambda g: manual.set_label(g, "hers", author="ann"))
            return super().label(request)

    found = neurflow.label(store.circuit, Slow(), settings=QUICK, out=tmp_path)
    assert found.group("late/0").label == load_circuit(tmp_path).group("late/0").label == "hers"
    assert found.group("late/1").label == "a machine's"


def test_manual_labels_are_validated(planted: Circuit):
    groups = {"early/0": partial(manual.set_label, label="hers", author="ann")}
    layer = planted.layers[0]
    named = tuple(groups[g.id](g) if g.id in groups else g for g in layer.groups)
    circuit = planted.model_copy(
        update={"layers": (layer.model_copy(update={"groups": named}), *planted.layers[1:])}
    )
    found = neurflow.label(circuit, Machine(), groups=["early/0"]).group("early/0")
    assert found.label == "hers"
    assert found.evidence.author == "ann"
    assert found.evidence.validation.judge == "machine"


def test_a_rejected_label_is_not_assigned_again(planted: Circuit, tmp_path):
    save_circuit(planted, tmp_path)
    store, machine = LabelStore(tmp_path), Machine("Blob")
    neurflow.label(store.circuit, machine, settings=QUICK, out=tmp_path)
    store.update("late/2", lambda g: manual.reject(g, author="ann"))
    group = load_circuit(tmp_path).group("late/2")
    assert (group.label, group.caption, group.evidence) == (None, None, None)
    assert (group.rejected[0].label, group.rejected[0].author) == ("Blob", "ann")
    outcome = label_groups(Job(store.circuit, Machine("blob"), settings=QUICK), out=tmp_path)
    assert list(outcome.failed) == ["late/2"]
    assert load_circuit(tmp_path).group("late/2").label is None
    better = Machine("fish gill")
    neurflow.label(store.circuit, better, settings=QUICK, out=tmp_path, groups=["late/2"])
    assert better.asked[0].rejected == ("Blob",)
    assert load_circuit(tmp_path).group("late/2").label == "fish gill"


def test_reading_a_label_writes_nothing(circuit: Circuit, tmp_path):
    save_circuit(circuit, tmp_path)
    group = LabelStore(tmp_path).update("block/0", lambda g: g)
    assert group.label == "yellow stripes"
    assert not list(tmp_path.glob("labels-*"))


def test_invalid_manual_labels_are_refused(circuit: Circuit):
    unlabelled = circuit.group("block/1")
    with pytest.raises(RequestError, match="needs words"):
        manual.set_label(unlabelled, " \n ", author="ann")
    with pytest.raises(RequestError, match="--author"):
        manual.set_label(unlabelled, "wheel", author=" ")
    for change in (
        partial(manual.pin, author="a"),
        partial(manual.reject, author="a"),
        manual.unpin,
    ):
        with pytest.raises(RequestError, match="has no label"):
            change(unlabelled)


def test_concurrent_changes_of_labels_are_all_kept(planted: Circuit, tmp_path):
    save_circuit(planted, tmp_path)
    ids = [group.id for layer in planted.layers for group in layer.groups]

    def name(id: str) -> None:
        LabelStore(tmp_path).update(id, lambda g: manual.set_label(g, f"of {id}", author="ann"))

    with ThreadPoolExecutor(7) as pool:
        list(pool.map(name, ids * 3))
    found = load_circuit(tmp_path)
    assert [found.group(id).label for id in ids] == [f"of {id}" for id in ids]


# --- the file of labels -------------------------------------------------------------------------


def labelled(circuit: Circuit, folder: Path) -> Path:
    save_circuit(circuit, folder)
    LabelStore(folder).update("block/1", lambda g: manual.set_label(g, "wheel", author="ann"))
    (file,) = folder.glob("labels-*.json")
    return file


def test_labels_and_evidence_are_saved_with_the_circuit(circuit, tmp_path):
    labelled(circuit, tmp_path / "one")
    loaded = load_circuit(tmp_path / "one")
    save_circuit(loaded, tmp_path / "two")
    again = load_circuit(tmp_path / "two")
    assert again.group("block/1") == loaded.group("block/1")
    assert again.group("block/1").evidence.pinned
    assert again.group("block/0").label == "yellow stripes"


def test_another_circuit_in_the_folder_inherits_no_labels(circuit, tmp_path):
    old = labelled(circuit, tmp_path)
    save_circuit(circuit.model_copy(update={"notes": ("again",)}), tmp_path)
    assert load_circuit(tmp_path).group("block/1").label is None
    assert not old.exists()


def test_loading_a_folder_without_labels_changes_nothing(circuit, tmp_path):
    save_circuit(circuit, tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".safetensors"}
    index = json.loads((tmp_path / "circuit.json").read_text())
    group = index["circuit"]["layers"][0]["groups"][0]
    assert set(group) == {"id", "members", "crops", "label", "caption", "usual"}
    assert index["schema_version"] == SCHEMA_VERSION


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda c: c.update(schema_version=3), "schema version 3.*Upgrade"),
        (lambda c: c.update(format="other"), "format"),
        (lambda c: c.update(code="import os"), "code: Extra inputs"),
        (lambda c: c["groups"]["block/1"].update(label=3), "label"),
        (lambda c: c["groups"]["block/1"]["evidence"].update(time="soon"), "time"),
        (lambda c: c["groups"]["block/1"]["evidence"].update(source="god"), "source"),
        (lambda c: c["groups"]["block/1"]["evidence"].update(confidence=7), "confidence"),
    ],
    ids=["newer", "format", "more", "label", "time", "source", "confidence"],
)
def test_damaged_labels_are_refused(circuit, tmp_path, edit, problem):
    file = labelled(circuit, tmp_path)
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))
    with pytest.raises(ResultError, match=problem):
        load_circuit(tmp_path)


def test_labels_of_earlier_versions_are_loaded_without_obsolete_figures(circuit, tmp_path):
    file = labelled(circuit, tmp_path)
    content = json.loads(file.read_text()) | {"schema_version": 1}
    figure = [0.9, 0.8, 1.0]
    content["groups"]["block/1"]["evidence"] |= {
        "validation": {
            "judge": "j", "held_out": 8, "random": 4, "hard": 4, "accuracy": figure, "auprc": figure,
            "chance": [0.5, 0.3, 0.7], "found": 1.0, "random_rejected": 1.0, "hard_rejected": 1.0,
            "constant": {"text": "bee", "accuracy": figure, "auprc": figure, "gain": figure},
        },
        "concept": {"concept": "red", "auc": figure, "rank": 1, "concepts": 3, "best": "red"},
    }  # fmt: skip
    file.write_text(json.dumps(content))
    evidence = load_circuit(tmp_path).group("block/1").evidence
    assert tuple(evidence.validation.auprc) == (0.9, 0.8, 1.0)
    assert evidence.validation.beats_chance and evidence.validation.beats_others is None
    assert evidence.doubt == "not compared with other labels"
    assert evidence.concept is None


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b'{"groups": NaN}'])
def test_invalid_label_files_are_refused(circuit, tmp_path, data):
    labelled(circuit, tmp_path).write_bytes(data)
    with pytest.raises(ResultError, match=r"labels-.*damaged"):
        load_circuit(tmp_path)


def test_a_link_instead_of_a_label_file_is_refused(circuit, tmp_path):
    file = labelled(circuit, tmp_path / "run")
    file.rename(tmp_path / "elsewhere.json")
    file.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ResultError, match="link"):
        load_circuit(tmp_path / "run")


def test_hostile_labels_are_cleaned_and_those_of_unknown_groups_ignored(circuit, tmp_path):
    file = labelled(circuit, tmp_path)
    content = json.loads(file.read_text())
    content["groups"]["block/1"]["label"] = "\x1b[2J" + "A" * 1000
    content["groups"]["../../etc"] = content["groups"]["block/1"]
    file.write_text(json.dumps(content))
    label = load_circuit(tmp_path).group("block/1").label
    assert len(label) == 80 and label.isprintable()
