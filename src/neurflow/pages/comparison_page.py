"""The page that compares two circuits: the front end with the data of a comparison."""

from __future__ import annotations

from pathlib import Path

from neurflow.circuit import Circuit
from neurflow.comparison.result import Comparison
from neurflow.pages.comparison_payload import comparison_payload
from neurflow.pages.page import with_data, write_page


def write_comparison_page(
    a: Circuit,
    b: Circuit,
    comparison: Comparison,
    path: str | Path,
    *,
    names: tuple[str, str] = ("A", "B"),
) -> Path:
    """Write a comparison as one self-contained HTML file.

    Args:
        a: first circuit that was given to ``compare``.
        b: second one.
        comparison: result of ``compare``.
        path: path of the file; replaced atomically.
        names: names of the circuits, used if they have the same target and network.

    Raises:
        WorkError: the front end was not built, or the file cannot be written.
    """
    return write_page(render_comparison(a, b, comparison, names), path)


def render_comparison(
    a: Circuit, b: Circuit, comparison: Comparison, names: tuple[str, str]
) -> str:
    """Return the page as text."""
    data = comparison_payload(a, b, comparison, names)
    return with_data(data.model_dump_json(), f"{data.a.name} and {data.b.name}")
