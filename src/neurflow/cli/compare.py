"""``neurflow compare``: compares two circuits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from neurflow.cli._command import command
from neurflow.cli._options import NoOpen, Page
from neurflow.cli._terminal import Terminal


@command()
def compare(
    ui: Terminal,
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a result.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of another result.")],
    by: Annotated[
        Literal["auto", "neurons", "crops"],
        typer.Option(
            help="Compare groups by their neurons (for one network, or one fine-tuned from it), by the "
            "places of their crops on the same images, or as the weights suggest (auto)."
        ),
    ] = "auto",
    threshold: Annotated[
        float,
        typer.Option(min=0, max=1, help="Smallest similarity of groups that count as shared."),
    ] = 0.25,
    layer: Annotated[str | None, typer.Option(help="List the groups of this layer.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Largest number of entries in each list.")] = 5,
    draws: Annotated[
        int, typer.Option(min=1, help="Random assignments from which chance is estimated.")
    ] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random assignments.")] = 0,
    out: Page = None,
    no_open: NoOpen = False,
) -> None:
    """Compare two circuits: the groups they share, and the edges that differ.

    The circuits may be of two classes, of two networks on the same images, or from before and after
    fine-tuning.
    """
    import neurflow
    from neurflow.cli._comparison import comparison_text, layer_text

    a, b = neurflow.load_circuit(run_a), neurflow.load_circuit(run_b)
    if layer:
        a.layer(layer)
        b.layer(layer)
    found = neurflow.compare(
        a, b, by=by, threshold=threshold, draws=draws, seed=seed, progress=ui.progress
    )
    for note in found.notes:
        ui.note(f"Note: {note}")
    written = []
    if out:
        from neurflow.pages.comparison_page import write_comparison_page

        names = run_a.resolve().name, run_b.resolve().name
        written.append(write_comparison_page(a, b, found, out, names=names))
    shown = layer_text(a, b, found, layer, top) if layer else comparison_text(found, top)
    ui.result(found.model_dump(mode="json"), *shown, files=written)
    ui.open_page(out, wanted=not no_open)
