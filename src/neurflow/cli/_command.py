"""The options of all commands (``--json``, ``--traceback``, ``-q``, ``-v``) and their ``Terminal``.

A command is a function whose first parameter is its ``Terminal``. The decorator ``command`` adds the
common options to its signature, and passes it a ``Terminal``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

from neurflow.cli._terminal import Manner, terminal
from neurflow.errors import RequestError
from neurflow.runtime.paths import all_expanded

_PANEL = "Output"
OUTPUT: dict[str, Any] = {
    "as_json": Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print the result as JSON on stdout; everything else goes to stderr.",
            rich_help_panel=_PANEL,
        ),
    ],
    "traceback": Annotated[
        bool,
        typer.Option(
            "--traceback",
            help="On failure, print the traceback.",
            rich_help_panel=_PANEL,
        ),
    ],
    "quiet": Annotated[
        bool,
        typer.Option(
            "-q", "--quiet", help="Print neither progress nor notes.", rich_help_panel=_PANEL
        ),
    ],
    "verbose": Annotated[
        bool,
        typer.Option(
            "-v",
            "--verbose",
            help="Print how long each stage of the work took.",
            rich_help_panel=_PANEL,
        ),
    ],
}
"""option of every command → its type; these are the fields of ``Manner``"""
FLAGS = ("--json", "--traceback", "-q", "--quiet", "-v", "--verbose")
"""how these options are written"""

Command = Callable[..., None]
TYPED: ContextVar[Sequence[str]] = ContextVar("TYPED", default=())
"""the command line that is run, without the name of the program"""


def command(*, resumable: bool = False) -> Callable[[Command], Command]:
    """Turn a function whose first parameter is a ``Terminal`` into a command.

    Args:
        resumable: whether the same command resumes work that was interrupted.
    """

    def decorate(function: Command) -> Command:
        @functools.wraps(function)
        def run(**values: Any) -> None:
            manner = Manner(**{name: values.pop(name) for name in OUTPUT})
            with terminal(manner, resumable=resumable) as ui:
                if manner.quiet and manner.verbose:
                    raise RequestError(
                        "Quiet and verbose exclude each other. Give -q or -v, not both; one of them "
                        "may be set by a variable or a settings file."
                    )
                _refuse_empty_paths(values)
                function(ui, **{name: all_expanded(value) for name, value in values.items()})

        run.__doc__ = _unwrapped(function)
        own = _parameters(function)[1:]
        _set_parameters(run, [*own, *(parameter(name, OUTPUT[name], False) for name in OUTPUT)])
        return run

    return decorate


def _unwrapped(function: Command) -> str:
    """Return a docstring with one line a paragraph, so that help fits the terminal's width."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _refuse_empty_paths(values: Mapping[str, Any]) -> None:
    """Raise an error for an empty path, as from a variable that is not set: it would be ``.``."""
    empty = any(not word or word.endswith("=") for word in TYPED.get())
    paths = [each for value in values.values() for each in _each(value) if isinstance(each, Path)]
    if empty and any(path == Path() for path in paths):
        raise RequestError("A path is empty. The current folder is '.'.")


def _each(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def with_parameters(more: Sequence[inspect.Parameter]) -> Callable[[Command], Command]:
    """Give a function further parameters in place of its ``**values``."""

    def decorate(function: Command) -> Command:
        own = [each for each in _parameters(function) if each.kind is not each.VAR_KEYWORD]
        _set_parameters(function, [*own, *more])
        return function

    return decorate


def parameters_of(options: Mapping[str, tuple[Any, Any]]) -> list[inspect.Parameter]:
    """Return the parameters for options given as name → (type, default)."""
    return [parameter(name, kind, default) for name, (kind, default) in options.items()]


def parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
    """Return a keyword parameter."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _parameters(function: Command) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def _set_parameters(function: Command, parameters: Sequence[inspect.Parameter]) -> None:
    # Typer reads the signature for order and defaults, and the annotations for types.
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {each.name: each.annotation for each in parameters}
