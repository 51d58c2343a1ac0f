"""Registered labelers: by the decorator, by an entry point, and on the command line."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from neurflow.circuit import Circuit, load_circuit
from neurflow.errors import RequestError
from neurflow.labels import LabelAnswer, registry
from neurflow.labels.registry import LABELERS, labeler_named, register, registered
from neurflow.runtime.registry import Registry

MODULE = """
from neurflow.labels import LabelAnswer


class Counting:
    source = "model"

    def __init__(self, word="things"):
        self.name, self.word = "counting", word

    def label(self, request):
        return LabelAnswer(label=f"{len(request.pictures)} {self.word}")
"""


def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all registered and loaded labelers until the test ends."""
    fresh = Registry[registry.Factory](LABELERS.what, LABELERS.group, direct=True)
    monkeypatch.setattr(registry, "LABELERS", fresh)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's package with a labeler, and one that cannot be imported."""
    (tmp_path / "my_labeler.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_labeler", raising=False)
    found = EntryPoints(
        EntryPoint(name, f"{module}:Counting", LABELERS.group)
        for name, module in (("counting", "my_labeler"), ("broken", "not_there"))
    )
    monkeypatch.setattr("neurflow.runtime.registry.entry_points", lambda **of: found.select(**of))
    empty(monkeypatch)


def test_an_entry_point_is_found_by_the_command_line(
    neurflow, planted: Circuit, tmp_path: Path, installed: None
) -> None:
    planted.save(tmp_path / "run")
    ask = ("label", "ask", tmp_path / "run", "--labeler", "counting", "--no-validation")
    code, out, err = neurflow(*ask, "--labeler-option", "word=crops", "--shown", 5)
    assert code == 0, err
    assert "Nothing is sent" in err
    group = load_circuit(tmp_path / "run").group("early/0")
    assert group.label == "5 crops" and group.evidence.author == "counting"
    assert "5 crops" in out
    for option, words in (("colour=red", "does not accept these options"), ("word", "KEY=VALUE")):
        code, _, err = neurflow(*ask, "--labeler-option", option)
        assert code == 2 and words in err
    code, _, err = neurflow(*ask[:-2], "broken")
    assert code == 2 and "importing that fails" in err
    code, _, err = neurflow(*ask[:-2], "countin")
    assert code == 2 and "Near names: counting" in err


def test_the_decorator_registers_once(monkeypatch: pytest.MonkeyPatch, installed: None) -> None:
    empty(monkeypatch)

    @register("mine")
    class Mine:
        name, source = "mine", "model"

        def label(self, request: object) -> LabelAnswer:
            return LabelAnswer(label="x")

    assert isinstance(labeler_named("mine"), Mine)
    assert registered() == ("broken", "counting", "mine")
    assert register("mine")(Mine) is Mine
    with pytest.raises(RequestError, match="Another labeler"):
        register("mine")(type("Other", (), {}))


def test_the_example_of_the_docs_runs(
    planted: Circuit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty(monkeypatch)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_labeler", raising=False)
    monkeypatch.chdir(tmp_path)
    planted.save("runs/bee")
    docs = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()
    section = docs[docs.index("## A labeler") :]
    module, use = re.findall(r"```python\n(.*?)```", section, re.S)[:2]
    (tmp_path / "my_labeler.py").write_text(module)
    names: dict[str, object] = {}
    exec(use, names)
    groups = [group for layer in load_circuit("runs/bee").layers for group in layer.groups]
    assert {group.label for group in groups} <= {"red", "green", "blue"}
