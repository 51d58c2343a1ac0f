"""Saving and loading circuits, also after kills and with missing files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurflow.circuit import (
    Circuit,
    CircuitLayer,
    GroupEdge,
    load_circuit,
    save_circuit,
)
from neurflow.errors import ResultError, WorkError
from neurflow.refs import HeatMap
from tests.circuit.stored import contents, header, replace, rewrite
from tests.conftest import webp


def test_a_saved_circuit_is_loaded_unchanged(circuit: Circuit, run: Path) -> None:
    loaded = load_circuit(run)
    assert contents(loaded) == contents(circuit)
    vector = loaded.layers[0].neurons[4].semantic_groups[1].concept_vector
    assert vector.dtype == np.float32
    assert not vector.flags.writeable


def test_quoted_text_of_hostile_files_is_short_and_has_no_control_characters(run: Path) -> None:
    replace(run, "arrays", header(a={"dtype": "F32", "shape": "\x1b[2J" + "x" * 9000}))
    with pytest.raises(ResultError, match="not safetensors") as found:
        load_circuit(run)
    assert len(str(found.value)) < 1000 and "\x1b" not in str(found.value)


def test_saving_again_replaces_the_result_and_keeps_other_files(
    circuit: Circuit, run: Path
) -> None:
    (run / "work").mkdir()
    (run / "work" / "state.json").write_text("{}")
    (run / "report.html").write_text("a report")
    other = circuit.model_copy(update={"thumbnails": {}, "notes": ("again",)})
    other.save(run)
    assert contents(load_circuit(run)) == contents(other)
    assert (run / "work" / "state.json").exists()
    assert (run / "report.html").read_text() == "a report"
    assert len(list(run.iterdir())) == 6


def test_equal_circuits_give_equal_bytes(circuit: Circuit, run: Path, tmp_path: Path) -> None:
    save_circuit(load_circuit(run), tmp_path / "again")
    first, second = (
        {file.name: file.read_bytes() for file in folder.iterdir()}
        for folder in (run, tmp_path / "again")
    )
    assert first == second


@pytest.mark.parametrize(
    ("edge", "problem"),
    [
        (GroupEdge(upper="head/0", lower="block/9", weight=1), "block/9"),
        (
            GroupEdge(upper="head/0", lower="block/0", weight=1, positive=1, negative=-0.5),
            "parts of edge",
        ),
    ],
)
def test_an_inconsistent_circuit_is_not_written(
    circuit: Circuit, tmp_path: Path, edge: GroupEdge, problem: str
) -> None:
    with pytest.raises(ResultError, match=problem):
        save_circuit(circuit.model_copy(update={"edges": (edge,)}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("step", range(4))
def test_a_kill_while_saving_leaves_the_old_result(
    circuit: Circuit, run: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    other = circuit.model_copy(update={"layers": doubled(circuit), "thumbnails": {}})
    moves, move = iter(range(4)), os.replace

    def killed(source: Any, destination: Any) -> None:
        if next(moves) == step:
            raise KeyboardInterrupt
        move(source, destination)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_circuit(other, run)
    monkeypatch.undo()
    assert contents(load_circuit(run)) == contents(circuit)
    save_circuit(other, run)
    assert contents(load_circuit(run)) == contents(other)
    assert len(list(run.iterdir())) == 4


def test_a_kill_after_the_last_rename_leaves_the_new_result(
    circuit: Circuit, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = circuit.model_copy(update={"layers": doubled(circuit)})

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        save_circuit(other, run)
    monkeypatch.undo()
    assert contents(load_circuit(run)) == contents(other)


def doubled(circuit: Circuit) -> tuple[CircuitLayer, ...]:
    """The circuit's layers with other concept vectors, so that the array file changes."""
    layers = json.loads(json.dumps([layer.model_dump(mode="json") for layer in circuit.layers]))
    for layer in layers:
        for neuron in layer["neurons"].values():
            for part in neuron["semantic_groups"]:
                part["concept_vector"] = [2 * value for value in part["concept_vector"]]
    return tuple(CircuitLayer.model_validate(layer) for layer in layers)


def test_the_error_names_a_folder_that_cannot_be_written(circuit: Circuit, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="Cannot write"):
        save_circuit(circuit, tmp_path / "file" / "run")


def test_the_error_for_a_missing_result_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="neurflow discover"):
        load_circuit(tmp_path / "none")
    (tmp_path / "half" / "work").mkdir(parents=True)
    with pytest.raises(ResultError, match="not finished"):
        load_circuit(tmp_path / "half")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="is a file"):
        load_circuit(tmp_path / "file")


def test_pictures_and_heat_maps_are_restored(circuit: Circuit, tmp_path: Path) -> None:
    heat = {("block/0", 0): HeatMap(1, 3, b"\x00\x7f\xff"), ("head/0", 1): HeatMap(2, 1, b"ab")}
    shown = circuit.model_copy(update={"pictures": {0: webp(), 1: webp()}, "heat": heat})
    save_circuit(shown, tmp_path / "shown")
    assert contents(load_circuit(tmp_path / "shown")) == contents(shown)


def test_results_without_pictures_are_loaded(circuit: Circuit, run: Path) -> None:
    (file,) = run.glob("surroundings*")
    file.unlink()
    rewrite(run, lambda content: content.pop("surroundings"))
    assert contents(load_circuit(run)) == contents(circuit)
