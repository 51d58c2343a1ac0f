"""Every benchmark can be imported and prints its help."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks
import pytest
import torch
from benchmarks.attribution import task_on

from neurflow import Model
from neurflow.attribution.streaming import attribute
from tests.networks import SmallNet, settle

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    if not module.ispkg and not module.name.endswith("__main__")
)
COMMANDS = ("benchmarks.discovery", "benchmarks.gpu", "benchmarks.fire.kills")
"""some of the modules with a command line"""


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_can_be_imported_and_prints_its_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = getattr(importlib.import_module(name), "main", None)
    if main is None:
        assert name not in COMMANDS
        return
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage:")


def test_the_command_lines_are_among_the_modules() -> None:
    assert set(COMMANDS) <= set(MODULES)


def test_the_task_of_the_attribution_benchmark_is_one_of_the_package() -> None:
    images = torch.rand(3, 3, 32, 32)
    model = Model(settle(SmallNet()), transform=lambda _: images[0])
    segment = model.segment("block1", "block2")
    keys = list(segment.observed)
    with torch.no_grad():
        values = dict(zip(keys, model.outputs(keys)(images), strict=True))
    found = attribute(task_on(model, segment, values, [1, 2]), steps="auto")
    assert all(scores.importance.any() and scores.score_error < 0.01 for scores in found.values())
