"""``neurflow explore``: the circuit's page with the model behind it."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from neurflow.cli._model_of import ModelAgain, WeightsAgain
from neurflow.cli._modes import Given
from neurflow.cli._options import ClassNames, Debug, Device, Json, NoOpen, Run
from neurflow.cli._terminal import has_screen, terminal

if TYPE_CHECKING:
    from neurflow.circuit import Circuit
    from neurflow.model import Model
    from neurflow.pictures.images import Images

_SERVER = "Server"


def explore(
    context: typer.Context,
    run: Run,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Pictures to try; in folders named after their classes they can be audited with.",
            show_default="drawn ones for the demo, else none",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port; 0 for any free one.",
            show_default="the first free one from 8750",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on. Beyond this machine a token is asked for.",
            rich_help_panel=_SERVER,
        ),
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            envvar="NEURFLOW_TOKEN",
            help="Ask for this token, letters and digits. Others on this machine can see it in a "
            "command line: rather use the environment or --token-file.",
            show_default="made up where others can reach the address",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Ask for the token in this file.",
            show_default=False,
            rich_help_panel=_SERVER,
        ),
    ] = None,
    model: ModelAgain = None,
    weights: WeightsAgain = None,
    class_names: ClassNames = None,
    device: Device = "cpu",
    no_open: NoOpen = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Open a circuit live: drop a picture, mask groups, watch the prediction. Ctrl-C ends it.

    The folder of a sweep opens as a map of its classes, which lead to their circuits.
    """
    with terminal(as_json, debug) as ui:
        import webbrowser

        import neurflow
        from neurflow.errors import ImagesError
        from neurflow.server.gallery import Gallery
        from neurflow.server.server import Server
        from neurflow.server.session import Session

        Given(context).one_of("token", "token_file")
        if images and not images.is_dir():
            raise ImagesError(f"There is no folder of images at {str(images)!r}.")

        def load(circuit: Circuit) -> Model:
            return neurflow.reload_model(
                circuit, model, weights=weights, class_names=class_names, device=device
            )

        def samples(loaded: Model) -> Images | None:
            return _samples(loaded, images)

        served: Session | Gallery
        if is_sweep(run):
            unused = ("images", "model", "weights", "class_names", "device")
            Given(context).refuse("a single result", *unused)
            served, title = Gallery(run, ui.progress), f"the atlas of {run}"
        else:
            served = Session(run, load, samples, author=getpass.getuser())
            title = served.circuit.target.name
        asked = token if token_file is None else token_in(token_file)
        server = Server(served, host=host, port=port, token=asked)
        ui.result(
            {
                "url": server.url,
                "url_elsewhere": server.url_elsewhere,
                "token": server.token,
            },
            Text(f"{title}: {server.url}"),
            *(
                [Text(f"From other machines: {server.url_elsewhere}")]
                if server.url_elsewhere
                else []
            ),
            Text("Ctrl-C ends it."),
        )
        if not no_open and not as_json and has_screen():
            webbrowser.open(server.url)
        server.serve()
    if not served.stop():
        # PyTorch cannot be interrupted, and aborts if Python ends around it. All that was to be kept is
        # written when it is asked for.
        sys.stdout.flush()
        os._exit(0)


def token_in(file: Path) -> str:
    """The token in a file; ``RequestError`` if it cannot be read."""
    from neurflow.errors import RequestError
    from neurflow.runtime.files import read

    try:
        return read(file, 4096).decode().strip()
    except (OSError, ValueError) as error:
        raise RequestError(f"The token in {file} cannot be read: {error}.") from None


def is_sweep(folder: Path) -> bool:
    """Whether a folder is a sweep's rather than a run's."""
    return (folder / "atlas").is_dir() and not (folder / "circuit.json").exists()


def _samples(model: Model, folder: Path | None) -> Images | None:
    """The pictures to try: a folder's, or for the demo network freshly drawn ones."""
    from neurflow.demo.network import REFERENCE
    from neurflow.demo.pictures import CLASSES, in_use
    from neurflow.pictures.images import load_images

    if folder:
        return load_images(folder, model)
    if model.info.reference != REFERENCE:
        return None
    return load_images([(picture.image, CLASSES[picture.label]) for picture in in_use()], model)
