"""Options that cannot go together, or would do nothing, are refused before anything is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]
SET = ("--set", "block/1", "words")

TOGETHER = [
    ("label @run", *SET, "--dry-run"),
    ("label @run", *SET, "--reject", "block/0"),
    ("label @run", *SET, "--pin", "block/0"),
    ("label @run --pin block/0 --unpin block/0",),
    ("label @run", *SET, "--find", "x"),
    ("label @run", *SET, "--chat-model", "m"),
    ("label @run", *SET, "--group", "block/1"),
    ("label @run", *SET, "--concepts", "x"),
    ("label @run --find x --dry-run",),
    ("label @run --find x --chat-model m",),
    ("label @run --unpin block/0 --caption x",),
    ("label @run --chat-model m --author me",),
    ("label @run --concepts x --dry-run",),
    ("label @run --clip x --vocabulary y --base-url http://a/v1",),
    ("label @run --chat-model m --vocabulary y",),
    ("label @run --chat-model m --weights random",),
    ("label @run --chat-model m --no-validation --judge-model n",),
    ("label @run --chat-model m --key-env A --key-file b",),
    ("sweep torchvision:resnet18 @run --out @out --gpus 1",),
    ("sweep torchvision:resnet18 @run --out @out --cpus 2",),
    ("sweep torchvision:resnet18 @run --out @out --address auto",),
    ("sweep --status @run --out @out",),
    ("sweep --status @run --merge @run --out @out",),
    ("sweep --merge @run --out @out --workers 2",),
    ("sweep torchvision:resnet18 @run --merge @run --out @out",),
    ("sweep --merge @run --out @out --tau 3",),
    ("atlas @run --serving --nearest A",),
    ("atlas @run --serving --by crops",),
    ("atlas @run --serving --without B",),
    ("atlas @run --top 3",),
    ("atlas @run --map-only",),
    ("atlas @run --pages @out --serving --renew",),
    ("atlas @run", "SELECT 1", "--top", "3"),
    ("debug @run @run --by mean",),
    ("debug @run @run --seed 3",),
    ("debug @run @run --random 3",),
    ("evaluate @run k --target bee",),
    ("evaluate @run k --out @out",),
    ("evaluate torchvision:resnet18 k --model torchvision:resnet18",),
    ("edit @run --undo --redo",),
    ("show @run --layer block --group block/0",),
]


@pytest.mark.parametrize("words", TOGETHER, ids=" ".join)
def test_refused_and_nothing_is_done(
    neurflow: Run, run_folder: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    def tree() -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    before = tree()
    places = {"@run": run_folder, "@out": tmp_path / "out"}
    given = [places.get(word, word) for word in (*words[0].split(), *words[1:])]
    code, out, err = neurflow(*given)
    assert (code, out) == (2, ""), err
    assert len(err.splitlines()) <= 2 and "Traceback" not in err
    assert tree() == before


def test_of_a_sweep_nothing_is_explored_that_only_a_result_has(
    neurflow: Run, tmp_path: Path
) -> None:
    (tmp_path / "atlas").mkdir()
    code, _, err = neurflow("explore", tmp_path, "--model", "torchvision:resnet18")
    assert code == 2 and "--model goes with a single result" in err


def test_what_goes_together_is_done(neurflow: Run, run_folder: Path) -> None:
    code, out, _ = neurflow("label", run_folder, *SET, "--caption", "c", "--author", "a", "--json")
    assert code == 0 and json.loads(out)["groups"][0]["caption"] == "c"
    again = neurflow("label", run_folder, "--reject", "block/1", "--reject", "block/0")
    assert again.code == 0 and again.out.count("no label") == 2
