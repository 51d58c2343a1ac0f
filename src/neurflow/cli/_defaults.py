"""Default values of options, from environment variables and a settings file.

1. ``NEURFLOW_DISCOVER_TAU=8`` sets ``--tau`` of ``neurflow discover``; ``NEURFLOW_TAU=8`` sets it for
   every command that has it. The words of a variable's name are joined by underscores.
2. The settings file is ``neurflow.toml``, or the table ``[tool.neurflow]`` of ``pyproject.toml``: the
   first one found in the current folder or the folders above it. ``tau = 8`` applies to every command
   with the option, ``[discover]`` (``[tool.neurflow.discover]``) to one command.
3. The command line overrides the environment, and the environment overrides the file. Within each, an
   entry for one command overrides the entry for all.

A settings file may arrive in a folder from someone else. It can therefore set only the options in
``SETTABLE``, which cannot run code, and cannot write, send or reveal anything. Environment variables
can set every option. A misspelt variable is reported in a note, because it would have no effect.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurflow.config import Config
from neurflow.errors import RequestError, near
from neurflow.evaluation.settings import Settings

PREFIX = "NEURFLOW"
FILES = ("neurflow.toml", "pyproject.toml")
SETTABLE = frozenset(
    [
        *Config.model_fields,
        *(Settings.model_fields.keys() - {"eyes"}),
        *("allow_chance", "answer_tokens", "author", "budget", "chat_model", "crops"),
        *("device", "draws", "input_size", "json", "max_images", "max_requests"),
        *("max_tokens", "mean", "memory", "no_open", "output", "pictures", "preset", "price_in"),
        *("price_out", "quick", "quiet", "random", "rate", "resize", "retries", "shown", "std"),
        *("template", "threshold", "timeout", "top", "traceback", "verbose", "workers"),
    ]
)
"""options that a settings file may set"""
OTHER_VARIABLES = frozenset(
    f"{PREFIX}_{name}" for name in ("EXPLORER", "FUZZ", "REAL_DATA", "TEST_DEVICE")
)
"""variables of the tests, the benchmarks and the development server"""
TRUE = frozenset(["1", "true", "t", "yes", "y", "on"])
"""values that turn a switch on, as the parser reads them"""
ALIKE = 0.65
"""least similarity of a misspelt variable, as by ``difflib``; others may belong to an extension"""


def defaults(root: Any, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the ``default_map`` of a tree of commands.

    Args:
        root: the group of all commands.
        folder: folder in which the search for a settings file starts.
        environment: the environment variables.

    Raises:
        RequestError: the file cannot be read, or sets an option that it may not set.
    """
    file, settings = settings_of(folder)
    _check(root, settings, file)
    return _defaults(root, (), settings, environment)


def settings_of(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    """Return the settings file that applies to a folder, and its content."""
    for place in (folder, *folder.parents):
        for name in FILES:
            file = place / name
            if not file.is_file():
                continue
            try:
                found = tomllib.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                if name == "pyproject.toml":
                    continue
                raise RequestError(f"Cannot read the settings in {file}: {error}") from None
            if name == "pyproject.toml":
                found = found.get("tool", {}).get("neurflow")
            if found is not None:
                return file, found
    return None, {}


def variables(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the environment variables that set defaults; values may be secret."""
    return sorted(name for name in environment if name.startswith(f"{PREFIX}_"))


def unknown_variables(root: Any, environment: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables that set no option, each with the most similar one that does, or None."""
    given = set(variables(environment)) - OTHER_VARIABLES
    if not given:
        return {}
    known = {
        variable.removeprefix(f"{PREFIX}_")
        for path, command in _leaves(root)
        for name in _options(command)
        for variable in _variables_of(path, name)
    }
    found = dict[str, str | None]()
    for variable in sorted(given):
        name = variable.removeprefix(f"{PREFIX}_")
        if name not in known:
            similar = difflib.get_close_matches(name, sorted(known), n=1, cutoff=ALIKE)
            found[variable] = f"{PREFIX}_{similar[0]}" if similar else None
    return found


def is_on(switch: str, settings: Mapping[str, Any], line: Sequence[str]) -> bool:
    """Return whether the defaults turn a switch of all commands on.

    Args:
        switch: name of the parameter, such as ``as_json``.
        settings: the ``default_map`` of all commands.
        line: a command line. If it names no command, the switch must be on for all of them.
    """
    for word in line:
        inner = settings.get(word)
        if isinstance(inner, Mapping):
            settings = inner
    commands = [each for each in settings.values() if isinstance(each, Mapping)]
    if commands:
        return all(is_on(switch, each, ()) for each in commands)
    return str(settings.get(switch)).lower() in TRUE


def _defaults(
    command: Any, path: tuple[str, ...], settings: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return the defaults of a command, or those of a group's commands by name."""
    if hasattr(command, "commands"):
        return {
            name: _defaults(each, (*path, name), settings, environment)
            for name, each in command.commands.items()
        }
    options, found = _options(command), dict[str, Any]()
    for table in _tables(settings, path):
        found |= {name.replace("-", "_"): value for name, value in table.items()}
    for name in options:
        for variable in _variables_of(path, name):
            if value := environment.get(variable):
                found[name] = value
    return {
        str(option.name): _value(option, found[name])
        for name, option in options.items()
        if name in found
    }


def _tables(settings: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    """Yield the tables of a file that apply to a command, from the general to the specific."""
    yield settings
    for name in path:
        inner = settings.get(name)
        if not isinstance(inner, Mapping):
            return
        settings = inner
        yield settings


def _value(option: Any, value: Any) -> Any:
    """Return a value in the form that the parser expects for an option."""
    text = ",".join(map(str, value)) if isinstance(value, list) else value
    return [text] if getattr(option, "multiple", False) else text


def _options(command: Any) -> dict[str, Any]:
    """Return the options of a command by name, such as ``max_images``."""
    return {
        max(each.opts, key=len).lstrip("-").replace("-", "_"): each
        for each in command.params
        if each.param_type_name == "option" and not each.is_eager
    }


def _variables_of(path: Sequence[str], option: str) -> Iterator[str]:
    """Yield the variables that set an option of a command, from the general to the specific."""
    for depth in range(len(path) + 1):
        yield "_".join((PREFIX, *path[:depth], option)).replace("-", "_").upper()


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (its words, command) for every command that is not a group."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, each in command.commands.items():
        yield from _leaves(each, (*path, name))


def _check(group: Any, settings: Mapping[str, Any], file: Path | None) -> None:
    """Raise ``RequestError`` for entries that set nothing or that a file may not set."""
    known = {name for _, leaf in _leaves(group) for name in _options(leaf)}
    commands = getattr(group, "commands", {})
    for key, value in settings.items():
        name = key.replace("-", "_")
        if isinstance(value, Mapping):
            if key not in commands:
                cure = " Leave out 'tool.neurflow' from names of tables." if key == "tool" else ""
                raise RequestError(f"{file} has a table {key!r}, which is not a command.{cure}")
            _check(commands[key], value, file)
        elif name not in known:
            raise RequestError(f"{file} sets {key!r}, which is not an option.{near(name, known)}")
        elif name not in SETTABLE:
            raise RequestError(
                f"{file} sets {key!r}, which a settings file may not set. Give it on the command "
                f"line, or as the environment variable {PREFIX}_{name.upper()}."
            )
