"""Defaults from the environment and from a settings file, and options that a file cannot set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from neurflow.cli import app
from neurflow.cli._defaults import SETTABLE, _leaves, _options, defaults
from neurflow.errors import RequestError
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]


def found(folder: Path, **environment: str) -> dict[str, Any]:
    return defaults(typer.main.get_command(app), folder, environment)


def test_specific_settings_and_the_environment_take_precedence(
    tmp_path: Path,
) -> None:
    (tmp_path / "neurflow.toml").write_text(
        'device = "cuda"\ntau = 4\ngranularities = [1.0, 0.5]\n[discover]\ntau = 5\n'
        "[label.ask]\nseed = 7\n"
    )
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    made = found(inner, NEURFLOW_K="9", NEURFLOW_SWEEP_RUN_TAU="6", NEURFLOW_LABEL_ASK_LAYER="a,b")
    assert made["discover"]["tau"] == 5 and made["sweep"]["run"]["tau"] == "6"
    assert made["discover"]["device"] == made["explore"]["device"] == "cuda"
    assert made["discover"]["k"] == "9" and made["discover"]["granularities"] == ["1.0,0.5"]
    assert made["label"]["ask"] == {"seed": 7, "layer": ["a,b"]}
    assert "tau" not in made["show"]


def test_a_wrong_value_that_was_not_typed_says_where_it_may_be_from(
    neurflow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURFLOW_QUIET", "maybe")
    told = neurflow("show", "somewhere").err
    assert "'--quiet'" in told and "from a variable or a settings file" in told
    assert "settings file" not in neurflow("show", "somewhere", "--quiet=maybe").err


def test_a_misspelt_variable_is_reported_once_and_has_no_effect(
    neurflow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("NEURFLOW_TUA", "NEURFLOW_SHOW_TOPP", "NEURFLOW_REAL_DATA", "NEURFLOW_XYLOPHONE"):
        monkeypatch.setenv(name, "4")
    code, out, err = neurflow("doctor")
    assert code == 0 and "NEURFLOW_TUA (sets no option)" in " ".join(out.split())
    assert err.splitlines() == [
        "Note: NEURFLOW_SHOW_TOPP sets no option. Did you mean NEURFLOW_SHOW_TOP?",
        "Note: NEURFLOW_TUA sets no option. Did you mean NEURFLOW_TAU?",
    ]
    assert neurflow("doctor", "-q").err == ""
    monkeypatch.setenv("NEURFLOW_QUIET", "1")
    assert neurflow("doctor").err == ""


@pytest.mark.parametrize(
    "words", [("show",), ("shwo",), ("show", "x", "--topp", "3"), ("show", "x")]
)
@pytest.mark.parametrize("by_file", [False, True])
def test_failures_are_json_if_a_default_asks_for_it(
    neurflow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str], by_file: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    if by_file:
        (tmp_path / "neurflow.toml").write_text("json = true\n")
    else:
        monkeypatch.setenv("NEURFLOW_JSON", "1")
    code, out, _ = neurflow(*words)
    assert code == 2 and json.loads(out)["error"]["exit_code"] == 2


def test_an_unreadable_settings_file_is_json_if_the_environment_asks_for_it(
    neurflow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "neurflow.toml").write_text("top = \n")
    monkeypatch.setenv("NEURFLOW_JSON", "on")
    assert json.loads(neurflow("doctor").out)["error"]["kind"] == "RequestError"


def test_only_the_table_of_pyproject_is_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert found(tmp_path)["show"] == {}
    (tmp_path / "pyproject.toml").write_text(
        "[tool.neurflow]\ntop = 2\n[tool.neurflow.show]\ntop = 3"
    )
    made = found(tmp_path)
    assert (made["show"]["top"], made["audit"]["top"]) == (3, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("taus_ = 3", "which is not an option"),
        ("[shwo]\ntop = 3", "which is not a command"),
        ("[show]\ntau = 3", "which is not an option"),
        ("top = ", "Cannot read the settings"),
        ("[tool.neurflow]\ntop = 3", "Leave out 'tool.neurflow'"),
        ('model = "file:x.py:f"', "NEURFLOW_MODEL"),
        ('base_url = "http://evil"', "NEURFLOW_BASE_URL"),
        ('[label.ask]\nkey_file = "/etc/passwd"', "NEURFLOW_KEY_FILE"),
        ('out = "x"', "NEURFLOW_OUT"),
        ('eyes = "timm:x"', "NEURFLOW_EYES"),
    ],
)
def test_options_that_a_file_cannot_set(
    neurflow: Run, tmp_path: Path, monkeypatch, text, words
) -> None:
    (tmp_path / "neurflow.toml").write_text(text)
    with pytest.raises(RequestError, match=words):
        found(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, out, err = neurflow("doctor", "--json")
    assert code == 2 and words in err and json.loads(out)["error"]["exit_code"] == 2


def test_a_file_cannot_set_unknown_options_paths_or_addresses() -> None:
    options = {}
    for _, leaf in _leaves(typer.main.get_command(app)):
        for name, option in _options(leaf).items():
            options.setdefault(name, set()).add(str(option.metavar))
    assert options.keys() >= SETTABLE
    for name in SETTABLE:
        words = {word for metavar in options[name] for word in metavar.split("|")}
        assert not words & {"FILE", "FOLDER", "DIR", "URL", "ADDRESS", "MODEL", "TOKEN"}, name


def test_defaults_do_not_count_as_given_options(
    neurflow: Run, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option without effect is refused only if it is given on the command line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "neurflow.toml").write_text("top = 1\njson = true\n")
    shown = json.loads(neurflow("show", run_folder).out)
    assert max(len(layer["largest"]) for layer in shown["layers"]) == 1
    monkeypatch.setenv("NEURFLOW_SHOW_TOP", "2")
    shown = json.loads(neurflow("show", run_folder).out)
    assert max(len(layer["largest"]) for layer in shown["layers"]) == 2
    shown = json.loads(neurflow("show", run_folder, "--top", 1).out)
    assert max(len(layer["largest"]) for layer in shown["layers"]) == 1
