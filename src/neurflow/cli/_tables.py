"""Tables that fit the width of the terminal without cutting anything off.

1. A column is as wide as its widest cell. Text columns may be narrower, down to ``TEXT`` letters, and
   then wrap.
2. If the table is still too wide, columns with the same text in every row move into a line above it.
3. If it is still too wide, the columns are spread over several tables. Each of them begins with the
   leading text columns, which identify the rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from neurflow.cli._terminal import plain

TEXT = 16
"""least width of a text column, unless its text is shorter"""
GAP = 2
NUMBER = re.compile(r"[-+−–]?[\d.,]*[%±.\d\[\]…() e+-]*")

Cell = str | Text


@dataclass
class _Column:
    """A column: its header, its cells, and its smallest and largest width."""

    name: str
    cells: list[Cell]

    def __post_init__(self) -> None:
        shown = [str(cell) for cell in self.cells]
        self.numeric = all(NUMBER.fullmatch(text) for text in shown)
        head = max(map(len, self.name.split()), default=0)
        lines = [line for text in shown for line in text.splitlines()]
        self.widest = max([head, *map(len, lines)])
        self.least = self.widest if self.numeric else min(self.widest, max(TEXT, head))
        self.constant = len(self.cells) > 1 and len(set(shown)) == 1 and bool(shown[0])


def fitted(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], width: int
) -> list[RenderableType]:
    """Lay a table out within a width.

    Args:
        columns: headers.
        rows: the cells of each row; control characters are removed from plain text.
        width: columns of the terminal.

    Returns:
        One table, or several with the same first columns; maybe a line above them.
    """
    made = [
        _Column(name, [c if isinstance(c, Text) else plain_lines(c) for c in cells])
        for name, cells in zip(columns, zip(*rows, strict=True), strict=False)
    ] or [_Column(name, []) for name in columns]
    above: list[RenderableType] = []
    if _least(made) > width:
        constant = [each for each in made if each.constant]
        made = [each for each in made if not each.constant] or made
        if constant and len(made) < len(columns):
            above.append(Text("; ".join(f"{each.name}: {each.cells[0]}" for each in constant)))
    keys = made[: next((i for i, each in enumerate(made) if each.numeric), 1)] or made[:1]
    if _least(keys) > width // 2:
        keys = keys[:1]
    blocks, left = list[Table](), [each for each in made if each not in keys]
    while left or not blocks:
        block = list(keys)
        while left and (len(block) == len(keys) or _least([*block, left[0]]) <= width):
            block.append(left.pop(0))
        blocks.append(_grid(block, width))
    return [*above, *blocks]


def plain_lines(text: str) -> str:
    """Return text without control characters other than line ends."""
    return "\n".join(map(plain, text.splitlines()))


def _least(columns: Sequence[_Column]) -> int:
    return sum(each.least for each in columns) + GAP * max(len(columns) - 1, 0)


def _grid(columns: Sequence[_Column], width: int) -> Table:
    """Return a table whose columns have fixed widths, so that no text is cut off."""
    widths = [each.least for each in columns]
    spare = width - _least(columns)
    for place, each in enumerate(columns):
        more = max(0, min(spare, each.widest - each.least))
        widths[place] += more
        spare -= more
    if spare < 0:  # one cell is wider than the terminal
        longest = max(range(len(widths)), key=lambda place: widths[place])
        widths[longest] = max(1, widths[longest] + spare)
    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for each, wide in zip(columns, widths, strict=True):
        justify = "right" if each.numeric and each.cells else "left"
        grid.add_column(Text(each.name), width=wide, overflow="fold", justify=justify)  # type: ignore[arg-type]
    for cells in zip(*(each.cells for each in columns), strict=True):
        grid.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
    return grid
