"""``neurflow discover``: find the circuit of a target."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from neurflow.cli._options import (
    ClassNames,
    Debug,
    Device,
    InputSize,
    Json,
    Mean,
    ModelReference,
    Resize,
    Std,
    Weights,
    config_from,
    names,
    numbers,
    with_config_options,
)
from neurflow.cli._terminal import terminal


@with_config_options
def discover(
    model: ModelReference,
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="A folder of pictures, or of class folders.")
    ],
    target: Annotated[
        str,
        typer.Option(
            help="A class by name or number, LAYER/NEURON, or CLASS-CLASS: why this and not that."
        ),
    ],
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Layers to study, input side first.",
            show_default="those that neurflow layers proposes",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where the result goes.", show_default="runs/MODEL-TARGET"
        ),
    ] = None,
    max_images: Annotated[
        int | None, typer.Option(min=1, help="Study at most so many images.", show_default=False)
    ] = None,
    memory: Annotated[
        str,
        typer.Option(
            metavar="SIZE", help="What may be held at once above the model; batches follow from it."
        ),
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
    """Find the circuit of a target in a folder of pictures.

    Stopped half-way, the same command goes on where it was.
    """
    with terminal(as_json, debug, resumable=True) as ui:
        hyperparameters = config_from(config)
        normalisation = numbers(mean, "--mean"), numbers(std, "--std")
        folder = out or default_folder(model, target)

        import neurflow
        from neurflow.cli._summary import circuit_data, heading

        loaded = neurflow.load_model(
            model,
            weights,
            mean=normalisation[0],
            std=normalisation[1],
            resize=resize,
            input_size=input_size,
            class_names=class_names,
            device=device,
        )
        circuit = neurflow.discover(
            loaded,
            neurflow.load_images(images, loaded),
            target=target,
            layers=names(layers),
            config=hyperparameters,
            out=folder,
            max_images=max_images,
            memory=memory,
            progress=ui.progress,
        )
        for note in circuit.notes:
            ui.note(note)
        data = circuit_data(circuit, circuit.layers, top=5)
        ui.result({"result": str(folder), **data}, heading(circuit), what_next(folder, ui.seconds))


def default_folder(model: str, target: str) -> Path:
    """``runs/MODEL-TARGET``, in letters that need no quoting."""
    name = f"{model.rpartition(':')[2]}-{target}"
    return Path("runs") / re.sub(r"[^\w.]+", "-", name).strip("-.").lower()


def what_next(folder: Path, seconds: float) -> Text:
    """Where the result is, and what to type."""
    run = shlex.quote(str(folder))
    return Text(
        f"The result is in {folder} ({seconds:.0f} s).\n"
        f"In the terminal:  neurflow show {run}\n"
        f"As a page:        neurflow report {run}\n"
        f"Live:             neurflow explore {run}"
    )
