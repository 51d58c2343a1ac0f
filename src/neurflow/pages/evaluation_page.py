"""An evaluation as one HTML page that a reviewer can read: tables, plots, settings, what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neurflow.evaluation.result import Evaluation, Figure, Table
from neurflow.pages.evaluation_plots import svg
from neurflow.pages.evaluation_summary import in_short, typeset
from neurflow.pages.model_name import model_name
from neurflow.pages.page import write_page
from neurflow.pages.page_links import NAME, as_html, page_links
from neurflow.pages.policy import PLACE, with_classes, with_policy
from neurflow.stats import Interval

OPEN = 12
"""rows up to which a table is open from the start"""
STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2rem auto; padding: 0 1rem;
  background: Canvas; color: CanvasText; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .25rem; }
p { max-width: 48rem; } .quiet { opacity: .8; } nav a { margin-right: .9rem; white-space: nowrap; }
.wide { overflow-x: auto; } svg { max-width: 100%; height: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; } th { vertical-align: bottom; }
.short { border: 1px solid var(--line); border-radius: .6rem; padding: .2rem 1.2rem .8rem;
  margin: 1rem 0; }
.short h2 { margin-top: .8rem; } .short ul { padding-left: 1.1rem; margin: .4rem 0 0; }
td small { opacity: .8; } summary { cursor: pointer; margin: .3rem 0; }
a { color: LinkText; text-decoration: underline; }
dl { display: grid; grid-template-columns: fit-content(28rem) minmax(8rem, 1fr); gap: .1rem 1rem; }
dt { opacity: .8; } dd { margin: 0; overflow-wrap: anywhere; }
.terms { font-size: 13px; margin: .6rem 0 1rem; }
@media (max-width: 640px) { body { margin: 1rem auto; } dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; } .wide svg { max-width: none; width: 36rem; }
  nav a { white-space: normal; display: inline-block; } }
@page { margin: 12mm; }
@media print { body { max-width: none; margin: 0; padding: 0; } nav { display: none; }
  summary { display: none; } ::details-content { content-visibility: visible; height: auto; }
  svg, li, dt { break-inside: avoid; }
  table { font-size: 11px; } th, td { white-space: normal; }
  h2, h3 { break-after: avoid; } }
"""


def write_evaluation_page(found: Evaluation, path: str | Path) -> Path:
    """Write all tables and plots as one self-contained HTML file.

    Raises:
        RequestError: matplotlib is not installed.
        WorkError: the file cannot be written.
    """
    beside = page_links(Path(path))
    return write_page(with_policy(with_classes("\n".join(_page(found, beside)))), path)


def _page(found: Evaluation, beside: Sequence[tuple[str, str]]) -> Iterator[str]:
    title = f"Evidence for {found.target.name}"
    yield "<!doctype html><html lang='en'><meta charset='utf-8'>"
    yield PLACE
    yield "<meta name='viewport' content='width=device-width, initial-scale=1'>"
    yield f"<title>{escape(title)} · neurflow</title><style>{STYLE}</style>"
    yield f"<main><h1>{escape(title)}</h1>"
    if beside:
        yield f"<nav aria-label='{NAME}'>{as_html(beside)}</nav>"
    pictures = f"{found.images} images of the circuit"
    if found.held_out:
        pictures += f", {found.held_out} held-out pictures"
    made = f"neurflow {version('neurflow')}"
    yield f"<p class='quiet'>{escape(model_name(found.model.reference))} · {pictures} · {made}</p>"
    yield "<p>Each figure is a mean with its 95 % bootstrap interval, unless stated otherwise. "
    yield "The columns are explained below each table.</p>"
    yield from _in_short(found)
    yield "<nav aria-label='Protocols'>"
    for table in found.tables:
        yield f"<a href='#{table.protocol}'>{escape(table.title)}</a>"
    yield "</nav>"
    for table in found.tables:
        yield from _section(table)
    if found.missing:
        yield "<h2>Not measured</h2><dl>"
        for protocol, reason in found.missing.items():
            yield f"<dt>{escape(protocol)}</dt><dd>{escape(reason)}</dd>"
        yield "</dl>"
    yield "<h2>Settings</h2><dl>"
    described = type(found.settings).model_fields
    for name, value in found.settings.model_dump().items():
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        yield f"<dt>{escape(described[name].description or name)}</dt><dd>{escape(shown)}</dd>"
    yield "</dl></main></html>"


def _in_short(found: Evaluation) -> Iterator[str]:
    """Yield the main figures of every table."""
    sentences = [(table, in_short(table)) for table in found.tables if table.rows]
    if not sentences:
        return
    yield "<section class='short'><h2>In short</h2><ul>"
    for table, sentence in sentences:
        link = f"<a href='#{table.protocol}'>{escape(table.title)}</a>"
        yield f"<li>{link}: {escape(sentence)}</li>"
    yield "</ul></section>"


def _section(table: Table[Any]) -> Iterator[str]:
    yield f"<section id='{table.protocol}'><h2>{escape(table.title)}</h2>"
    yield f"<p>{escape(table.question)} <span class='quiet'>({table.seconds:.0f} s)</span></p>"
    for note in table.notes:
        yield f"<p class='quiet'>{escape(typeset(note))}</p>"
    if table.rows:
        plot = f"tabindex='0' role='region' aria-label='Plot: {escape(table.title)}'"
        yield f"<div class='wide' {plot}>{svg(table)}</div>"
        is_open = " open" if len(table.rows) <= OPEN else ""
        yield f"<details{is_open}><summary>{len(table.rows)} rows</summary>"
        region = f"tabindex='0' role='region' aria-label='{escape(table.title)}'"
        yield f"<div class='wide' {region}><table><thead><tr>"
        for name in table.columns:
            yield f"<th scope='col'>{escape(name.replace('_', ' '))}</th>"
        yield "</tr></thead><tbody>"
        for row in table.rows:
            cells = "".join(f"<td>{_cell(cell)}</td>" for cell in row.cells().values())
            yield f"<tr>{cells}</tr>"
        yield "</tbody></table></div><dl class='terms'>"
        for name, meaning in table.columns.items():
            yield f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(meaning)}</dd>"
        yield "</dl></details>"
    yield "</section>"


def _cell(cell: Figure) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, Interval):
        value, low, high = (typeset(f"{number:.2f}") for number in cell)
        return value if low == high else f"{value} <small>{low} … {high}</small>"
    return typeset(f"{cell:.3g}") if isinstance(cell, float) else escape(str(cell))
