"""No command that takes a result runs code from it. All registered commands are tested."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from neurflow.circuit import Circuit
from neurflow.cli import app
from neurflow.config import Config
from neurflow.refs import Target
from neurflow.server.server import Server
from neurflow.server.session import Session
from neurflow.sweeping.plan import Plan, add_to_plan, job_of
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]
RESULTS = {"RUN", "RUN_A", "RUN_B", "RUN|MODEL", "DIR", "DIR…"}
"""metavars of arguments and options that take a result, or a folder of results"""
OTHERS = {
    "IMAGES": "pictures",
    "IMAGE…": "pictures",
    "PROTOCOL…": "crop-sizes",
    "MODEL": "file:x.py:f",
    "GROUP": "block/0",
    "GROUP…": "block/0",
    "WORDS": "eyes",
    "TEXT": "eyes",
    "TARGET": "bee",
    "TARGET…": "bee",
    "TARGET:GROUP": "bee:block/0",
}
"""metavar of another required argument → its value; "pictures" is a folder"""
FILES = {"FOLDER", "FILE"}
"""metavars of options that may lead to more work on the result"""


def commands(
    group: Any = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every registered command, with its name on the command line."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def metavar(parameter: Any) -> str:
    return (parameter.metavar or "").removeprefix("[").removesuffix("]")


def calls() -> dict[str, list[str]]:
    """Name of a call → its words, in which ``@…`` stand for what the test makes."""
    found = {}
    for path, command in commands():
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        options = [each for each in command.params if each.param_type_name == "option"]
        words, takes = list(path), False
        for each in arguments:
            if metavar(each) in RESULTS:
                words.append("@sweep" if metavar(each).startswith("DIR") else "@run")
                takes = True
            elif each.required:
                words.append("@" + OTHERS[metavar(each)])
        for each in options:
            if each.required and takes:
                words += [each.opts[-1], "@folder"]
        if takes:
            found[" ".join(path)] = words
        for each in options:
            if takes and metavar(each).split("|")[0] in FILES and each.name != "weights":
                place = "@pictures" if metavar(each) == "FOLDER" else "@file"
                found[f"{' '.join(path)} {each.opts[0]}"] = [*words, each.opts[0], place]
    return found


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that the factory creates when it is run."""
    return tmp_path / "executed"


@pytest.fixture
def hostile(circuit: Circuit, tmp_path: Path, marker: Path) -> Circuit:
    """A circuit whose model is code of the attacker."""
    code = tmp_path / "hostile.py"
    code.write_text(f"import pathlib\npathlib.Path({str(marker)!r}).touch()\nmake = None\n")
    info = circuit.model.model_copy(update={"reference": f"file:{code}:make"})
    return circuit.model_copy(update={"model": info})


@pytest.fixture
def places(hostile: Circuit, tmp_path: Path, pictures: Path) -> dict[str, str]:
    """The values of the words that start with ``@``."""
    hostile.save(tmp_path / "run")
    target = Target(layer="head", neuron=2, name="bee")
    plan = Plan(
        model=hostile.model.digest, reference=hostile.model.reference, images="i", layers=None,
        config=Config(), max_images=None, jobs=(job_of(target),),
    )  # fmt: skip
    add_to_plan(tmp_path / "sweep", plan)
    folder = tmp_path / "sweep" / "circuits" / job_of(target).name
    hostile.save(folder)
    (folder / "work").mkdir()
    (folder / "work" / "finished.json").write_text("true")
    labelled = tmp_path / "labelled" / "bee"
    labelled.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(labelled / "a.png")
    return {
        "@run": str(tmp_path / "run"),
        "@sweep": str(tmp_path / "sweep"),
        "@pictures": str(labelled.parent),
        "@file": str(tmp_path / "some.html"),
        "@folder": str(tmp_path / "folder"),
    }


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server load its circuit and exit."""
    made = Server.__init__

    def init(self: Server, served: Any, **given: Any) -> None:
        made(self, served, **{**given, "port": 0})
        self._test_served = served  # type: ignore[attr-defined]

    def serve(self: Any) -> None:
        if isinstance(self._test_served, Session):
            self._test_served.start()
            self._test_served.worker.submit(lambda: None).result()
        self._socket.close()

    monkeypatch.setattr(Server, "__init__", init)
    monkeypatch.setattr(Server, "serve", serve)


@pytest.mark.parametrize("call", calls())
def test_commands_run_no_code_of_a_result(
    neurflow: Run, places: dict[str, str], marker: Path, call: str
) -> None:
    words = [places.get(word, word.removeprefix("@")) for word in calls()[call]]
    outcome = neurflow(*words, "--json")
    assert not marker.exists()
    assert "Traceback" not in outcome.err and "should not happen" not in outcome.err


def test_commands_that_need_a_model_say_how_to_name_it(
    neurflow: Run, places: dict[str, str], marker: Path
) -> None:
    """A named model does run, so the test above can fail."""
    for command in ("debug", "audit"):
        refused = neurflow(command, places["@run"], places["@pictures"])
        assert refused.code == 2 and not marker.exists()
        typed = shlex.split(refused.err.split("If you trust it: ")[1])
        assert typed[:3] == ["neurflow", command, places["@run"]]
        neurflow(*typed[1:])
        assert marker.exists()
        marker.unlink()
    label = ("label", "check", places["@run"], places["@pictures"])
    assert neurflow(*label).code == 2 and not marker.exists()
    neurflow(*label, *typed[-2:])
    assert marker.exists()


def test_every_command_that_takes_a_result_is_tested() -> None:
    """New commands are covered, because their arguments must be listed here."""
    called = {call.split()[0] for call in calls()}
    assert {"show", "report", "explore", "label", "edit", "debug", "audit", "compare"} <= called
    assert {"evaluate", "sweep", "atlas"} <= called
    assert json.dumps(calls())
