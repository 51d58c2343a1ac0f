"""``neurflow sweep``: the circuits of many targets."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from neurflow.cli._modes import Given
from neurflow.cli._options import Debug, Json, study_from, with_study_options
from neurflow.cli._terminal import plain, terminal
from neurflow.errors import RequestError, WorkError

if TYPE_CHECKING:
    from neurflow.sweeping import TargetState


class Engine(StrEnum):
    """Where workers run."""

    local = "local"
    ray = "ray"


LISTED = 30
"""targets that a summary names"""


@with_study_options
def sweep(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="torchvision:NAME, timm:NAME or file:module.py:factory."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Argument(metavar="IMAGES", help="A folder of pictures, or of class folders."),
    ] = None,
    targets: Annotated[
        str,
        typer.Option(
            metavar="all|FILE|A,B,…",
            help="Every class that some picture is predicted as; a file, one a line; or a list.",
        ),
    ] = "all",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the sweep.", show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    engine: Annotated[
        Engine, typer.Option(help="Where workers run: on this machine, or on a Ray cluster.")
    ] = Engine.local,
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of the Ray cluster: auto, or ray://HOST:10001."),
    ] = None,
    cpus: Annotated[
        float, typer.Option(min=0, help="Processors of a worker on Ray, as many threads.")
    ] = 1.0,
    gpus: Annotated[
        float, typer.Option(min=0, help="GPUs of a worker on Ray; fractions share one.")
    ] = 0.0,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Only every N-th target from the I-th on; others run elsewhere."
        ),
    ] = None,
    status: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Tell how far the sweep in DIR is.")
    ] = None,
    merge: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Copy what is finished in DIR into --out; repeatable."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
    **study: Any,
) -> None:
    """Find the circuit of each of many targets; what is finished is never done again.

    Stopped or killed, the same command goes on where it was. Ends with 1 unless all targets are done.
    """
    with terminal(as_json, debug, resumable=True) as ui:
        from neurflow import sweeping

        given = Given(context)
        if mode := given.one_of("status", "merge"):
            given.only(mode, {"out"} if mode == "merge" else ())
        if engine is Engine.local:
            given.refuse("--engine ray", "address", "cpus", "gpus")
        if status is not None:
            _show(ui, status, sweeping.status(status))
            return
        if out is None:
            raise RequestError("Give a folder for the sweep: --out DIR.")
        if merge:
            states = sweeping.merge(out, merge)
        elif model is None or images is None:
            raise RequestError("Give a model and a folder of pictures: neurflow sweep MODEL IMAGES")
        else:
            asked = study_from(model, study)
            states = sweeping.sweep(
                asked.load,
                images.absolute(),
                targets_of(targets),
                out,
                workers=workers,
                shard=shard,
                engine=sweeping.OnRay(workers, address, cpus, gpus) if engine == "ray" else None,
                progress=ui.progress,
                **asked.options,
            )
        _show(ui, out, states)
        _insist(states)


def _insist(states: Sequence[TargetState]) -> None:
    """Raises ``WorkError`` unless all targets are done."""
    open_states = [state for state in states if state.state != "done"]
    if open_states:
        first = max(open_states, key=lambda state: state.state == "failed")
        raise WorkError(
            f"{len(open_states)} of {len(states)} targets are not done ({_counts(open_states)}). "
            f"The first, {first.target}: {first.problem or first.state}"
        )


def _counts(states: Sequence[TargetState]) -> str:
    counts: Counter[str] = Counter(state.state for state in states)
    order = ("done", "running", "failed", "waiting")
    return ", ".join(f"{counts[name]} {name}" for name in order if counts[name])


def targets_of(text: str) -> list[str] | Literal["all"]:
    """``all``, the lines of a file, or a list with commas."""
    if text.strip() == "all":
        return "all"
    if os.path.isfile(text):  # Path's own fails on a list that is longer than a name may be
        try:
            lines = Path(text).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise RequestError(
                f"--targets {text} cannot be read ({error}). Give a text file, one target a line."
            ) from None
        found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    else:
        found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise RequestError(f"--targets {text!r} names no target.")
    return found


def _show(ui: Any, out: Path, states: Sequence[TargetState]) -> None:
    ui.result(
        {"sweep": str(out), "targets": [vars(state) for state in states]}, *_text(out, states)
    )


def _text(out: Path, states: Sequence[TargetState]) -> Iterator[RenderableType]:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for column in range(3):
        table.add_column("", overflow="fold", ratio=1 if column == 2 else None)
    telling = sorted(states, key=lambda state: state.state == "done")[:LISTED]
    for state in telling:
        where = state.problem or (f"{out}/circuits/{state.name}" if state.state == "done" else "")
        style = {"failed": "red", "running": "yellow"}.get(state.state, "")
        table.add_row(Text(plain(state.target)), Text(state.state, style=style), Text(plain(where)))
    yield table
    if len(states) > len(telling):
        yield Text(f"… and {len(states) - len(telling)} more, done")
    yield Text(f"{len(states)} targets: {_counts(states) or 'none'}")
