"""Fixtures that run the command line, and a small network and pictures for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from neurflow.circuit import Circuit
from neurflow.circuit.reload import reload_model
from neurflow.cli import main
from neurflow.model import Model

FACTORY = """
import neurflow
from tests.networks import SmallNet, seeded, settle
from torchvision.transforms import Compose, Resize, ToTensor

CLASSES = ["ant", "bee", "fly", "wasp"]

def small():
    transform = Compose([Resize(32), ToTensor()])
    return neurflow.Model(settle(seeded(SmallNet)), transform=transform, class_names=CLASSES)
"""


def model_of(circuit: Circuit) -> Model:
    """The model of a result that a test has made, so its code can be trusted."""
    return reload_model(circuit, circuit.model.reference)


class Outcome(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def neurflow(plain: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Run a command line in this process, 80 columns wide."""
    return plain


@pytest.fixture
def plain(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """The same, by default; test files can override it."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def run_folder(circuit: Circuit, tmp_path: Path) -> Path:
    """The hand-written circuit, stored."""
    circuit.save(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def small_model(tmp_path: Path) -> str:
    """Reference of a small network of four classes."""
    file = tmp_path / "small.py"
    file.write_text(FACTORY)
    return f"file:{file}:small"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of eight pictures of coloured noise, 32 by 32."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((32, 32)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def naming(plain: Callable[..., Outcome], small_model: str) -> Callable[..., Outcome]:
    """Run a command line, with ``--model`` for the small network where its result is used."""

    def run(command: str, subject: object, *rest: object) -> Outcome:
        loads = command in ("debug", "audit", "evaluate") and isinstance(subject, Path)
        named = ("--model", small_model) if loads and "--model" not in rest else ()
        return plain(command, subject, *rest, *named)

    return run
