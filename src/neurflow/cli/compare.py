"""``neurflow compare``: two circuits side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from neurflow.cli._options import Debug, Json, NoOpen
from neurflow.cli._terminal import terminal
from neurflow.cli.debug import Page


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a result.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of another.")],
    by: Annotated[
        Literal["auto", "neurons", "crops"],
        typer.Option(
            help="Compare groups by their neurons (same network, or fine-tuned from it), by where "
            "their crops lie on the same pictures, or as the weights suggest."
        ),
    ] = "auto",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Least similarity of groups called the same.")
    ] = 0.25,
    layer: Annotated[str | None, typer.Option(help="List the groups of this layer.")] = None,
    top: Annotated[int, typer.Option(min=1, help="List at most so many of everything.")] = 5,
    draws: Annotated[int, typer.Option(min=1, help="Random deals behind chance.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random deals.")] = 0,
    out: Page = None,
    no_open: NoOpen = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two circuits: which groups they share, which only one has, and how edges change.

    Of two classes, of two networks on the same pictures, or before and after fine-tuning.
    """
    with terminal(as_json, debug) as ui:
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
        ui.result(
            {"files": [str(path) for path in written], **found.model_dump(mode="json")},
            *shown,
            *(Text(f"Written: {path}") for path in written),
        )
        if out:
            ui.open_page(out, wanted=not no_open)
