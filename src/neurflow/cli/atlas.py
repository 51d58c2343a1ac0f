"""``neurflow atlas``: questions over the circuits of a sweep."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from neurflow.cli._options import Debug, Json, names
from neurflow.cli._terminal import plain, terminal
from neurflow.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

    from neurflow.atlas import Atlas

TARGETS = "SELECT circuit, target, images, crops, neurons, groups, edges FROM targets"
SHOWN = 40
"""rows that a terminal is given"""


def atlas(
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
    top: Annotated[int, typer.Option(min=1, help="Rows of an answer, at most.")] = 20,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Ask across the circuits of a sweep: in SQL, or one of the usual questions.

    Tables: targets, neurons, semantic_groups, groups, neuron_edges, group_edges, group_crops. Without
    a question: the targets.
    """
    with terminal(as_json, debug) as ui:
        from neurflow import atlas as ask

        questions: list[Callable[[Atlas], pd.DataFrame]] = [
            *([lambda a: a.query(sql)] if sql else []),
            *(
                [
                    lambda a: ask.shared_groups(a, names(shared) or [], names(without) or []).head(
                        top
                    )
                ]
                if shared
                else []
            ),
            *([lambda a: ask.serving(a, top)] if serving else []),
            *([lambda a: ask.nearest(a, nearest, top)] if nearest else []),
            *([lambda a: ask.shortcut_candidates(a, top)] if shortcuts else []),
            *([lambda a: ask.changed(ask.Atlas(changed), a).head(top)] if changed else []),
        ]
        if len(questions) > 1:
            raise RequestError("Ask one thing at a time.")
        if without and not shared:
            raise RequestError("--without goes with --shared A,B.")
        question = questions[0] if questions else lambda a: a.query(TARGETS)
        found = question(ask.Atlas(sweep))
        rows = json.loads(found.to_json(orient="records", date_format="iso"))
        ui.result({"rows": rows}, _table(found), *_more(found))


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
    if hasattr(value, "tolist") and not isinstance(value, str):
        value = value.tolist()
        return plain(", ".join(map(str, value)) if isinstance(value, list) else str(value))
    return plain("" if value is None or str(value) == "<NA>" else str(value))


def _more(frame: pd.DataFrame) -> list[Text]:
    if not len(frame):
        return [Text("Nothing.")]
    if len(frame) > SHOWN:
        return [Text(f"… and {len(frame) - SHOWN:,} rows more: LIMIT and OFFSET, or --json")]
    return []
