"""``neurflow sweep``: the circuits of many targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from neurflow.cli._options import (
    ClassNames,
    Debug,
    Device,
    InputSize,
    Json,
    Mean,
    Resize,
    Std,
    Weights,
    config_from,
    names,
    numbers,
    with_config_options,
)
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


@with_config_options
def sweep(
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
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Layers to study, input side first.",
            show_default="those that neurflow layers proposes",
        ),
    ] = None,
    max_images: Annotated[
        int | None, typer.Option(min=1, help="Study at most so many images of each target.")
    ] = None,
    memory: Annotated[
        str,
        typer.Option(metavar="SIZE", help="What all workers together may hold above the models."),
    ] = "2GB",
    weights: Weights = "DEFAULT",
    mean: Mean = None,
    std: Std = None,
    resize: Resize = None,
    input_size: InputSize = None,
    class_names: ClassNames = None,
    device: Device = "cpu",
    as_json: Json = False,
    debug: Debug = False,
    **config: Any,
) -> None:
    """Find the circuit of each of many targets; what is finished is never done again.

    Stopped or killed, the same command goes on where it was. Ends with 1 if a target failed.
    """
    with terminal(as_json, debug, resumable=True) as ui:
        from neurflow import load_model
        from neurflow import sweeping as package

        if status is not None:
            _show(ui, status, package.status(status))
            return
        if out is None:
            raise RequestError("Give a folder for the sweep: --out DIR.")
        if merge:
            _show(ui, out, package.merge(out, merge))
            return
        if model is None or images is None:
            raise RequestError("Give a model and a folder of pictures: neurflow sweep MODEL IMAGES")
        hyperparameters = config_from(config)
        load = partial(
            load_model,
            model,
            weights,
            mean=numbers(mean, "--mean"),
            std=numbers(std, "--std"),
            resize=resize,
            input_size=input_size,
            class_names=class_names,
            device=device,
        )
        states = package.sweep(
            load,
            images.absolute(),
            targets_of(targets),
            out,
            layers=names(layers),
            config=hyperparameters,
            max_images=max_images,
            memory=memory,
            workers=workers,
            shard=shard,
            engine=package.OnRay(workers, address, gpus=gpus) if engine is Engine.ray else None,
            progress=ui.progress,
        )
        _show(ui, out, states)
        failed = [state for state in states if state.state == "failed"]
        if failed:
            raise WorkError(
                f"{len(failed)} of {len(states)} targets failed; the first, {failed[0].target}: "
                f"{failed[0].problem}"
            )


def targets_of(text: str) -> list[str] | Literal["all"]:
    """``all``, the lines of a file, or a list with commas."""
    if text.strip() == "all":
        return "all"
    if Path(text).is_file():
        lines = Path(text).read_text(encoding="utf-8").splitlines()
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
    counts: Counter[str] = Counter(state.state for state in states)
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
    order = ("done", "running", "failed", "waiting")
    told = ", ".join(f"{counts[name]} {name}" for name in order if counts[name])
    yield Text(f"{len(states)} targets: {told or 'none'}")
