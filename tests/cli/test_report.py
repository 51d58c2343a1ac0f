"""``neurflow report`` and ``neurflow demo``: the page, its place, and opening it."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest

from neurflow import load_circuit
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that would be opened in a browser; a display is present."""
    addresses: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setattr(webbrowser, "open", lambda address: addresses.append(address) or True)
    return addresses


def test_page_is_written_and_opened(
    neurflow: Run, run_folder: Path, tmp_path: Path, opened: list[str]
) -> None:
    page = tmp_path / "bee.html"
    code, out, _ = neurflow("report", run_folder, "-o", page)
    assert code == 0
    assert out.startswith(f"{page} (")
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")
    assert opened == [page.as_uri()]


def test_the_page_is_in_the_run_by_default_and_need_not_be_opened(
    neurflow: Run, run_folder: Path, opened: list[str]
) -> None:
    assert neurflow("report", run_folder, "--no-open").code == 0
    data = json.loads(neurflow("report", run_folder, "--json").out)
    page = run_folder / "report.html"
    assert data == {"report": str(page), "bytes": page.stat().st_size}
    assert opened == []
    load_circuit(run_folder)


@pytest.mark.parametrize(
    "words",
    [
        ("report", "RUN", "-o"),
        ("debug", "RUN", "a.png", "--plot"),
        ("edit", "RUN", "--export"),
        ("evaluate", "RUN", "fidelity", "--out"),
    ],
)
def test_a_missing_folder_is_refused_before_any_work(
    neurflow: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    code, _, err = neurflow(*words, tmp_path / "nowhere" / "page.html")
    assert code == 2 and f"There is no folder '{tmp_path / 'nowhere'}'" in err


def test_fewer_crops_make_a_smaller_page(neurflow: Run, run_folder: Path, tmp_path: Path) -> None:
    sizes = []
    for count in ("16", "1"):
        page = tmp_path / f"{count}.html"
        code, out, _ = neurflow(
            "report", run_folder, "-o", page, "--crops", count, "--no-open", "--json"
        )
        assert code == 0
        assert json.loads(out)["bytes"] == page.stat().st_size
        sizes.append(page.stat().st_size)
    assert sizes[1] < sizes[0]
    assert neurflow("report", run_folder, "--crops", "0").code == 2


def test_a_missing_result_is_an_error(neurflow: Run, tmp_path: Path, opened: list[str]) -> None:
    assert neurflow("report", tmp_path / "none", "-o", tmp_path / "x.html").code == 2
    assert not (tmp_path / "x.html").exists()
    assert opened == []


def test_demo_finds_a_circuit_and_writes_its_page(
    neurflow: Run, tmp_path: Path, opened: list[str]
) -> None:
    folder = tmp_path / "demo"
    code, out, _ = neurflow("demo", "--pictures", 2, "--out", folder)
    assert code == 0
    assert out.startswith("taxi by the demo network")
    assert f"neurflow show {folder}" in out
    assert opened == [(folder / "report.html").as_uri()]
    assert load_circuit(folder).target.name == "taxi"
    assert neurflow("demo", "--target", "taxy", "--out", tmp_path / "none").code == 2
