"""``neurflow explore``: the page of a circuit, connected to its model."""

from __future__ import annotations

import getpass
import os
import sys
import webbrowser
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from neurflow.cli._command import command
from neurflow.cli._model_of import ModelOptions, with_model_options
from neurflow.cli._modes import Given
from neurflow.cli._options import NoOpen, Run
from neurflow.cli._terminal import Terminal, has_screen
from neurflow.errors import ImagesError, RequestError

if TYPE_CHECKING:
    from neurflow.model import Model
    from neurflow.pictures.images import Images
    from neurflow.server.server import Server
    from neurflow.server.session import Session

_SERVER = "Server"


Samples = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Images to try. Class folders make the audit possible.",
        show_default="drawn ones for the demo, otherwise none",
    ),
]
Clip = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|NAME",
        help="A CLIP-style model, from a folder or the hub, with which Find also searches crops.",
        show_default=False,
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Port; 0 for any free one.",
        show_default="the first free one from 8750",
        rich_help_panel=_SERVER,
    ),
]
Host = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS",
        help="Address to listen on. Other machines need a token.",
        rich_help_panel=_SERVER,
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        envvar="NEURFLOW_TOKEN",
        help="Token that a browser must give: letters and digits. Other users of this machine can "
        "see it on a command line, so use the environment or --token-file.",
        show_default="random if other machines can reach the address",
        rich_help_panel=_SERVER,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File that has the token.",
        show_default=False,
        rich_help_panel=_SERVER,
    ),
]


@command()
@with_model_options
def explore(
    ui: Terminal,
    context: typer.Context,
    run: Run,
    images: Samples = None,
    clip: Clip = None,
    port: Port = None,
    host: Host = "127.0.0.1",
    token: Token = None,
    token_file: TokenFile = None,
    no_open: NoOpen = False,
    **model: Any,
) -> None:
    """Explore a circuit live: drop an image, mask groups, watch the prediction.

    The folder of a sweep opens as a map of its targets. Ctrl-C stops the server.
    """
    from neurflow.server.gallery import Gallery
    from neurflow.server.server import Server

    given = Given(context)
    given.one_of("token", "token_file")
    if images and not images.is_dir():
        raise ImagesError(f"There is no folder of images at {str(images)!r}.")
    served: Session | Gallery
    if is_sweep(run):
        given.refuse("a single result", "images", "clip", *model)
        served, title = Gallery(run, ui.progress), f"the atlas of {run}"
    else:
        of_result = ModelOptions.pop(model)
        served = _session(run, of_result, images, clip)
        if refusal := of_result.refusal(served.circuit):
            ui.note(f"Only the stored result can be explored. {refusal}")
        title = served.circuit.target.name
    asked = token if token_file is None else token_in(token_file)
    server = Server(served, host=host, port=port, token=asked)
    _announce(ui, title, server, in_browser=not no_open)
    server.serve()
    if not served.stop():
        # PyTorch cannot be interrupted, and aborts if Python shuts down while it computes. All results
        # have been written already.
        sys.stdout.flush()
        os._exit(0)


def _session(run: Path, model: ModelOptions, images: Path | None, clip: str | None) -> Session:
    from neurflow.labels.zero_shot import ClipLabeler
    from neurflow.server.session import Session

    return Session(
        run,
        model.load,
        lambda loaded: _samples(loaded, images),
        author=getpass.getuser(),
        load_clip=partial(ClipLabeler, clip, device=model.device) if clip else None,
    )


def _announce(ui: Terminal, title: str, server: Server, *, in_browser: bool) -> None:
    """Print the address of a server, and open it in a browser if possible."""
    elsewhere = server.url_elsewhere
    ui.result(
        {"url": server.url, "url_elsewhere": elsewhere, "token": server.token},
        Text(f"{title}: {server.url}"),
        *([Text(f"From other machines: {elsewhere}")] if elsewhere else []),
        Text("Ctrl-C stops the server."),
    )
    if in_browser and not ui.as_json and has_screen():
        webbrowser.open(server.url)


def token_in(file: Path) -> str:
    """Read a token from a file; ``RequestError`` if that fails."""
    from neurflow.runtime.files import read

    try:
        return read(file, 4096).decode().strip()
    except (OSError, ValueError) as error:
        raise RequestError(f"The token in {file} cannot be read: {error}.") from None


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is that of a sweep rather than of a run."""
    return (folder / "atlas").is_dir() and not (folder / "circuit.json").exists()


def _samples(model: Model, folder: Path | None) -> Images | None:
    """Return images to try: those of a folder, or freshly drawn ones for the demo network."""
    from neurflow.demo.network import REFERENCE
    from neurflow.demo.pictures import CLASSES, in_use
    from neurflow.pictures.images import load_images

    if folder:
        return load_images(folder, model)
    if model.info.reference != REFERENCE:
        return None
    return load_images([(picture.image, CLASSES[picture.label]) for picture in in_use()], model)
