"""The main figures of an evaluation's table in a sentence, for the top of its page."""

from __future__ import annotations

import re
from statistics import fmean
from typing import Any

from neurflow.evaluation.result import Chart, Figure, Row, Table
from neurflow.pages.evaluation_plots import key_of, shown_rows
from neurflow.stats import Interval

PANELS = 4
"""largest number of panels that are reported separately; otherwise their figures are averaged"""
SERIES = 6
"""the same for series"""


def in_short(table: Table[Any]) -> str:
    """Return the means of what a table plots, as the plot names them.

    Panels and series of the plot are reported separately if they are named and few. Otherwise, the
    range is given as well. If two columns are plotted, so is how often the first one is larger.

    Example::

        in_short(table)  # "drop 0.31 (0.02 to 0.84); 12 rows, on average."
        in_short(other)  # "masking: NeurFlow 0.02, random 0.48; retaining: …; 80 rows, on average."
    """
    rows = shown_rows(table)
    panels = _parts(rows, table.chart.panel, PANELS)
    means = [(name, _figures(part, table.chart, alone=len(panels) == 1)) for name, part in panels]
    parts = [f"{name}: {figures}" if name else figures for name, figures in means if figures]
    count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    if not parts:
        return f"{count}."
    if len(rows) > 1:
        count += ", on average"
    return f"{'; '.join(parts)}; {count}{_compared(table, [row.cells() for row in rows])}."


def _parts(rows: list[Row], columns: tuple[str, ...], most: int) -> list[tuple[str, list[Row]]]:
    """Return (name, rows) by the values of some columns; one unnamed part if some are no names."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(key_of(row, columns), []).append(row)
    named = all(isinstance(value, str) for key in found for value in key)
    if not named or len(found) > most:
        return [("", rows)]
    return [(" ".join(key).replace(",", ""), part) for key, part in found.items()]


def _figures(rows: list[Row], chart: Chart, *, alone: bool) -> str:
    """Return the means of the plotted columns; of a single column, those of each series."""
    series = _parts(rows, chart.series, SERIES) if len(chart.y) == 1 else [("", rows)]
    parts = []
    for name, part in series:
        for column in chart.y:
            values = [v for row in part if (v := _number(row.cells().get(column))) is not None]
            if values:
                spans = alone and len(series) == 1 and len(values) > 1
                span = f" ({_short(min(values))} to {_short(max(values))})" if spans else ""
                parts.append(f"{name or column.replace('_', ' ')} {_short(fmean(values))}{span}")
    return ", ".join(parts)


def _compared(table: Table[Any], rows: list[dict[str, Figure]]) -> str:
    """Return how often the first of two plotted figures is larger than the second."""
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


def typeset(text: str) -> str:
    """Return a number, or a text with numbers, with the minus sign of typography."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)
