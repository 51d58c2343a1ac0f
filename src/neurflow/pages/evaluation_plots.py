"""Tables of an evaluation as plots: points with their intervals, one panel for each kind of row.

Needs matplotlib: ``pip install 'neurflow[plot]'``.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from neurflow.evaluation.result import Chart, Evaluation, Row, Table
from neurflow.runtime.extras import require
from neurflow.runtime.files import replacing, subfolder
from neurflow.stats import Interval

COLOURS = ("#1a8fa8", "#d4602a", "#9069bd", "#5b9a3c", "#c4961a", "#c94f86", "#7d8590", "#4a6fd0")
"""colours that can be distinguished on white and on black"""
MARKERS = "osD^vP*X"
INK = "#123456"
"""placeholder of the page's text colour in an SVG"""
COLUMNS = 3
"""panels side by side"""
WIDE = 8
"""number of places on the x axis, or of letters of their names, above which names are tilted"""


def write_plots(found: Evaluation, folder: Path) -> list[Path]:
    """Write each table's plot as PNG into a folder, which is made.

    Raises:
        RequestError: matplotlib is not installed.
        WorkError: a file cannot be written.
    """
    require("plot")
    written = []
    for table in found.tables:
        if table.rows:
            path = subfolder(folder) / f"{table.protocol}.png"
            with replacing(path) as handle:
                _draw(table, handle, "png", "#222222")
            written.append(path)
    return written


def svg(table: Table[Any]) -> str:
    """Return a table's plot as SVG in the colour of the text around it."""
    require("plot")
    data = io.StringIO()
    _draw(table, data, "svg", INK)
    text = data.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")


def _draw(table: Table[Any], to: Any, kind: str, ink: str) -> None:
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        "font.family": "sans-serif",
        "font.size": 9,
        "svg.fonttype": "none",
        "svg.hashsalt": table.protocol,
        **dict.fromkeys(
            ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink
        ),
    }
    chart = table.chart
    rows = shown_rows(table)
    panels = list(dict.fromkeys(key_of(row, chart.panel) for row in rows))
    columns = 2 if len(panels) == 4 else min(len(panels), COLUMNS)
    lines = -(-len(panels) // columns)
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(1.6 + 3.4 * max(columns, 1.4), 0.9 + 2.6 * lines))
        figure.set_layout_engine("constrained")
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
        for panel in grid.ravel()[len(panels) :]:
            panel.set_axis_off()
        names = _series(rows, chart)
        for panel, key in zip(grid.ravel(), panels, strict=False):
            _panel(panel, [row for row in rows if key_of(row, chart.panel) == key], chart, names)
            title = ", ".join(
                f"{column} {value}" if isinstance(value, int | float) else str(value)
                for column, value in zip(chart.panel, key, strict=True)
            )
            panel.set_title(title, loc="left", fontsize=9)
        for row in grid:
            row[0].set_ylabel(chart.y_label)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        if len(names) > 1:
            figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8)
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(to, format=kind, dpi=180, transparent=kind == "svg", metadata=metadata)


def shown_rows(table: Table[Any]) -> list[Row]:
    """Return the rows that are drawn."""
    rows: list[Row] = list(table.rows)
    if column := table.chart.largest:
        largest = max(getattr(row, column) for row in rows)
        rows = [row for row in rows if getattr(row, column) == largest]
    return rows


def key_of(row: Row, columns: Iterable[str]) -> tuple[Any, ...]:
    """Return the values of some columns."""
    return tuple(getattr(row, column) for column in columns)


Series = tuple[str, tuple[Any, ...]]
"""(column that is drawn, values that identify the series)"""


def _series(rows: list[Row], chart: Chart) -> list[Series]:
    keys = dict.fromkeys(key_of(row, chart.series) for row in rows)
    return [(y, key) for y in chart.y for key in keys]


def _panel(panel: Any, rows: list[Row], chart: Chart, names: list[Series]) -> None:
    """Draw one panel. On its x axis, categories are evenly spaced, and quantities are to scale."""
    places = list(dict.fromkeys(getattr(row, chart.x) for row in rows))
    values = list(dict.fromkeys(key for _, key in names))
    several = len(chart.y) > 1
    for number, (y, key) in enumerate(names):
        own = [row for row in rows if key_of(row, chart.series) == key]
        points = [
            (getattr(row, chart.x), cell) for row in own if (cell := getattr(row, y)) is not None
        ]
        shift = 0.0 if chart.line else (number - (len(names) - 1) / 2) * 0.8 / len(names)
        x = np.array([p if chart.line else places.index(p) + shift for p, _ in points], dtype=float)
        middle = np.array([_parts(cell) for _, cell in points]).reshape(-1, 3)
        label = " ".join([*([y] if several or not key else []), *map(str, key)]).replace("_", " ")
        panel.errorbar(
            x,
            middle[:, 0],
            yerr=[middle[:, 0] - middle[:, 1], middle[:, 2] - middle[:, 0]],
            color=COLOURS[(chart.y.index(y) if several else values.index(key)) % len(COLOURS)],
            marker=MARKERS[(values.index(key) if several else 0) % len(MARKERS)],
            linestyle="-" if chart.line else "none",
            markersize=4,
            linewidth=1.2,
            elinewidth=0.9,
            label=label,
        )
    if chart.reference is not None:
        panel.axhline(chart.reference, color=COLOURS[6], linewidth=0.8, linestyle=":")
    if chart.line:
        panel.set_xlabel(chart.x)
        if chart.log:
            panel.set_xscale("log")
    else:
        tilt = len(places) > WIDE or max(map(len, map(str, places))) > WIDE
        panel.set_xticks(range(len(places)), list(map(str, places)), rotation=30 if tilt else 0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", alpha=0.2)


def _parts(cell: Any) -> tuple[float, float, float]:
    value, low, high = cell if isinstance(cell, Interval) else (float(cell),) * 3
    return value, low, high
