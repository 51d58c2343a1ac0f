"""``neurflow atlas``: questions over the circuits of a sweep."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.table import Table
from rich.text import Text

from neurflow.cli._modes import Given
from neurflow.cli._options import Debug, Json, NoOpen, names
from neurflow.cli._terminal import Terminal, plain, terminal
from neurflow.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

    from neurflow.atlas import Atlas

    Question: TypeAlias = Callable[[Atlas], pd.DataFrame]

TARGETS = "SELECT circuit, target, images, crops, neurons, groups, edges FROM targets ORDER BY ALL"
SHOWN = 40
"""rows that a terminal is given"""
LONGEST = 8
"""entries of a list that a terminal is given"""


MODES: dict[str, set[str]] = {
    "sql": set(),
    "shared": {"without", "by", "top"},
    "like": {"by", "top"},
    "serving": {"top"},
    "nearest": {"top"},
    "shortcuts": {"top"},
    "changed": {"top"},
    "pages": {"map_only"},
}
"""what can be asked, one at a time: parameter → those that belong to it"""


class By(StrEnum):
    """What makes two groups the same."""

    neurons = "neurons"
    crops = "crops"


def atlas(
    context: typer.Context,
    sweep: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a sweep.")],
    sql: Annotated[
        str | None, typer.Argument(metavar="[SELECT …]", help="A query over the tables.")
    ] = None,
    shared: Annotated[
        str | None,
        typer.Option(metavar="A,B…", help="Groups that A has in common with each of the others."),
    ] = None,
    without: Annotated[
        str | None, typer.Option(metavar="C…", help="With --shared: and that these do not have.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(metavar="A:GROUP", help="The groups of other targets most like one of A's."),
    ] = None,
    by: Annotated[
        By,
        typer.Option(
            help="With --shared and --like: groups go by their neurons, or by what the network "
            "makes of their crops."
        ),
    ] = By.neurons,
    serving: Annotated[
        bool, typer.Option("--serving", help="The neurons that serve most targets.")
    ] = False,
    nearest: Annotated[
        str | None, typer.Option(metavar="A", help="The targets whose circuits are most like A's.")
    ] = None,
    shortcuts: Annotated[
        bool,
        typer.Option("--shortcuts", help="Groups whose crops keep to one place of their pictures."),
    ] = False,
    changed: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What changed since another sweep of the same targets."),
    ] = None,
    pages: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write a map of the classes, and a page for each circuit."
        ),
    ] = None,
    map_only: Annotated[
        bool, typer.Option("--map-only", help="With --pages: without the circuits' pages.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="Rows of an answer, at most.")] = 20,
    renew: Annotated[
        bool, typer.Option("--renew", help="First make all tables again from the circuits.")
    ] = False,
    no_open: NoOpen = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Ask across the circuits of a sweep: in SQL, or one of the usual questions.

    Tables: targets, layers, neurons, semantic_groups, groups, neuron_edges, group_edges, group_crops,
    group_vectors, thumbnails, labels, evidence. Without a question: the targets.
    """
    with terminal(as_json, debug) as ui:
        from neurflow import atlas as ask

        questions: list[tuple[object, Question]] = [
            (sql, lambda a: a.query(sql or "")),
            (
                shared,
                lambda a: ask.shared_groups(
                    a, names(shared) or [], names(without) or [], by=by.value
                ).head(top),
            ),
            (like, lambda a: ask.like_group(a, *_group(like or ""), by=by.value, count=top)),
            (serving, lambda a: ask.serving(a, top)),
            (nearest, lambda a: ask.nearest(a, nearest or "", top)),
            (shortcuts, lambda a: ask.shortcut_candidates(a, top)),
            (changed, lambda a: ask.changed(ask.Atlas(changed or ""), a).head(top)),
        ]
        check_modes(Given(context))
        chosen = [question for given, question in questions if given]
        if renew:
            ask.renew(sweep, whole=True, progress=ui.progress)
        if pages:
            _write_pages(ui, sweep, pages, circuits=not map_only, no_open=no_open)
            return
        question = chosen[0] if chosen else lambda a: a.query(TARGETS)
        found = question(ask.Atlas(sweep, progress=ui.progress))
        ui.result({"rows": _records(found)}, _table(found), *_more(found))


def check_modes(given: Given) -> None:
    """``RequestError`` for options that cannot go together, or would do nothing."""
    if mode := given.one_of(*MODES):
        given.only(mode, {"sweep", "renew", *MODES[mode]})
    given.need(["shared"], "without")
    given.need(["shared", "like"], "by")
    given.need([mode for mode in MODES if "top" in MODES[mode]], "top")
    given.need(["pages"], "map_only")


def _write_pages(ui: Terminal, sweep: Path, folder: Path, *, circuits: bool, no_open: bool) -> None:
    from neurflow.pages.atlas_page import write_atlas_pages

    index = write_atlas_pages(sweep, folder, circuits=circuits, progress=ui.progress)
    ui.result({"files": [str(index)]}, Text(f"Written: {index}"))
    ui.open_page(index, wanted=not no_open)


def _group(text: str) -> tuple[str, str]:
    """``"beagle:layer4.0/1"`` → target and group."""
    target, found, group = text.rpartition(":")
    if not found:
        raise RequestError(f"--like {text!r} names no group. Write --like TARGET:LAYER/NUMBER.")
    return target, group


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Rows for JSON; bytes in base64."""
    text = frame.map(lambda each: b64encode(each).decode() if isinstance(each, bytearray) else each)
    found: list[dict[str, object]] = json.loads(text.to_json(orient="records", date_format="iso"))
    return found


def _table(frame: pd.DataFrame) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in frame.columns:
        table.add_column(str(column), overflow="fold")
    for row in frame.head(SHOWN).itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))
    return table


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
        return [Text("Nothing.")]
    if len(frame) > SHOWN:
        return [Text(f"… and {len(frame) - SHOWN:,} rows more: LIMIT and OFFSET, or --json")]
    return []
