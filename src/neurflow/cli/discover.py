"""``neurflow discover``: find the circuit of a target."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from neurflow.cli import _finished
from neurflow.cli._command import command
from neurflow.cli._model_of import naming
from neurflow.cli._options import ModelReference, study_from, with_study_options
from neurflow.cli._terminal import Terminal


@command(resumable=True)
@with_study_options
def discover(
    ui: Terminal,
    model: ModelReference,
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES",
            help="A folder of images or of class folders, a pattern, or a table of paths and labels.",
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            help="A class by name or number, LAYER/NEURON, or CLASS-CLASS: a difference of classes."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="Folder of the result.",
            show_default="runs/MODEL-TARGET",
        ),
    ] = None,
    **study: Any,
) -> None:
    """Find the circuit of a target in a folder of images.

    Re-run the same command to resume after an interruption.
    """
    folder = out or default_folder(model, target)
    asked = _finished.asked(model, images, target, study)
    answer = _finished.recall(folder, asked)
    if answer is not None:
        ui.note(f"{folder} already contains this circuit: nothing to do.")
    else:
        answer = _found(ui, model, images, target, folder, study)
        if asked is not None:
            _finished.remember(folder, answer.model_copy(update={"asked": asked}))
    for note in answer.notes:
        ui.note(note)
    after = next_steps(folder, ui.seconds, answer.named)
    data = {"result": str(folder), **answer.data}
    ui.result(data, Text.from_markup(answer.heading), after)


def _found(
    ui: Terminal, model: str, images: Path, target: str, folder: Path, study: dict[str, Any]
) -> _finished.Answer:
    """Find the circuit; return the output of the command."""
    asked = study_from(model, study)

    import neurflow
    from neurflow.cli._summary import circuit_data, heading

    loaded = asked.load()
    pictures = neurflow.load_images(images, loaded)
    circuit = neurflow.discover(
        loaded, pictures, target, out=folder, progress=ui.progress, **asked.options
    )
    return _finished.Answer(
        asked="",
        result=_finished.result(folder),
        data=circuit_data(circuit, circuit.layers, top=5),
        heading=heading(circuit).markup,
        notes=circuit.notes,
        named=naming(circuit),
    )


def default_folder(model: str, target: str) -> Path:
    """Return ``runs/MODEL-TARGET``, in letters that need no quoting."""
    name = f"{model.rpartition(':')[2]}-{target}"
    return Path("runs") / re.sub(r"[^\w.]+", "-", name).strip("-.").lower()


def next_steps(folder: Path, seconds: float, named: str = "") -> Text:
    """Return the place of the result, and the next commands to type.

    Args:
        folder: folder of the result.
        seconds: duration of the work.
        named: option that names the model, if commands need it.
    """
    run = shlex.quote(str(folder))
    return Text(
        f"The result is in {folder} ({seconds:.0f} s).\n"
        f"In the terminal:  neurflow show {run}\n"
        f"As a page:        neurflow report {run}\n"
        f"Live:             neurflow explore {run}{named}"
    )
