"""``neurflow edit``: edits, undo, export to another copy, and invalid requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from neurflow.circuit import Circuit, load_circuit
from tests.circuit.test_edits import shared
from tests.cli.conftest import Outcome

__all__ = ["shared"]  # a fixture
Run = Callable[..., Outcome]


@pytest.fixture
def folder(shared: Circuit, tmp_path: Path) -> Path:
    """A run with groups that can be edited."""
    shared.save(tmp_path / "run")
    return tmp_path / "run"


def test_edit_undo_and_redo(neurflow: Run, folder: Path) -> None:
    assert neurflow("edit", folder).out == "There are no edits.\n"
    assert neurflow("edit", folder, "--merge", "block/0, block/1").out == (
        "1. block/0 and block/1 merged into block/2\n"
    )
    assert "block/2" in neurflow("show", folder).out
    out = neurflow("edit", folder, "--split", "block/2=7.0").out
    assert " ".join(out.split()).endswith(
        "2. block/2 split into block/3 (7.0) and block/4 (the others)"
    )
    out = neurflow("edit", folder, "--undo").out
    assert " ".join(out.split()).endswith(
        "Undone: block/2 split into block/3 (7.0) and block/4 (the others)"
    )
    told = json.loads(neurflow("edit", folder, "--redo", "--json").out)
    assert [each["kind"] for each in told["done"]] == ["merge", "split"]
    assert told["undone"] == []


def test_edits_are_carried_to_another_copy(
    neurflow: Run, folder: Path, shared: Circuit, tmp_path: Path
) -> None:
    shared.save(tmp_path / "other")
    file = tmp_path / "edits.json"
    neurflow("edit", folder, "--merge", "block/0,block/1")
    assert neurflow("edit", folder, "--export", file).code == 0
    assert neurflow("edit", tmp_path / "other", "--import", file).code == 0
    ours, theirs = (load_circuit(run) for run in (folder, tmp_path / "other"))
    assert ours.model_dump() == theirs.model_dump()
    again = neurflow("edit", folder, "--import", file)
    assert again.code == 2
    assert "Undo them first" in again.err


@pytest.mark.parametrize(
    "options, words",
    [
        (["--merge", "block/0,block/9"], "block/9"),
        (["--split", "block/0"], "Cannot read --split"),
        (["--split", "block/0=4"], "Cannot read --split"),
        (["--split", "block/0=a.b"], "Cannot read --split"),
        (["--split", "block/0=9.9"], "no member 9.9"),
        (["--undo"], "nothing to undo"),
        (["--undo", "--redo"], "one edit at a time"),
        (["--import", "missing.json"], "There is no file"),
        (["--import", "{circuit}"], "contains no edits"),
    ],
)
def test_invalid_edits_are_refused_and_change_nothing(
    neurflow: Run, folder: Path, options: list[str], words: str
) -> None:
    before = load_circuit(folder).model_dump()
    filled = [option.format(circuit=folder / "circuit.json") for option in options]
    outcome = neurflow("edit", folder, *filled)
    assert outcome.code == 2
    assert words in " ".join(outcome.err.split())
    assert load_circuit(folder).model_dump() == before
