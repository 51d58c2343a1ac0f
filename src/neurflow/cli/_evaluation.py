"""What an evaluation found, as words for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from neurflow.cli._terminal import plain
from neurflow.evaluation.result import Evaluation, Figure, Table
from neurflow.evidence import Interval

ROWS = 40
"""of a table that are shown"""


def evaluation_text(found: Evaluation) -> Iterator[RenderableType]:
    """All tables, then what is missing."""
    pictures = f"{found.images} images of the circuit"
    if found.held_out:
        pictures += f", {found.held_out} held-out pictures"
    yield Text.assemble((plain(found.target.name), "bold"), f" by {plain(found.model.reference)}")
    yield Text(f"{pictures}; intervals are 95 % bootstrap where nothing else is said\n")
    for table in found.tables:
        yield from _table(table)
    for protocol, reason in found.missing.items():
        yield Text.assemble((f"{protocol} is missing: ", "yellow"), plain(reason))


def _table(table: Table[Any]) -> Iterator[RenderableType]:
    yield Text.assemble((table.title, "bold"), f"   {table.seconds:.0f} s")
    yield Text(table.question, style="dim")
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in table.columns:
        grid.add_column(name.replace("_", " "))
    for row in table.rows[:ROWS]:
        grid.add_row(*(cell_text(cell) for cell in row.cells().values()))
    yield grid
    if len(table.rows) > ROWS:
        yield Text(f"… and {len(table.rows) - ROWS} more rows (--json, --csv, --report)")
    yield from (Text(f"Note: {plain(note)}", style="yellow") for note in table.notes)
    yield Text("")


def cell_text(cell: Figure) -> str:
    """A cell in few letters: ``0.52 (0.40–0.66)``."""
    if cell is None:
        return "–"
    if isinstance(cell, Interval):
        value, low, high = (f"{number:.2f}" for number in cell)
        return value if low == high else f"{value} ({low} … {high})"
    return f"{cell:.3g}" if isinstance(cell, float) else plain(str(cell))
