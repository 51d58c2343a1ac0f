"""``neurflow discover``: from pictures to a stored circuit, with interruptions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import torchvision

from neurflow import load_circuit
from neurflow.cli import _finished
from neurflow.cli._terminal import Bar
from neurflow.cli.discover import default_folder
from neurflow.runtime.workspace import Workspace
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture
def request_line(small_model: str, pictures: Path) -> tuple[object, ...]:
    options = "--target bee --concept-set all --layers block1,block2,block3,head"
    options += " --tau 3 --k 10 --steps 8 --granularities 1,0.5"
    return ("discover", small_model, pictures, *options.split())


def test_pictures_give_a_stored_circuit(
    neurflow: Run, request_line: tuple[object, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "my runs" / "bee"
    code, out, _ = neurflow(*request_line, "--out", folder)
    assert code == 0
    assert out.startswith("bee by file:")
    assert "small.py:small\n8 images, 80 crops, 4 layers" in out
    assert f"The result is in {folder} (" in out
    assert f"neurflow show '{folder}'" in out
    assert f"neurflow report '{folder}'" in out
    circuit = load_circuit(folder)
    assert circuit.config.tau == 3
    assert circuit.config.granularities == (1, 0.5)
    assert [len(layer.neurons) for layer in circuit.layers][-2:] == [3, 1]


def test_a_finished_run_is_reused_and_another_request_is_refused(
    neurflow: Run, request_line: tuple[object, ...], tmp_path: Path
) -> None:
    first = neurflow(*request_line, "--out", tmp_path / "bee", "--json")
    again = neurflow(*request_line, "--out", tmp_path / "bee", "--json")
    assert (again.code, again.out) == (0, first.out)
    assert json.loads(again.out)["result"] == str(tmp_path / "bee")
    assert "already" in again.err
    code, out, err = neurflow(*request_line, "--out", tmp_path / "bee", "--tau", 2)
    assert (code, out) == (2, "")
    assert "--out" in err


def test_an_interrupted_run_is_resumed(
    neurflow: Run,
    request_line: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = neurflow(*request_line, "--out", tmp_path / "whole", "--json")
    stages: list[str] = []
    begin = Bar.start

    def start(bar: Bar, stage: str, total: int) -> None:
        if stage == stop_at:
            raise KeyboardInterrupt
        stages.append(stage)
        begin(bar, stage, total)

    monkeypatch.setattr(Bar, "start", start)
    stop_at = "block2 → block1"
    stopped = neurflow(*request_line, "--out", tmp_path / "bee")
    assert stopped.code == 130
    assert "Re-run the same command" in stopped.err
    assert neurflow("show", tmp_path / "bee").err.startswith("Error: The run in")
    done = {stage for stage in stages if "→" in stage and "score error" not in stage}
    assert done == {"head → block3", "block3 → block2"}

    stages.clear()
    stop_at = ""
    resumed = neurflow(*request_line, "--out", tmp_path / "bee", "--json")
    assert resumed.code == 0
    assert not done & set(stages)
    assert "block2 → block1" in stages
    expected = json.loads(whole.out) | {"result": str(tmp_path / "bee")}
    assert json.loads(resumed.out) == expected


def test_the_default_folder_is_named_after_model_and_target(
    neurflow: Run,
    request_line: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert default_folder("torchvision:resnet18", "Golden retriever") == Path(
        "runs/resnet18-golden-retriever"
    )
    assert default_folder("timm:a/b.c", "layer4.1/7") == Path("runs/a-b.c-layer4.1-7")
    assert default_folder("file:../x.py:make", "..") == Path("runs/make")
    monkeypatch.chdir(tmp_path)
    assert neurflow(*request_line).code == 0
    assert (tmp_path / "runs" / "small-bee" / "circuit.json").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--target wsp", "There is no class 'wsp'. Near names: wasp"),
        ("--target bee --layers block3,block1", "block1"),
        ("--target bee --layers blok1,head", "Near names: block1"),
        ("--target bee --k 100000 --concept-set all", "--k"),
        ("--target bee --weights none.pth", "none.pth"),
    ],
)
def test_wrong_requests(
    neurflow: Run, small_model: str, pictures: Path, tmp_path: Path, options: str, words: str
) -> None:
    code, out, err = neurflow(
        "discover", small_model, pictures, *options.split(), "--out", tmp_path / "run"
    )
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) <= 2


@pytest.fixture
def named_line(pictures: Path, tmp_path: Path) -> tuple[object, ...]:
    """A request whose model does not need code of the user."""
    torch.manual_seed(0)
    weights = tmp_path / "weights.pth"
    torch.save(torchvision.models.squeezenet1_1(num_classes=1000).state_dict(), weights)
    options = f"--weights {weights} --input-size 64 --resize 64 --target 3 --concept-set all"
    options += " --layers features.10,features.12,classifier.3 --tau 2 --k 4 --steps 4"
    options += f" --granularities 1 --out {tmp_path / 'run'} --json"
    return ("discover", "torchvision:squeezenet1_1", pictures, *options.split())


def test_a_finished_run_is_recognised_before_its_network_is_loaded(
    neurflow: Run, named_line: tuple[object, ...], pictures: Path, tmp_path: Path
) -> None:
    first = neurflow(*named_line)
    assert first.code == 0
    line = [str(part) for part in named_line]
    code = f"""
import sys
from neurflow.cli import main
try:
    main({line!r})
finally:
    assert "torch" not in sys.modules
"""
    again = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert again.stdout == first.out
    assert "nothing to do" in again.stderr
    assert set(json.loads(first.out)["notes"]) <= set(again.stderr.splitlines())


@pytest.mark.parametrize("change", ["a picture", "the weights", "an option", "the result"])
def test_the_network_is_loaded_if_anything_has_changed(
    neurflow: Run, pictures: Path, tmp_path: Path, change: str
) -> None:
    weights, run = tmp_path / "weights.pth", tmp_path / "run"
    weights.write_bytes(b"1")
    (run / "work").mkdir(parents=True)
    (run / "circuit.json").write_text("{}")
    options = {"weights": str(weights), "tau": 2, "memory": "2GB", "class_names": None}
    request = partial(_finished.asked, "torchvision:resnet18", pictures, "bee")
    asked = request(options)
    assert asked == request({**options, "memory": "1GB"})
    answer = _finished.Answer(
        asked=str(asked),
        result=_finished.result(run),
        data={},
        heading="[bold]bee[/bold]",
        notes=("one",),
        named="",
    )
    Workspace(run / "work").write("finished", True)
    _finished.remember(run, answer)
    assert _finished.recall(run, request(options)) == answer
    if change == "a picture":
        (pictures / "new.png").write_bytes(b"")
    elif change == "the weights":
        weights.write_bytes(b"22")
    elif change == "an option":
        options["tau"] = 3
    else:
        (run / "circuit.json").write_text("{ }")
    assert _finished.recall(run, request(options)) is None


def test_networks_from_code_or_with_random_weights_are_always_loaded(pictures: Path) -> None:
    assert _finished.asked("file:a.py:net", pictures, "bee", {}) is None
    assert _finished.asked("torchvision:vgg11", pictures, "bee", {"weights": "random"}) is None
    pattern = pictures / "*.png"  # which files it matches is not known here
    assert _finished.asked("torchvision:vgg11", pattern, "bee", {}) is None
