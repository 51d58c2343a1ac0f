"""Options that exclude each other or would have no effect are rejected before any work is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]
TOGETHER = [
    ("label ask @run --chat-model m --labeler n",),
    ("label ask @run --chat-model m --labeler-option a=b",),
    ("label ask @run --labeler n --base-url http://a/v1",),
    ("label ask @run --labeler n --price-in 1",),
    ("label ask @run --chat-model m --no-validation --judge-model n",),
    ("label ask @run --chat-model m --key-env A --key-file b",),
    ("label words @run --clip x --vocabulary y --base-url http://a/v1",),
    ("label words @run --clip x",),
    ("label search @run x --device cuda",),
    ("sweep run torchvision:resnet18 @run --out @out --gpus 1",),
    ("sweep run torchvision:resnet18 @run --out @out --cpus 2",),
    ("sweep run torchvision:resnet18 @run --out @out --address auto",),
    ("sweep merge @run",),
    ("debug @run @run --ablation mean",),
    ("debug @run @run --seed 3",),
    ("debug @run @run --random 3",),
    ("evaluate @run k --target bee",),
    ("evaluate @run k --run @out",),
    ("evaluate torchvision:resnet18 k --model torchvision:resnet18",),
    ("edit @run --undo --redo",),
    ("show @run --layer block --group block/0",),
    # old spellings
    ("label @run --set block/1 words --reject block/0",),
    ("label @run --find x --chat-model m",),
    ("label @run --chat-model m --clip x",),
    ("label @run --concepts x --dry-run",),
    ("sweep --status @run --merge @run",),
    ("sweep --status @run --out @out",),
    ("sweep torchvision:resnet18 @run --merge @run --out @out",),
    ("atlas @run --serving --nearest A",),
    ("atlas @run --serving --by crops",),
]


@pytest.mark.parametrize("words", TOGETHER, ids=" ".join)
def test_conflicting_options_are_refused_before_any_work(
    neurflow: Run, run_folder: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    def tree() -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    before = tree()
    places = {"@run": run_folder, "@out": tmp_path / "out"}
    given = [places.get(word, word) for word in (*words[0].split(), *words[1:])]
    code, out, err = neurflow(*given)
    assert (code, out) == (2, ""), err
    assert len(err[err.index("Error: ") :].splitlines()) <= 2 and "Traceback" not in err
    assert tree() == before


def test_options_for_results_are_refused_with_a_sweep(neurflow: Run, tmp_path: Path) -> None:
    (tmp_path / "atlas").mkdir()
    code, _, err = neurflow("explore", tmp_path, "--model", "torchvision:resnet18")
    assert code == 2 and "--model has no effect without a single result" in err
