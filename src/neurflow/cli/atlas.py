"""``neurflow atlas``: questions about the circuits of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from neurflow.cli._command import command
from neurflow.cli._options import NoOpen, SweepFolder, names
from neurflow.cli._tables import fitted
from neurflow.cli._terminal import Terminal, plain

if TYPE_CHECKING:
    import pandas as pd

    from neurflow.atlas import Atlas

SHOWN = 40
"""number of rows that are printed"""
LONGEST = 8
"""number of entries of a list that are printed"""

app = typer.Typer(help="Ask questions about the circuits of a sweep.", no_args_is_help=True)


class By(StrEnum):
    """The property by which groups are matched."""

    neurons = "neurons"
    crops = "crops"


ByOption = Annotated[
    By,
    typer.Option(help="Compare groups by their neurons, or by the concept vectors of their crops."),
]
Top = Annotated[int, typer.Option(min=1, help="Largest number of rows.")]
Renew = Annotated[bool, typer.Option("--renew", help="Rebuild all tables from the circuits first.")]
TargetName = Annotated[
    str, typer.Argument(metavar="TARGET", help="A target, or the name of its circuit.")
]


@app.command("query")
@command()
def query(
    ui: Terminal,
    sweep: SweepFolder,
    sql: Annotated[
        str | None,
        typer.Argument(
            metavar="[SELECT …]", help="One SELECT statement; lists the targets if omitted."
        ),
    ] = None,
    renew: Renew = False,
) -> None:
    """Query the tables in SQL.

    Tables: targets, layers, neurons, semantic_groups, groups, neuron_edges, group_edges, group_crops,
    group_vectors, thumbnails, labels, evidence.
    """
    from neurflow.atlas.api import TARGETS

    _answer(ui, sweep, renew, lambda atlas: atlas.query(sql or TARGETS))


@app.command("shared")
@command()
def shared(
    ui: Terminal,
    sweep: SweepFolder,
    targets: Annotated[list[str], typer.Argument(metavar="TARGET…", help="Two targets or more.")],
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="TARGET,…", help="Targets that must not have the group."),
    ] = None,
    by: ByOption = By.neurons,
    top: Top = 20,
    renew: Renew = False,
) -> None:
    """List the groups that the first target shares with each of the others."""
    from neurflow.atlas import shared_groups

    ask, excluded = names(targets) or [], names(without) or []
    _answer(ui, sweep, renew, lambda a: shared_groups(a, ask, excluded, by=by.value).head(top))


@app.command("like")
@command()
def like(
    ui: Terminal,
    sweep: SweepFolder,
    group: Annotated[
        str,
        typer.Argument(
            metavar="TARGET:GROUP", help="A group of a target, such as beagle:layer4/1."
        ),
    ],
    by: ByOption = By.neurons,
    top: Top = 20,
    renew: Renew = False,
) -> None:
    """List the groups of other targets that are most similar to a group."""
    from neurflow.atlas import like_group
    from neurflow.atlas.api import group_of

    target, id = group_of(group)
    _answer(ui, sweep, renew, lambda a: like_group(a, target, id, by=by.value, count=top))


@app.command("serving")
@command()
def serving(ui: Terminal, sweep: SweepFolder, top: Top = 20, renew: Renew = False) -> None:
    """List the neurons that belong to the circuits of the most targets."""
    from neurflow.atlas import serving as serve

    _answer(ui, sweep, renew, lambda a: serve(a, top))


@app.command("nearest")
@command()
def nearest(
    ui: Terminal, sweep: SweepFolder, target: TargetName, top: Top = 20, renew: Renew = False
) -> None:
    """List the targets whose circuits are most similar to the circuit of a target."""
    from neurflow.atlas import nearest as near

    _answer(ui, sweep, renew, lambda a: near(a, target, top))


@app.command("shortcuts")
@command()
def shortcuts(ui: Terminal, sweep: SweepFolder, top: Top = 20, renew: Renew = False) -> None:
    """List the groups whose crops always lie in the same place of their images, as watermarks do."""
    from neurflow.atlas import shortcut_candidates

    _answer(ui, sweep, renew, lambda a: shortcut_candidates(a, top))


@app.command("changed")
@command()
def changed(
    ui: Terminal,
    sweep: SweepFolder,
    before: Annotated[
        Path, typer.Argument(metavar="DIR", help="An earlier sweep of the same targets.")
    ],
    top: Top = 20,
    renew: Renew = False,
) -> None:
    """List the circuits that differ most from those of an earlier sweep."""
    from neurflow.atlas import Atlas
    from neurflow.atlas import changed as differ

    _answer(ui, sweep, renew, lambda a: differ(Atlas(before), a).head(top))


@app.command("map")
@command()
def map_(
    ui: Terminal,
    sweep: SweepFolder,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder to write pages into.")
    ],
    map_only: Annotated[
        bool, typer.Option("--map-only", help="Do not write the pages of the circuits.")
    ] = False,
    renew: Renew = False,
    no_open: NoOpen = False,
) -> None:
    """Write a page with a map of all targets, and a page for each circuit."""
    from neurflow.atlas.tables import renew as rebuild
    from neurflow.pages.atlas_page import write_atlas_pages

    if renew:
        rebuild(sweep, whole=True, progress=ui.progress)
    index = write_atlas_pages(sweep, out, circuits=not map_only, progress=ui.progress)
    ui.result({"files": [str(index)]}, Text(f"Written: {index}"))
    ui.open_page(index, wanted=not no_open)


def _answer(
    ui: Terminal, sweep: Path, renew: bool, question: Callable[[Atlas], pd.DataFrame]
) -> None:
    """Open the atlas, run a query and print the rows."""
    from neurflow.atlas.api import opened, records

    found = question(opened(sweep, renew=renew, progress=ui.progress))
    rows = [[_cell(value) for value in row] for row in found.head(SHOWN).itertuples(index=False)]
    shown = fitted([str(name) for name in found.columns], rows, ui.width) if rows else []
    ui.result({"rows": records(found)}, *shown, *_more(found))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.3g}"
    if isinstance(value, bytearray):
        return f"{len(value):,} bytes"
    if hasattr(value, "tolist") and isinstance(entries := value.tolist(), list):
        more = f", … ({len(entries)})" if len(entries) > LONGEST else ""
        return plain(", ".join(map(_cell, entries[:LONGEST])) + more)
    return plain("" if value is None or str(value) == "<NA>" else str(value))


def _more(frame: pd.DataFrame) -> list[Text]:
    if not len(frame):
        return [Text("No rows.")]
    if len(frame) > SHOWN:
        return [Text(f"… and {len(frame) - SHOWN:,} more rows: use LIMIT and OFFSET, or --json")]
    return []
