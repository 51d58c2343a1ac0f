"""``neurflow demo``: runs the whole method on a small network with a planted shortcut."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from neurflow.cli._command import command
from neurflow.cli._options import NoOpen
from neurflow.cli._terminal import Terminal


@command(resumable=True)
def demo(
    ui: Terminal,
    target: Annotated[
        str | None,
        typer.Option(help="Class to explain.", show_default="taxi, which has a planted shortcut"),
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=1, help="Number of images to draw of each class.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed for drawing the images.")] = 0,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder of the result.")
    ] = Path("neurflow-demo"),
    no_open: NoOpen = False,
) -> None:
    """Explain a small network on images drawn by this command, and open the report.

    No arguments, internet access or GPU are needed.
    """
    import neurflow
    from neurflow.cli._summary import circuit_data, circuit_text
    from neurflow.cli.discover import next_steps
    from neurflow.demo.network import LAYERS, demo_model
    from neurflow.demo.pictures import CLASSES, SHORTCUT
    from neurflow.evaluation.picture_source import demo_pictures, note_source
    from neurflow.pages import write_report

    model = demo_model()
    # A misspelled target is an error before the images are drawn.
    explained = model.target(target or SHORTCUT.class_name)
    ui.note(f"Drawing {pictures} images of each of {len(CLASSES)} classes.")
    drawn = demo_pictures(pictures, seed)
    circuit = neurflow.discover(
        model,
        neurflow.load_images(drawn, model),
        target=explained,
        layers=LAYERS,
        out=out,
        progress=ui.progress,
    )
    note_source(out, {"pictures": pictures, "seed": seed})
    page = write_report(circuit, out / "report.html")
    ui.result(
        {
            "result": str(out),
            "report": str(page),
            **circuit_data(circuit, circuit.layers, top=3),
        },
        *circuit_text(circuit, circuit.layers, top=3),
        Text(""),
        next_steps(out, ui.seconds),
        Text(f"The report is in {page}"),
    )
    ui.open_page(page, wanted=not no_open)
