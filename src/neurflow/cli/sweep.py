"""``neurflow sweep``: the circuits of many targets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from neurflow.cli._command import command
from neurflow.cli._modes import Given
from neurflow.cli._options import ModelReference, SweepFolder, study_from, with_study_options
from neurflow.cli._tables import fitted
from neurflow.cli._terminal import Terminal

if TYPE_CHECKING:
    from neurflow.sweeping import TargetState

LISTED = 30
"""number of targets that are listed"""
_WORKERS = "Workers"

app = typer.Typer(
    help="Find the circuits of many targets, on one machine or several.", no_args_is_help=True
)


class Engine(StrEnum):
    """The engine that runs the workers."""

    local = "local"
    ray = "ray"


Images = Annotated[
    Path,
    typer.Argument(
        metavar="IMAGES",
        help="A folder of images or of class folders, a pattern, or a table of paths and labels.",
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        metavar="all|FILE|A,B,…",
        help="Every class that is predicted for an image; a file with one target per line; or "
        "a list.",
        show_default="all",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "-o", "--out", metavar="DIR", help="Folder of the sweep.", show_default="sweeps/MODEL"
    ),
]
Workers = Annotated[
    int, typer.Option(min=1, help="Processes on this machine.", rich_help_panel=_WORKERS)
]
EngineOption = Annotated[
    Engine,
    typer.Option(help="Run on this machine or on a Ray cluster.", rich_help_panel=_WORKERS),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address of the Ray cluster: auto, or ray://HOST:10001.",
        rich_help_panel=_WORKERS,
    ),
]
Cpus = Annotated[
    float,
    typer.Option(min=0, help="Processors for each worker on Ray.", rich_help_panel=_WORKERS),
]
Gpus = Annotated[
    float,
    typer.Option(
        min=0, help="GPUs for each worker on Ray; may be a fraction.", rich_help_panel=_WORKERS
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Take only every N-th target, from the I-th on; other machines take the others.",
        rich_help_panel=_WORKERS,
    ),
]


@app.command("run")
@command(resumable=True)
@with_study_options
def run(
    ui: Terminal,
    context: typer.Context,
    model: ModelReference,
    images: Images,
    targets: Targets = None,
    out: Out = None,
    workers: Workers = 1,
    engine: EngineOption = Engine.local,
    address: Address = None,
    cpus: Cpus = 1.0,
    gpus: Gpus = 0.0,
    shard: Shard = None,
    **study: Any,
) -> None:
    """Find the circuits of many targets.

    Run the same command again to resume; finished circuits are kept. The exit code is 1 unless all
    targets are done.
    """
    if engine is Engine.local:
        Given(context).refuse("--engine ray", "address", "cpus", "gpus")
    asked = study_from(model, study)

    from neurflow import sweeping
    from neurflow.sweeping.api import require_done, targets_of

    folder = out or default_folder(model)
    states = sweeping.sweep(
        asked.load,
        images.absolute(),
        targets_of(targets or ["all"]),
        folder,
        workers=workers,
        shard=shard,
        engine=sweeping.OnRay(workers, address, cpus, gpus) if engine == "ray" else None,
        progress=ui.progress,
        **asked.options,
    )
    _show(ui, folder, states)
    require_done(states)


@app.command("status")
@command()
def status(ui: Terminal, sweep: SweepFolder) -> None:
    """Show the progress of a sweep; safe to run while the sweep is running."""
    from neurflow import sweeping

    _show(ui, sweep, sweeping.status(sweep))


@app.command("merge")
@command()
def merge(
    ui: Terminal,
    sweeps: Annotated[
        list[Path], typer.Argument(metavar="DIR…", help="Folders of shards of one sweep.")
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder to copy them into.")
    ],
) -> None:
    """Copy finished circuits from several folders of one sweep into one."""
    from neurflow import sweeping
    from neurflow.sweeping.api import require_done

    states = sweeping.merge(out, sweeps)
    _show(ui, out, states)
    require_done(states)


def default_folder(model: str) -> Path:
    """Return ``sweeps/MODEL``, in letters that need no quoting in a shell."""
    name = re.sub(r"[^\w.]+", "-", model.rpartition(":")[2]).strip("-.").lower()
    return Path("sweeps") / (name or "sweep")


def _show(ui: Terminal, out: Path, states: Sequence[TargetState]) -> None:
    from neurflow.sweeping.api import counts

    listed = sorted(states, key=lambda state: state.state == "done")[:LISTED]
    styles = {"failed": "red", "running": "yellow"}
    rows = [
        (
            state.target,
            Text(state.state, style=styles.get(state.state, "")),
            state.problem or (f"circuits/{state.name}" if state.state == "done" else ""),
        )
        for state in listed
    ]
    shown = fitted(("target", "state", "folder or problem"), rows, ui.width) if rows else []
    if len(states) > len(listed):
        shown.append(Text(f"… and {len(states) - len(listed)} more, done"))
    shown.append(Text(f"{len(states)} targets in {out}: {counts(states) or 'none'}"))
    ui.result({"sweep": str(out), "targets": [vars(state) for state in states]}, *shown)
