"""``neurflow debug`` and ``neurflow audit``: text, JSON, a page and a picture from a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neurflow.cli import main
from neurflow.cli._debugging import _signal
from neurflow.stats import Interval
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]
Capture = pytest.CaptureFixture[str]
SETTINGS = ("--tau", 4, "--k", 5, "--steps", 4, "--granularities", "1,0.5", "--groups", 2)


@pytest.fixture
def neurflow(naming: Run) -> Run:
    """Commands with the network of the result named by ``--model``."""
    return naming


@pytest.fixture
def labelled(pictures: Path) -> Path:
    """The pictures as class folders, four of each class."""
    folder = pictures.parent / "labelled"
    for i, file in enumerate(sorted(pictures.iterdir())):
        place = folder / ("bee" if i % 2 else "ant")
        place.mkdir(parents=True, exist_ok=True)
        file.rename(place / file.name)
    return folder


@pytest.fixture
def run(neurflow: Run, small_model: str, labelled: Path, tmp_path: Path) -> Path:
    """A run of the small network."""
    out = tmp_path / "found"
    code, _, err = neurflow(
        "discover", small_model, labelled, "--target", "bee", "--concept-set", "all",
        "--layers", "block2,block3,head", "--out", out, *SETTINGS,
    )  # fmt: skip
    assert code == 0, err
    return out


def test_a_picture_is_explained_and_a_group_masked(
    neurflow: Run, run: Path, labelled: Path, tmp_path: Path
) -> None:
    picture = labelled / "bee" / "1.png"
    page, plot = tmp_path / "why.html", tmp_path / "why.png"
    code, out, err = neurflow(
        "debug", run, picture, "--mask", "block3/0", "--random", 3, "-o", page, "--plot", plot,
        "--no-open",
    )  # fmt: skip
    assert code == 0, err
    assert "What if block3/0 were masked" in out
    assert max(map(len, out.replace(str(tmp_path), "").splitlines())) <= 80
    assert page.read_text().startswith("<!doctype html>")
    with Image.open(plot) as drawn:
        assert np.asarray(drawn.convert("L")).std() > 10

    masks = ("--mask", "block3/0", "--mask", "block2/0")
    code, out, _ = neurflow("debug", run, picture, *masks, "--random", 3, "--json")
    found = json.loads(out)
    assert found["what_if"]["change"]["groups"] == ["block3/0", "block2/0"]
    assert list(found["what_if"]["change"]["neurons"]) == ["block2", "block3"]
    assert found["pictures"][0]["name"] == "1.png"
    assert len(found["pictures"][0]["groups"]) > 3


def test_a_folder_with_mistakes_and_an_audit(
    neurflow: Run, run: Path, labelled: Path, tmp_path: Path
) -> None:
    (labelled / "bee" / "broken.png").write_bytes(b"no picture")
    code, out, err = neurflow(
        "debug", run, labelled, "--errors", "--keep", "block3/0", "--ablation", "0.5"
    )
    assert code == 0, err
    assert "Skipped bee/broken.png: not a picture, or damaged." in err
    assert "Mistakes of bee" in out
    assert "accuracy" in out

    page = tmp_path / "audit.html"
    code, out, err = neurflow("audit", run, labelled, "--json", "-o", page)
    assert code == 0, err
    assert "Skipped bee/broken.png: not a picture, or damaged." in err
    found = json.loads(out)
    assert found["pictures"] == 8
    assert found["skipped"][0]["name"] == "bee/broken.png"
    first = found["groups"][0]
    said = neurflow("audit", run, labelled).out
    assert f"neurflow debug {run} {labelled} --mask {first['id']} --ablation {first['by']}" in said
    evidence = [group["evidence"] for group in found["groups"]]
    assert evidence == sorted(evidence, reverse=True)
    assert page.is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--mask", "block3/9"), 2, "no group 'block3/9'. Near names: block3/"),
        (("--mask", "block2/0", "--mask", "head/0"), 2, "head/0 is the target itself"),
        (
            ("--mask", "block2/0", "--ablation", "half"),
            2,
            "--ablation 'half' is neither zero, mean nor a number",
        ),
        (("--errors",), 2, "or a label for all pictures: --label CLASS"),
        (("--model", "torchvision:resnet18", "--weights", "random"), 2, "found in another model"),
    ],
)
def test_wrong_requests(
    neurflow: Run, run: Path, labelled: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    outcome = neurflow("debug", run, labelled / "bee" / "1.png", *arguments)
    assert outcome.code == code
    assert words in outcome.err
    assert "Traceback" not in outcome.err


def test_a_corrupt_picture_is_an_error_only_by_itself(
    neurflow: Run, run: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    outcome = neurflow("debug", run, broken)
    assert outcome.code == 2
    assert "No picture can be read. The first is broken.png: not a picture" in outcome.err


def test_a_module_passed_in_python_cannot_be_reloaded(run_folder: Path, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["debug", str(run_folder), str(run_folder)])
    assert ended.value.code == 2
    assert "Give it as --model file:module.py:factory" in capsys.readouterr().err


def test_signals_that_round_to_zero_have_no_sign() -> None:
    assert _signal(Interval(-0.001, -0.002, 0.0)) == ".00±.00"
    assert _signal(Interval(-0.25, -0.3, -0.2)) == "-.25±.05"
