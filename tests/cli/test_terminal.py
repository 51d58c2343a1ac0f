"""Behaviour of all commands: exit codes, error messages, the progress bar, stdout and stderr."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable

import pytest
import typer
from rich.console import Console

from neurflow.cli import _terminal
from neurflow.cli._terminal import Bar, Manner, has_screen, plain, terminal
from neurflow.errors import ModelError, NeurFlowError, ResultError, TargetError


def fail(error: BaseException, *, resumable: bool = False, **manner: bool) -> int:
    """Exit code of a command that ends with ``error``."""
    with pytest.raises(typer.Exit) as ended, terminal(Manner(**manner), resumable=resumable):
        raise error
    return ended.value.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelError("no such model"), 2),
        (TargetError("no such class"), 2),
        (ResultError("damaged"), 1),
        (NeurFlowError("failed"), 1),
    ],
)
def test_errors_of_neurflow_give_their_message_and_exit_code(
    error: NeurFlowError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail(error) == code
    assert capsys.readouterr() == ("", f"Error: {error}\n")


def test_other_errors_have_a_traceback_only_on_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fail(ZeroDivisionError("division by zero")) == 1
    quiet = capsys.readouterr().err
    assert quiet.startswith("Error: ZeroDivisionError: division by zero\n")
    assert len(quiet.splitlines()) == 2
    assert fail(ZeroDivisionError("division by zero"), traceback=True) == 1
    assert "Traceback" in capsys.readouterr().err
    assert fail(ModelError("no such model"), traceback=True) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_out_of_memory_errors_suggest_a_solution(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail(error) == 1
    assert "--memory" in capsys.readouterr().err


def test_an_interrupt_says_how_to_resume(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fail(KeyboardInterrupt(), resumable=True) == 130
    assert "Re-run the same command" in capsys.readouterr().err
    assert fail(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_control_characters_in_names_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert plain("a\x1b[2Jb\x07é→") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}é→"
    fail(ModelError("no class '\x1b[31mbee'\nsecond line"))
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert shown.endswith("\nsecond line\n")
    with terminal() as ui:
        ui.note("[bold]\x1b[31mnot markup")
    assert capsys.readouterr().err == "[bold]\N{REPLACEMENT CHARACTER}[31mnot markup\n"


class Timer:
    """A ``threading.Timer`` that fires at once if the work is long, and never if it is short."""

    def __init__(self, long: bool) -> None:
        self.long, self.ident = long, None
        self.cancelled = False

    def __call__(self, seconds: float, begin: Callable[[], None]) -> Timer:
        assert seconds == _terminal.BAR_DELAY
        self.begin = begin
        return self

    def start(self) -> None:
        self.ident = 1
        if self.long:
            self.begin()

    def cancel(self) -> None:
        self.cancelled = True

    def join(self) -> None: ...


def drawn(long: bool, monkeypatch: pytest.MonkeyPatch, is_tty: bool) -> str:
    """The output of a bar for 20 steps out of 40, each of 0.1 s."""
    timer, seconds = Timer(long), itertools.count()
    monkeypatch.setattr(_terminal.threading, "Timer", timer)
    file = io.StringIO()
    console = Console(file=file, force_terminal=is_tty, width=80)
    bar = Bar(console)
    bar._bar.live.auto_refresh = False
    bar._bar.get_time = lambda: next(seconds) / 10
    bar.start("earlier [stage]", 2)
    bar.advance(2)
    bar.start("layer4 → layer3", 40)
    for _ in range(20):
        bar.advance()
    if long and is_tty:
        bar._bar.refresh()
    bar.note("a note")
    bar.close()
    return file.getvalue()


def test_long_work_has_a_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = drawn(long=True, monkeypatch=monkeypatch, is_tty=True)
    assert "layer4 → layer3" in shown
    assert "/40" in shown
    assert "/s" in shown
    assert "0:00:0" in shown
    assert "a note" in shown


def test_short_work_has_no_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = drawn(long=False, monkeypatch=monkeypatch, is_tty=True)
    assert shown == "a note\n"


def test_a_file_gets_no_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = drawn(long=True, monkeypatch=monkeypatch, is_tty=False)
    assert shown == "a note\n"


def test_without_a_terminal_progress_is_a_line_a_minute() -> None:
    now, file = [0.0], io.StringIO()
    bar = Bar(Console(file=file, force_terminal=False, width=80), clock=lambda: now[0])
    bar.start("layer4 → layer3", 40)
    for _ in range(20):
        now[0] += 7
        bar.advance()
    bar.close()
    assert file.getvalue().splitlines() == [
        "layer4 → layer3: 9 of 40, 0.143/s, 217 s left",
        "layer4 → layer3: 18 of 40, 0.143/s, 154 s left",
    ]


def test_quiet_prints_nothing_and_verbose_prints_times_of_stages() -> None:
    def said(**manner: bool) -> str:
        now, file = [0.0], io.StringIO()
        bar = Bar(Console(file=file, force_terminal=False), clock=lambda: now[0], **manner)
        bar.start("pooling", 2)
        now[0] = 90.0
        bar.advance(2)
        bar.start("groups", 1)
        bar.note("a note")
        bar.close()
        return file.getvalue()

    assert said(quiet=True) == ""
    assert "pooling: 2 steps in 90.0 s\n" in said(verbose=True)
    assert "steps in" not in said()


def test_with_json_failures_are_json_and_prints_go_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fail(ModelError("no such model"), as_json=True) == 2
    out, err = capsys.readouterr()
    error = {"kind": "ModelError", "message": "no such model", "exit_code": 2}
    assert json.loads(out) == {"error": error} and err == "Error: no such model\n"
    with terminal(Manner(as_json=True)) as ui:
        print("forward!")
        ui.result({"a": 1})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": 1} and err == "forward!\n"
    with pytest.raises(typer.Exit), terminal(Manner(as_json=True)) as ui:
        ui.result({"a": 1})
        raise ResultError("half of it failed")
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_the_bar_appears_after_two_seconds() -> None:
    assert _terminal.BAR_DELAY == 2


def test_a_display_is_needed_to_open_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_screen()
    monkeypatch.setenv("DISPLAY", ":0")
    assert has_screen()
