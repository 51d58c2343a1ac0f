"""``neurflow explore`` prints its address, serves there, and ends on Ctrl-C without a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from neurflow.circuit import Circuit
from neurflow.cli.explore import _samples
from neurflow.demo.network import REFERENCE
from neurflow.demo.pictures import CLASSES
from tests.cli.conftest import Outcome
from tests.pages.conftest import built as built

Run = Callable[..., Outcome]


def test_it_serves_until_it_is_interrupted(run_folder: Path, built: None) -> None:
    command = [sys.executable, "-c", "from neurflow.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "explore", str(run_folder), "--port", "0", "--json", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout
    told = ""
    while not told.endswith("}\n"):
        told += process.stdout.readline()
    url = json.loads(told)["url"]
    with urllib.request.urlopen(f"{url}api/circuit") as answer:
        assert json.load(answer)["target"] == "bee"
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate()
    assert (process.returncode, rest, err) == (0, "", "")


def test_a_required_model_reference_is_reported_before_serving(
    neurflow: Run, circuit: Circuit, tmp_path: Path, built: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: None)
    info = circuit.model.model_copy(update={"reference": "file:a.py:b"})
    run_folder = tmp_path / "run"
    circuit.model_copy(update={"model": info}).save(run_folder)
    outcome = neurflow("explore", run_folder, "--port", "0", "--no-open")
    assert "Only the stored result can be explored." in outcome.err
    assert f"explore {run_folder} --port 0 --no-open --model file:a.py:b" in outcome.err
    named = neurflow("explore", run_folder, "--port", "0", "--no-open", "--model", "file:a.py:b")
    assert "Only the stored" not in named.err


def test_the_demo_draws_sample_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurflow.pictures.images.load_images", lambda drawn, model: drawn)
    demo = SimpleNamespace(info=SimpleNamespace(reference=REFERENCE))
    labels = [label for _, label in _samples(demo, None)]  # type: ignore[arg-type, union-attr]
    assert set(labels) == set(CLASSES)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nowhere",), 2, "There is no result in nowhere"),
        (("--images", "nowhere"), 2, "There is no folder of images at 'nowhere'"),
        (("--token", "ab-c"), 2, "at least 8 letters and digits"),
        (("--token-file", "nowhere"), 2, "The token in nowhere cannot be read"),
        (("--token", "abcdefgh", "--token-file", "a"), 2, "--token and --token-file exclude"),
        (
            ("--host", "192.0.2.1"),
            2,
            "Cannot listen on '192.0.2.1': this machine has no such address",
        ),
    ],
)
def test_wrong_requests(
    neurflow: Run, run_folder: Path, built: None, arguments: tuple[str, ...], code: int, words: str
) -> None:
    given = arguments if arguments[0] == "nowhere" else (run_folder, *arguments)
    outcome = neurflow("explore", *given, "--no-open")
    assert outcome.code == code
    assert words in outcome.err
    assert "Traceback" not in outcome.err
