"""Output of a command: the result on stdout, and progress, notes and failures on stderr.

``terminal`` turns every failure into a message of two lines, an exit code and, with ``--json``, a JSON
object.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import traceback as tracebacks
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TextIO

import typer
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from neurflow.errors import NeurFlowError

BAR_DELAY = 2.0
"""Seconds of work before a progress bar is shown."""
LINE_INTERVAL = 60.0
"""Seconds between two progress lines if stderr is not a terminal."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells."""


def plain(text: str) -> str:
    """Return text without control characters, so that names in a result cannot control the terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


@dataclass(frozen=True)
class Manner:
    """The options on output that every command has.

    Attributes:
        as_json: print the result, or the failure, as one JSON object on stdout.
        traceback: on failure, print the traceback.
        quiet: print neither progress nor notes.
        verbose: print a line when a stage of the work ends.
    """

    as_json: bool = False
    traceback: bool = False
    quiet: bool = False
    verbose: bool = False


class _Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.3g}/s" if speed else "")


class Bar:
    """Progress on stderr; a ``neurflow.runtime.progress.Progress``.

    On a terminal it is a bar, for work that takes longer than ``BAR_DELAY`` seconds. The bar of a stage
    replaces that of the stage before, and disappears at the end. Elsewhere it is a line every
    ``LINE_INTERVAL`` seconds.
    """

    def __init__(
        self,
        console: Console,
        *,
        quiet: bool = False,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._quiet, self._verbose = console, quiet, verbose
        self._clock = clock
        self._last_line: float | None = None
        self._begun = clock()
        self._stage, self._total, self._done = "", 0, 0
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._timer = threading.Timer(BAR_DELAY, self._bar.start)
        self._timer.daemon = True

    def start(self, stage: str, total: int) -> None:
        """Begin a stage; the first stage starts the timer of the bar."""
        if self._console.is_terminal and not self._quiet and self._timer.ident is None:
            self._timer.start()
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._bar.add_task(plain(stage), total=total)
        self._end_stage()
        self._stage, self._total, self._done, self._begun = stage, total, 0, self._clock()
        self._last_line = self._begun if self._last_line is None else self._last_line

    def advance(self, count: int = 1) -> None:
        """Count steps of the current stage."""
        for task in self._bar.task_ids:
            self._bar.advance(task, count)
        self._done += count
        now = self._clock()
        silent = 0 if self._last_line is None else now - self._last_line
        if not self._console.is_terminal and silent >= LINE_INTERVAL:
            self._last_line = now
            self.note(self._progress(now - self._begun))

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        if self._quiet:
            return
        lines = "\n".join(map(plain, text.splitlines()))
        self._console.print(lines, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the bar from the screen."""
        self._end_stage()
        if self._timer.ident is not None:
            self._timer.cancel()
            self._timer.join()
        if self._bar.live.is_started:
            self._bar.stop()

    def _progress(self, seconds: float) -> str:
        rate = self._done / seconds if seconds > 0 else 0
        left = (self._total - self._done) / rate if rate else 0
        return f"{self._stage}: {self._done} of {self._total}, {rate:.3g}/s, {left:.0f} s left"

    def _end_stage(self) -> None:
        if self._stage and self._verbose:
            self.note(f"{self._stage}: {self._done} steps in {self._clock() - self._begun:.1f} s")
        self._stage = ""


class Terminal:
    """Prints the result, the progress and the notes of a command.

    Args:
        manner: the options that every command has.
        out: stream of the result; default is stdout.
    """

    def __init__(self, manner: Manner | None = None, out: TextIO | None = None) -> None:
        manner = manner or Manner()
        self.as_json = manner.as_json
        self.answered = False
        """whether a result has been printed"""
        self._out = Console(highlight=False, file=out)
        console = Console(stderr=True, highlight=False)
        self.progress = Bar(console, quiet=manner.quiet, verbose=manner.verbose)
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.close()

    @property
    def seconds(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._started

    @property
    def width(self) -> int:
        """Columns of the terminal that results are printed on."""
        return self._out.width

    def note(self, text: str) -> None:
        """Print a line on stderr."""
        self.progress.note(text)

    def result(
        self,
        data: dict[str, Any],
        *shown: RenderableType,
        files: Sequence[Path] | None = None,
    ) -> None:
        """Print the result on stdout: ``data`` with ``--json``, otherwise ``shown``.

        Args:
            data: the result as JSON data.
            shown: the result for people.
            files: files that were written; given, even if there are none, they are part of the result.
        """
        self.progress.close()
        self.answered = True
        if files is not None:
            data = {"files": [str(file) for file in files], **data}
            shown = (*shown, *(Text(f"Written: {file}") for file in files))
        if self.as_json:
            typer.echo(json.dumps(data, indent=2), file=self._out.file)
        else:
            for part in shown:
                self._out.print(part, soft_wrap=isinstance(part, Text), markup=False)

    def open_page(self, page: Path | None, wanted: bool) -> bool:
        """Open a page in a browser if it is wanted and there is a screen; return whether it opened."""
        return (
            page is not None
            and wanted
            and not self.as_json
            and has_screen()
            and webbrowser.open(page.resolve().as_uri())
        )


def has_screen() -> bool:
    """Return whether this process can open a window."""
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextlib.contextmanager
def terminal(manner: Manner | None = None, *, resumable: bool = False) -> Iterator[Terminal]:
    """Open a ``Terminal`` for a command; turn failures into a message and an exit code.

    With ``--json`` only the result is printed on stdout. Anything that a user's network prints goes to
    stderr.

    Args:
        manner: the options that every command has.
        resumable: whether the same command resumes work that was interrupted.
    """
    manner = manner or Manner()
    out = sys.stdout
    aside = contextlib.redirect_stdout(sys.stderr) if manner.as_json else contextlib.nullcontext()
    try:
        with aside, Terminal(manner, out) as ui:
            yield ui
    except (typer.Exit, typer.TyperException, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        cure = " Re-run the same command to resume." if resumable else ""
        typer.echo(f"Stopped.{cure}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if manner.traceback:
            tracebacks.print_exc()
        ours = isinstance(error, NeurFlowError)
        message = str(error) if ours else _message_of(error)
        code = error.exit_code if isinstance(error, NeurFlowError) else 1
        failed(message, code, type(error).__name__, as_json=manner.as_json and not ui.answered)
        raise typer.Exit(code) from None


def failed(message: str, code: int, kind: str, *, as_json: bool) -> None:
    """Print a failure: a message on stderr and, with ``as_json``, an object on stdout."""
    lines = "\n".join(map(plain, f"Error: {message}".splitlines()))
    typer.echo(lines, err=True)
    if as_json:
        error = {"kind": kind, "message": message, "exit_code": code}
        typer.echo(json.dumps({"error": error}, indent=2))


def _message_of(error: Exception) -> str:
    """Return the message for an error that is not one of ``neurflow.errors``."""
    reason = (str(error).strip().splitlines() or [""])[0]
    short_of_memory = ("out of memory", "can't allocate memory", "cannot allocate memory")
    if isinstance(error, MemoryError) or any(sign in reason.lower() for sign in short_of_memory):
        return "Not enough memory. Give a smaller budget, which makes batches smaller: --memory 1GB"
    return (
        f"{type(error).__name__}: {reason:.300}\n"
        "This is unexpected. Re-run the command with --traceback to see where it happened, and "
        "please report it."
    )
