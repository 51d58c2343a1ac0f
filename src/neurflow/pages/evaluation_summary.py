"""The main figures of an evaluation's table in a sentence, for the top of its page."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from neurflow.evaluation.result import Figure, Table
from neurflow.stats import Interval


def in_short(table: Table[Any]) -> str:
    """Return means and ranges of what a table plots; of two figures also how often the first is larger.

    Example::

        in_short(table)  # "drop 0.31 (0.02 to 0.84); 12 rows, on average."
    """
    rows = [row.cells() for row in table.rows]
    parts = []
    for name in table.chart.y:
        values = [value for row in rows if (value := _number(row.get(name))) is not None]
        if values:
            span = f" ({_short(min(values))} to {_short(max(values))})" if len(values) > 1 else ""
            parts.append(f"{name.replace('_', ' ')} {_short(fmean(values))}{span}")
    ways = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    if not parts:
        return f"{ways}."
    if len(rows) > 1:
        ways += ", on average"
    return f"{', '.join(parts)}; {ways}{_compared(table, rows)}."


def _compared(table: Table[Any], rows: list[dict[str, Figure]]) -> str:
    """How often the first of two plotted figures is larger than the second."""
    if len(table.chart.y) != 2:
        return ""
    first, second = table.chart.y
    pairs = [(_number(row.get(first)), _number(row.get(second))) for row in rows]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    larger = sum(a > b for a, b in known)
    words = first.replace("_", " "), second.replace("_", " ")
    return f"; {words[0]} is larger than {words[1]} in {larger} of {len(known)}" if known else ""


def _number(figure: Figure) -> float | None:
    if isinstance(figure, Interval):
        return float(figure.value)
    return float(figure) if isinstance(figure, int | float) else None


def _short(value: float) -> str:
    return typeset(f"{value:.2f}")


def typeset(number: str) -> str:
    """Return a number with the minus sign of typography."""
    return number.replace("-", "−") if number[:1] == "-" else number
