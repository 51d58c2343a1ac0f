"""``neurflow report``: writes a circuit as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from neurflow.cli._command import command
from neurflow.cli._options import NoOpen, Run
from neurflow.cli._terminal import Terminal


@command()
def report(
    ui: Terminal,
    run: Run,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Page to write.", show_default="RUN/report.html"
        ),
    ] = None,
    crops: Annotated[
        int,
        typer.Option(min=1, max=16, help="Crops shown for each group; fewer make a smaller file."),
    ] = 16,
    no_open: NoOpen = False,
) -> None:
    """Write a circuit as one self-contained HTML file that opens from disk, offline."""
    from neurflow.circuit import load_circuit
    from neurflow.pages import write_report

    page = write_report(load_circuit(run), out or run / "report.html", crops_per_group=crops)
    size = page.stat().st_size
    ui.result({"report": str(page), "bytes": size}, Text(f"{page} ({size / 2**20:.1f} MiB)"))
    ui.open_page(page, wanted=not no_open)
