"""The command line. Each command has its own file; this one assembles and runs them.

A command imports its libraries only when it runs, so that help is quick. It reads its arguments, calls
the ``api`` of a use, and prints the result on its ``Terminal``. The exit code is 1 if the work failed
and 2 if the request was wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from neurflow.cli import (
    atlas,
    audit,
    compare,
    debug,
    demo,
    discover,
    doctor,
    edit,
    evaluate,
    explore,
    label,
    layers,
    report,
    show,
    sweep,
)
from neurflow.cli._command import FLAGS, TYPED
from neurflow.cli._defaults import TRUE, defaults, is_on, unknown_variables
from neurflow.cli._old_spellings import modern
from neurflow.cli._terminal import failed
from neurflow.errors import NeurFlowError

app = typer.Typer(
    name="neurflow",
    help="See how a trained image classifier works inside, by circuits of neuron groups.",
    epilog="Start with: neurflow demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from neurflow import __version__

        typer.echo(f"neurflow {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False,
        "-V",
        "--version",
        callback=_version,
        is_eager=True,
        help="Print the version and exit.",
    ),
) -> None:
    pass


app.command("demo")(demo.demo)
app.command("layers")(layers.layers)
app.command("discover")(discover.discover)
app.command("show")(show.show)
app.command("report")(report.report)
app.command("explore")(explore.explore)
app.add_typer(label.app, name="label")
app.command("edit")(edit.edit)
app.command("debug")(debug.debug)
app.command("audit")(audit.audit)
app.command("compare")(compare.compare)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(sweep.app, name="sweep")
app.add_typer(atlas.app, name="atlas")
app.command("doctor")(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line, by default that of this process, and raise ``SystemExit``."""
    for stream in (sys.stdout, sys.stderr):
        # Replace letters that the terminal cannot show, rather than fail.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given or os.environ.get("NEURFLOW_JSON", "").lower() in TRUE
    try:
        command = typer.main.get_command(app)
        lines, note = modern(given)
        settings = defaults(command, Path.cwd(), os.environ)
        as_json = as_json or is_on("as_json", settings, given)
        quiet = {"-q", "--quiet"} & set(given) or is_on("quiet", settings, given)
        if not quiet and "_NEURFLOW_COMPLETE" not in os.environ:  # set by shells that complete
            for each in filter(None, (note, *_misspelt(command))):
                typer.echo(each, err=True)
        for line in lines:
            if code := _run(command, line, settings, as_json=as_json):
                break
    except NeurFlowError as error:
        failed(str(error), error.exit_code, type(error).__name__, as_json=as_json)
        code = error.exit_code
    sys.exit(code)


def _misspelt(command: Any) -> Iterator[str]:
    """Yield a note for each variable that looks like a misspelling of one that sets an option."""
    for name, similar in unknown_variables(command, os.environ).items():
        if similar:
            yield f"Note: {name} sets no option. Did you mean {similar}?"


def _run(command: Any, line: Sequence[str], settings: dict[str, Any], *, as_json: bool) -> int:
    """Run one command line and return its exit code."""
    typed = TYPED.set(line)
    try:
        code = command.main(
            list(line), prog_name="neurflow", standalone_mode=False, default_map=settings
        )
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "neurflow"
        # Without any argument the help is on the screen already, and the message is empty.
        if message := error.format_message():
            message = f"{_explained(message, error, context, line)}\nSee: {path} --help"
            failed(message, error.exit_code, "UsageError", as_json=as_json)
        code = error.exit_code
    finally:
        TYPED.reset(typed)
    return int(code or 0)


def _explained(message: str, error: typer.TyperException, context: Any, line: Sequence[str]) -> str:
    """Add to a usage error where an option belongs, or that its value was not typed."""
    option, parameter = getattr(error, "option_name", None), getattr(error, "param", None)
    if context is not None and context.parent is None and option in FLAGS:
        return f"{message.rstrip('.')}. It belongs after a command: neurflow COMMAND {option}"
    typed = {word.partition("=")[0] for word in line}
    settings = getattr(context, "default_map", None) or {}
    if parameter is None or parameter.name not in settings or typed.intersection(parameter.opts):
        return message
    source = "The value is from a variable or a settings file; neurflow doctor lists them."
    return f"{message.rstrip('.')}. {source}"
