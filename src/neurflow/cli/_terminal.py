"""How a command talks: results on stdout, progress and notes on stderr, failures in two lines.

``terminal`` is the one place that turns what went wrong into words and an exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import traceback
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

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

PATIENCE = 2.0
"""seconds of work before a progress bar is shown"""


def plain(text: str) -> str:
    """Text without control characters: a result's names must not steer the terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


class _Rate(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.3g}/s" if speed else "")


class Bar:
    """A progress bar on stderr, for work over ``PATIENCE`` seconds; nothing where no terminal is.

    It is a ``neurflow.runtime.progress.Progress``. A stage's bar takes the place of the one before, and
    nothing is left of it at the end.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._timer = threading.Timer(PATIENCE, self._bar.start)
        self._timer.daemon = True

    def start(self, stage: str, total: int) -> None:
        """Begin a stage; the first one starts the clock."""
        if self._console.is_terminal and self._timer.ident is None:
            self._timer.start()
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._bar.add_task(plain(stage), total=total)

    def advance(self, count: int = 1) -> None:
        """Count steps of the stage that was started last."""
        for task in self._bar.task_ids:
            self._bar.advance(task, count)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        lines = "\n".join(map(plain, text.splitlines()))
        self._console.print(lines, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._timer.ident is not None:
            self._timer.cancel()
            self._timer.join()
        if self._bar.live.is_started:
            self._bar.stop()


class Terminal:
    """Where a command's result, progress and notes go."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._out = Console(highlight=False)
        self.progress = Bar(Console(stderr=True, highlight=False))
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.close()

    @property
    def seconds(self) -> float:
        """Since the command began."""
        return time.monotonic() - self._started

    def note(self, text: str) -> None:
        """A line for a person, on stderr."""
        self.progress.note(text)

    def result(self, data: dict[str, Any], *shown: RenderableType) -> None:
        """The result, on stdout: ``data`` as JSON where that was asked for, else what is shown."""
        self.progress.close()
        if self.as_json:
            typer.echo(json.dumps(data, indent=2))
        else:
            for part in shown:
                self._out.print(part, soft_wrap=isinstance(part, Text), markup=False)

    def open_page(self, page: Path, wanted: bool) -> bool:
        """Open a page in a browser, if it is wanted and a person sits before a screen."""
        return (
            wanted
            and not self.as_json
            and has_screen()
            and webbrowser.open(page.resolve().as_uri())
        )


def has_screen() -> bool:
    """Whether this process can open a window."""
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextlib.contextmanager
def terminal(as_json: bool, debug: bool, *, resumable: bool = False) -> Iterator[Terminal]:
    """A ``Terminal`` for the time of a command; failures become a message and an exit code.

    Args:
        as_json: print the result as JSON.
        debug: show where in the code a failure came from.
        resumable: the same command goes on where it was stopped.
    """
    try:
        with Terminal(as_json) as ui:
            yield ui
    except (typer.Exit, typer.TyperException, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        cure = " Give the same command again to go on from here." if resumable else ""
        _fail(f"Stopped.{cure}", 130, debug=False)
    except NeurFlowError as error:
        _fail(f"Error: {error}", error.exit_code, debug)
    except Exception as error:  # the last resort: whatever it is, a person gets words and a way on
        _fail(f"Error: {_words(error)}", 1, debug)


def _words(error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [""])[0]
    short_of_memory = ("out of memory", "can't allocate memory", "cannot allocate memory")
    if isinstance(error, MemoryError) or any(sign in reason.lower() for sign in short_of_memory):
        return "Not enough memory. Run fewer crops at once: --batch-size 16"
    return (
        f"{type(error).__name__}: {reason:.300}\n"
        "That should not happen. The same command with --debug shows where; please report it."
    )


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    lines = "\n".join(map(plain, message.splitlines()))
    typer.echo(lines, err=True)
    raise typer.Exit(code)
