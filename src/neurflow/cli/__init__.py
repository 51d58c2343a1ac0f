"""The command line: one file a command, and here what they share of beginning and end.

A command imports what it needs when it runs, so that help is quick. What it prints goes through
``Terminal``; what goes wrong ends in an exit code, 1 if the work failed and 2 if the request was
wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from neurflow.cli import (
    atlas,
    audit,
    compare,
    debug,
    demo,
    discover,
    edit,
    evaluate,
    explore,
    label,
    layers,
    report,
    show,
    sweep,
)

app = typer.Typer(
    name="neurflow",
    help="See how a trained image classifier works inside, by circuits of neuron groups.",
    epilog="Start with: neurflow demo",
    no_args_is_help=True,
    add_completion=False,
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
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


app.command("demo")(demo.demo)
app.command("layers")(layers.layers)
app.command("discover")(discover.discover)
app.command("show")(show.show)
app.command("report")(report.report)
app.command("explore")(explore.explore)
app.command("label")(label.label)
app.command("edit")(edit.edit)
app.command("debug")(debug.debug)
app.command("audit")(audit.audit)
app.command("compare")(compare.compare)
app.command("evaluate")(evaluate.evaluate)
app.command("sweep")(sweep.sweep)
app.command("atlas")(atlas.atlas)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line, by default this process's; ends in ``SystemExit``."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without the letters of a name gets a stand-in, not a failure.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    command = typer.main.get_command(app)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = command.main(given, prog_name="neurflow", standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "neurflow"
        # Without any argument the help is on the screen already, and the message is empty.
        if message := error.format_message():
            typer.echo(f"Error: {message}\nSee: {path} --help", err=True)
        code = error.exit_code
    sys.exit(code or 0)
