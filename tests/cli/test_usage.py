"""Help, wrong requests, and the hyperparameters as options."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

import neurflow as package
from neurflow.cli._options import config_from, names, numbers
from neurflow.config import Config
from neurflow.errors import RequestError
from tests.cli.conftest import Outcome

COMMANDS = (
    "demo",
    "layers",
    "discover",
    "show",
    "report",
    "edit",
    "debug",
    "audit",
    "compare",
    "evaluate",
    "explore",
    "doctor",
    "sweep run",
    "sweep status",
    "sweep merge",
    "atlas query",
    "atlas map",
    "label ask",
    "label words",
    "label set",
    "label search",
    "label check",
)
Run = Callable[..., Outcome]


def test_help_lists_the_commands(neurflow: Run) -> None:
    code, out, _ = neurflow("--help")
    assert code == 0
    assert all(command.split()[0] in out for command in COMMANDS)
    for option in ("--version", "-V"):
        assert neurflow(option).out == f"neurflow {package.__version__}\n"


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys\nfrom neurflow.cli import main\ntry:\n    main(['--help'])\n"
        "except SystemExit:\n    print({'torch', 'pandas', 'scipy', 'numpy', 'PIL'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.endswith("set()\n"), found.stdout


def test_reading_a_circuit_imports_nothing_slow() -> None:
    code = (
        "import sys\nfrom neurflow import load_circuit\nload_circuit\n"
        "print({'torch', 'pandas', 'scipy', 'networkx', 'jaxtyping'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout == "set()\n", found.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_json_and_traceback(neurflow: Run, command: str) -> None:
    code, out, _ = neurflow(*command.split(), "--help")
    assert code == 0
    assert "--json" in out
    assert all(option in out for option in ("--traceback", "--quiet", "--verbose"))
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("shwo",), "Did you mean 'show'?\nSee: neurflow --help"),
        (("show",), "Missing argument 'RUN'.\nSee: neurflow show --help"),
        (("show", "x", "--bottom"), "No such option: --bottom"),
        (("show", "x", "--top", "many"), "valid integer"),
        (("discover", "torchvision:resnet18", "x"), "Missing option '--target'."),
        (("discover", "m", "x", "--target", "1", "--sharing", "no"), "'no' is not one of"),
        (("discover", "m", "x", "--target", "1", "--tau", "0"), "tau=0"),
        (("discover", "m", "x", "--target", "1", "--mean", "x"), "Write --mean 0.5 or --mean 0."),
        (("discover", "m", "x", "--target", "1"), "Write torchvision:NAME"),
        (("layers", "torchvision:resnet19"), "Near names: resnet1"),
        (("layers", "resnet18"), "Did you mean torchvision:resnet18?"),
        (("layers", "Torchvision:resnet18"), "Did you mean torchvision:resnet18?"),
        (("layers", "model.onnx"), "Did you mean onnx:model.onnx?"),
        (("layers", "net.py"), "Did you mean file:net.py:factory?"),
        (("show", "nowhere"), "There is no result in nowhere."),
        (("edit", "nowhere"), "There is no result in nowhere."),
        (("sweep", "status", "nowhere"), "There is no sweep in nowhere."),
        (("atlas", "query", "nowhere"), "nowhere has no atlas yet."),
        (("label", "set", "nowhere", "a/0", "x"), "There is no result in nowhere."),
        (("show", "no where"), "discover … --out 'no where'"),
        (("show", ""), "A path is empty."),
        (("discover", "m", "x", "--target", "1", "--out="), "A path is empty."),
        (("discover", "", "x", "--target", "1"), "Unknown model reference ''"),
    ],
)
def test_wrong_requests_give_exit_code_2_and_two_lines(
    neurflow: Run, arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = neurflow(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("Error: ")
    assert words in err
    assert len(err.splitlines()) <= 2


def test_options_on_output_before_the_command_are_refused_with_their_place(neurflow: Run) -> None:
    told = neurflow("-v", "doctor")
    assert told.code == 2 and "belongs after a command: neurflow COMMAND -v" in told.err


def test_quiet_and_verbose_exclude_each_other(neurflow: Run) -> None:
    told = neurflow("doctor", "-q", "-v")
    assert told.code == 2 and "Quiet and verbose exclude each other." in told.err


def test_every_hyperparameter_is_an_option(neurflow: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    shown = " ".join(neurflow("discover", "--help").out.split())
    for name, field in Config.model_fields.items():
        assert f"--{name.replace('_', '-')} " in shown
        assert field.description[1:] in shown
    assert "Crop sizes, as shares" in shown and "τ, number" in shown and "k, number" in shown
    assert "--steps NUMBER|auto N, number" in shown and "--granularities A,B,… Crop" in shown


def test_options_set_the_config() -> None:
    assert config_from(dict.fromkeys(Config.model_fields)) == Config()
    given = {"tau": 4, "granularities": "1, 0.5", "groups": "7", "crops_per_image": 2}
    assert config_from(given) == Config(tau=4, granularities=(1, 0.5), groups=7, crops_per_image=2)
    assert config_from({"groups": "auto"}).groups == "auto"
    assert config_from({"crops_per_image": "none"}).crops_per_image is None
    for wrong in ({"granularities": "1,2"}, {"groups": "some"}, {"granularities": ""}):
        with pytest.raises(RequestError, match="Not a valid Config"):
            config_from(wrong)


def test_single_options_override_the_preset() -> None:
    assert config_from({"preset": "published"}) == Config.published()
    given = {"preset": "published", "steps": "auto", "tau": 8, "crops_per_image": "2"}
    assert config_from(given) == Config.published(steps="auto", tau=8, crops_per_image=2)
    with pytest.raises(RequestError, match=r"no preset 'exact'\. Known: default, published, quick"):
        config_from({"preset": "exact"})


def test_lists_of_numbers_and_names() -> None:
    assert numbers("0.5", "--mean") == 0.5
    assert numbers("0.485,0.456,0.406", "--mean") == (0.485, 0.456, 0.406)
    assert numbers(None, "--mean") is None
    assert names("layer4.0, fc,") == ["layer4.0", "fc"]
    assert names(["layer4.0, fc", "a"]) == ["layer4.0", "fc", "a"]
    assert names(None) is None
