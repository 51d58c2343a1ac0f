"""``neurflow evaluate``: tables, JSON, CSV, plots and a page from a run."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from neurflow import Config
from neurflow.circuit import load_circuit
from neurflow.evaluation.evaluate import PROTOCOLS
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]
DISCOVERY = ("--tau", 4, "--k", 5, "--steps", 4, "--granularities", "1,0.5", "--groups", 2)
FAST = (
    "--quick", "--taus", 2, "--fidelity-taus", "2,4", "--neurons", 2, "--weight-sets", 4,
    "--single-neurons", 4, "--random-sets", 2, "--resamples", 1, "--permutations", 9,
    "--ablations", "zero", "--ks", "3,5", "--k-reference", 5, "--steps", 4, "--bootstrap", 50,
    "--methods", "integrated_gradients,gradient", "--norm-top", 2,
)  # fmt: skip


@pytest.fixture
def neurflow(naming: Run) -> Run:
    """Commands with the network of the result named by ``--model``."""
    return naming


@pytest.fixture
def run(neurflow: Run, small_model: str, pictures: Path, tmp_path: Path) -> Path:
    """A run of the small network."""
    out = tmp_path / "found"
    code, _, err = neurflow(
        "discover", small_model, pictures, "--target", "bee", "--concept-set", "all",
        "--layers", "block2,block3,head", "--out", out, *DISCOVERY,
    )  # fmt: skip
    assert code == 0, err
    return out


def test_all_protocols(neurflow: Run, run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    code, out, err = neurflow(
        "evaluate", run, "all", *FAST, "--json",
        "--out", page, "--csv", tmp_path / "csv",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert found["missing"] == {}
    names = {table["protocol"] for table in found["tables"]}
    assert names == set(PROTOCOLS)
    for table in found["tables"]:
        with (tmp_path / "csv" / f"{table['protocol']}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(table["rows"]) > 0
    text = page.read_text()
    assert all(f"<section id='{name}'>" in text for name in names)
    assert text.count("<svg") == len(names) and "currentColor" in text and "#123456" not in text
    addresses = set(re.findall(r"https?://[\w.]+", text))
    named = {"http://www.w3.org", "http://purl.org", "http://creativecommons.org"}
    assert addresses <= {*named, "https://matplotlib.org"}, "the page asks nothing of the net"


def test_measurements_of_groups_and_edges_are_stored_and_shown(neurflow: Run, run: Path) -> None:
    assert neurflow("evaluate", run, "significance", *FAST).code == 0
    assert neurflow("evaluate", run, "stability", *FAST).code == 0
    circuit = load_circuit(run)
    assert all(0 < edge.significance <= 1 for edge in circuit.edges if edge.significance)
    assert all(edge.significance and edge.stability is not None for edge in circuit.edges)
    assert all(group.stability for layer in circuit.layers for group in layer.groups)
    shown = neurflow("show", run, "--group", circuit.layers[-1].groups[0].id).out
    assert "stability" in shown and "p=" in shown
    data = json.loads(neurflow("show", run, "--group", "block3/0", "--json").out)
    assert data["stability"][0] == pytest.approx(circuit.group("block3/0").stability.value)


def test_plots(neurflow: Run, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plots"
    assert neurflow("evaluate", run, "crop-sizes", "--plots", folder).code == 0
    with Image.open(folder / "crop-sizes.png") as picture:
        assert picture.width > 500
        assert len(picture.convert("RGB").getcolors(100_000) or ()) > 20


def test_finished_tables_are_reused(neurflow: Run, run: Path) -> None:
    first = json.loads(neurflow("evaluate", run, "optimality", *FAST, "--json").out)
    again = json.loads(neurflow("evaluate", run, "optimality", *FAST, "--json").out)
    assert again == first, "its seconds too: nothing was measured again"
    other = neurflow("evaluate", run, "optimality", *FAST, "--seed", 5, "--json")
    assert json.loads(other.out)["tables"][0]["seconds"] != first["tables"][0]["seconds"]


def test_evaluating_a_model_finds_its_circuit_first(
    neurflow: Run, small_model: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = pictures.parent / "run"
    small = Config(
        tau=4, k=5, steps=4, granularities=(1.0, 0.5), groups=2, concept_set="all"
    )  # instead of the published 50 crops and 16 neurons
    monkeypatch.setattr(Config, "published", lambda: small)
    code, told, err = neurflow(
        "evaluate", small_model, "crop-sizes", "--images", pictures, "--target", "bee", "--run", out,
        "--json",
    )  # fmt: skip
    assert code == 0, err
    assert [table["protocol"] for table in json.loads(told)["tables"]] == ["crop-sizes"]
    assert load_circuit(out).config == small
    code, _, err = neurflow("evaluate", small_model, "crop-sizes")
    assert code == 2
    assert "--target CLASS --images FOLDER" in err


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("nothing",), "no protocol 'nothing'"),
        (("optimal",), "Near names: optimality"),
        (("fidelity", "--fidelity-taus", 30), "Discover the circuit with a larger --tau"),
        (("k", "--k-reference", 500), "Give more images"),
        (("optimality", "--layers", "block2"), "Choose from block3, head"),
        (("fidelity", "--ablations", "noise"), "ablations"),
    ],
)
def test_protocols_that_cannot_run_name_the_reason(
    neurflow: Run, run: Path, arguments: tuple[object, ...], missing: str
) -> None:
    code, out, err = neurflow("evaluate", run, *arguments)
    assert code == 2
    assert missing in err
    assert out == "" and "Traceback" not in err


def test_missing_and_changed_pictures_are_reported(
    neurflow: Run, run: Path, pictures: Path
) -> None:
    elsewhere = pictures.parent / "elsewhere"
    shutil.move(pictures, elsewhere)
    code, _, err = neurflow("evaluate", run, "optimality", *FAST)
    assert code == 2 and "--images FOLDER" in err
    assert neurflow("evaluate", run, "crop-sizes", "--images", elsewhere).code == 0
    code, _, err = neurflow("evaluate", run, "fidelity", *FAST, "--images", elsewhere,
                            "--held-out", elsewhere)  # fmt: skip
    assert code == 2 and "made from all of the held-out pictures" in err
    files = sorted(elsewhere.iterdir())
    for one, other in pairwise(files):
        one.write_bytes(other.read_bytes())
    code, _, err = neurflow("evaluate", run, "stability", *FAST, "--images", elsewhere)
    assert code == 2 and "contents differ" in err
    files[0].unlink()
    code, _, err = neurflow("evaluate", run, "stability", *FAST, "--images", elsewhere)
    assert code == 2 and "1 of the circuit's 8 images are missing" in err


def test_with_all_protocols_those_that_cannot_run_are_listed(neurflow: Run, run: Path) -> None:
    code, out, _ = neurflow(
        "evaluate", run, "crop-sizes", "k", *FAST, "--k-reference", 500, "--json"
    )
    assert code == 0
    found = json.loads(out)
    assert [table["protocol"] for table in found["tables"]] == ["crop-sizes"]
    assert "k=500" in found["missing"]["k"]
