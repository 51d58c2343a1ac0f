"""Stability and significance are stored beside the circuit and loaded with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurflow.circuit import Circuit, load_circuit, save_circuit, save_robustness
from neurflow.circuit.robustness_file import EdgeRobustness, RobustnessFile, robustness_of
from neurflow.circuit.tables import to_frames, to_networkx
from neurflow.errors import ResultError
from neurflow.stats import Interval

EDGE = ("head/0", "block/0")
MEASURED = RobustnessFile(
    groups={"block/1": Interval(0.5, 0.25, 0.75)},
    edges=(EdgeRobustness(upper=EDGE[0], lower=EDGE[1], significance=0.03),),
)


@pytest.fixture
def folder(circuit: Circuit, tmp_path: Path) -> Path:
    save_circuit(circuit, tmp_path / "run")
    return tmp_path / "run"


def edge(circuit: Circuit) -> object:
    return next(e for e in circuit.edges if (e.upper, e.lower) == EDGE)


def test_measurements_are_restored_and_the_circuit_file_does_not_change(
    folder: Path, circuit: Circuit
) -> None:
    before = (folder / "circuit.json").read_bytes()
    assert load_circuit(folder).group("block/1").stability is None
    saved = save_robustness(folder, MEASURED)
    loaded = load_circuit(folder)
    assert saved == loaded
    assert loaded.group("block/1").stability == (0.5, 0.25, 0.75)
    assert loaded.group("block/0").stability is None
    assert edge(loaded).significance == 0.03 and edge(loaded).stability is None
    assert (folder / "circuit.json").read_bytes() == before
    assert b"stability" not in before and b"significance" not in before


def test_further_measurements_are_added(folder: Path) -> None:
    save_robustness(folder, MEASURED)
    more = EdgeRobustness(upper=EDGE[0], lower=EDGE[1], stability=0.9)
    found = edge(save_robustness(folder, RobustnessFile(edges=(more,))))
    assert (found.significance, found.stability) == (0.03, 0.9)


def test_a_saved_circuit_keeps_its_measurements(folder: Path, tmp_path: Path) -> None:
    measured = save_robustness(folder, MEASURED)
    save_circuit(measured, tmp_path / "copy")
    assert load_circuit(tmp_path / "copy") == measured
    assert robustness_of(measured) == MEASURED
    plain = measured.model_copy(update={"notes": ("another",)})
    save_circuit(plain, tmp_path / "copy")
    assert len(list((tmp_path / "copy").glob("robustness-*.json"))) == 1, "the old one is gone"


def test_a_damaged_or_hostile_file_is_refused(folder: Path) -> None:
    save_robustness(folder, MEASURED)
    (file,) = folder.glob("robustness-*.json")
    for text in ("{", '{"groups": {"block/1": [2, "x", 1]}}', '{"edges": [{"upper": 3}]}',
                 '{"edges": [{"upper": "a", "lower": "b", "significance": 0}]}'):  # fmt: skip
        file.write_text(text)
        with pytest.raises(ResultError, match="robustness-"):
            load_circuit(folder)


def test_measurements_are_in_the_tables(folder: Path) -> None:
    measured = save_robustness(folder, MEASURED)
    frames = to_frames(measured)
    row = frames["group_edges"].set_index(["upper", "lower"]).loc[EDGE]
    assert row.significance == 0.03
    assert frames["groups"].set_index("group").stability["block/1"] == 0.5
    graph = to_networkx(measured)
    assert graph.edges[EDGE[::-1]]["significance"] == 0.03
    assert graph.nodes["block/1"]["stability"] == 0.5
    assert "stability" not in graph.nodes["block/0"]
