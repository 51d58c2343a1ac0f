"""``neurflow demo``: the whole method, on a network about which everything is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from neurflow.cli._options import Debug, Json, NoOpen
from neurflow.cli._terminal import terminal


def demo(
    target: Annotated[
        str | None,
        typer.Option(help="Class to explain.", show_default="taxi, which has a planted shortcut"),
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="Pictures to draw of each class.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the pictures.")] = 0,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the result goes.")] = Path(
        "neurflow-demo"
    ),
    no_open: NoOpen = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Explain a small network on pictures that it draws itself, and open the report.

    Needs no arguments, no network and no GPU.
    """
    with terminal(as_json, debug, resumable=True) as ui:
        import neurflow
        from neurflow.cli._pictures_of import demo_pictures, note_source
        from neurflow.cli._summary import circuit_data, circuit_text
        from neurflow.cli.discover import what_next
        from neurflow.demo.network import LAYERS, demo_model
        from neurflow.demo.pictures import CLASSES, SHORTCUT
        from neurflow.pages import write_report

        ui.note(f"Drawing {pictures} pictures of each of {len(CLASSES)} classes.")
        drawn = demo_pictures(pictures, seed)
        model = demo_model()
        circuit = neurflow.discover(
            model,
            neurflow.load_images(drawn, model),
            target=target or SHORTCUT.class_name,
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
            what_next(out, ui.seconds),
            Text(f"The page is there: {page}"),
        )
        ui.open_page(page, wanted=not no_open)
