"""``neurflow compare``: tables, JSON, a page, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome
from tests.comparison.tiny import plain, tiny

Run = Callable[..., Outcome]


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs of one network for two classes; a label contains control characters."""
    edges = {("head/0", "low/0"): 0.75, ("head/0", "low/1"): -0.25}
    labels = {"low/0": "red\x1b[31m stripes"}
    tiny({"low": plain([0, 1], [2, 3, 4]), "head": plain([0])}, edges, labels=labels).save(
        tmp_path / "bee"
    )
    other = {("head/0", "low/0"): 0.5, ("head/0", "low/1"): 0.5}
    tiny({"low": plain([2, 3, 4], [8, 9]), "head": plain([1])}, other, target="fly", neuron=1).save(
        tmp_path / "fly"
    )
    return tmp_path / "bee", tmp_path / "fly"


def test_overview_of_all_layers(neurflow: Run, runs: tuple[Path, Path]) -> None:
    code, out, err = neurflow("compare", *runs)
    assert (code, err) == (0, "")
    assert "A  bee by Tiny" in out and "B  fly by Tiny" in out
    assert "Groups are compared by neurons" in out
    (low,) = [line for line in out.splitlines() if line.startswith("low ")]
    assert low.split()[1:5] == ["1", "1", "1", "1.00"]
    (change,) = [line for line in out.splitlines() if line.startswith("head/0 / 0")]
    assert change.split()[-3:] == ["-0.25", "+0.50", "+0.75"]


def test_details_of_one_layer(neurflow: Run, runs: tuple[Path, Path]) -> None:
    code, out, _ = neurflow("compare", *runs, "--layer", "low")
    assert code == 0
    assert "1 shared, 1 only in A, 1 only in B" in out
    assert "3 common, 0 / 0" in out
    assert "stripes" in out and "\x1b" not in out
    assert neurflow("compare", *runs, "--layer", "lo").code == 2


def test_json_output(neurflow: Run, runs: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    code, out, _ = neurflow("compare", *runs, "--json", "-o", page, "--seed", 3)
    found = json.loads(out)
    assert (code, found["by"], found["seed"], found["files"]) == (0, "neurons", 3, [str(page)])
    assert [layer["name"] for layer in found["layers"]] == ["low", "head"]
    assert page.read_text().count("<title>bee and fly · neurflow</title>") == 1


def test_refusals(neurflow: Run, runs: tuple[Path, Path], tmp_path: Path) -> None:
    assert neurflow("compare", runs[0]).code == 2
    assert neurflow("compare", *runs, "--by", "hue").code == 2
    assert neurflow("compare", *runs, "--threshold", 2).code == 2
    assert neurflow("compare", runs[0], tmp_path / "none").code == 2
    tiny({"other": plain([0])}).save(tmp_path / "other")
    code, out, err = neurflow("compare", runs[0], tmp_path / "other")
    assert (code, out) == (2, "")
    assert "no layer in common" in err and "--layers" in err
