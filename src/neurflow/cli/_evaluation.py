"""An evaluation in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from neurflow.cli._tables import fitted
from neurflow.cli._terminal import plain
from neurflow.evaluation.result import Evaluation, Figure, Table
from neurflow.stats import Interval

ROWS = 40
"""number of rows of a table that are shown"""


def evaluation_text(found: Evaluation, width: int) -> Iterator[RenderableType]:
    """Yield all tables, then the missing protocols."""
    pictures = f"{found.images} images of the circuit"
    if found.held_out:
        pictures += f", {found.held_out} held-out pictures"
    yield Text.assemble((plain(found.target.name), "bold"), f" by {plain(found.model.reference)}")
    yield Text(f"{pictures}; ± is half of a 95 % bootstrap interval\n")
    for table in found.tables:
        yield from _table(table, width)
    for protocol, reason in found.missing.items():
        yield Text.assemble((f"{protocol} is missing: ", "yellow"), plain(reason))


def _table(table: Table[Any], width: int) -> Iterator[RenderableType]:
    yield Text.assemble((table.title, "bold"), f"   {table.seconds:.0f} s")
    yield Text(table.question, style="dim")
    names = [name.replace("_", " ") for name in table.columns]
    rows = [[cell_text(cell) for cell in row.cells().values()] for row in table.rows[:ROWS]]
    if rows:
        yield from fitted(names, rows, width)
    if len(table.rows) > ROWS:
        yield Text(f"… and {len(table.rows) - ROWS} more rows (--json, --csv, --out)")
    yield from (Text(f"Note: {plain(note)}", style="yellow") for note in table.notes)
    yield Text("")


def cell_text(cell: Figure) -> str:
    """Return a short cell such as ``0.52±.13``: a value ± half its interval."""
    if cell is None:
        return "–"
    if isinstance(cell, Interval):
        half = f"{(cell.high - cell.low) / 2:.2f}".removeprefix("0")
        return f"{cell.value:z.2f}" if half == ".00" else f"{cell.value:z.2f}±{half}"
    return f"{cell:.3g}" if isinstance(cell, float) else plain(str(cell))
