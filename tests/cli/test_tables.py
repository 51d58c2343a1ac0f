"""Tables fit the terminal, and columns that distinguish rows are always complete."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from neurflow.cli._tables import fitted

LAYERS = [f"features.denseblock{i}.denselayer{j}.conv2" for i in (1, 2) for j in (1, 12)]


def printed(columns: list[str], rows: list[list[str]], width: int) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width)
    for part in fitted(columns, rows, width):
        console.print(part)
    return file.getvalue()


def table(values: int) -> tuple[list[str], list[list[str]]]:
    columns = ["layer", "scope", *(f"figure {i}" for i in range(values))]
    rows = [
        [layer, scope, *(f"0.{i}{k}±.0{k}" for i in range(values))]
        for k, (layer, scope) in enumerate((a, b) for a in LAYERS for b in ("core", "all"))
    ]
    return columns, rows


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("values", [1, 4, 9])
def test_tables_contain_every_letter_of_every_cell(width: int, values: int) -> None:
    columns, rows = table(values)
    shown = printed(columns, rows, width)
    assert max(map(len, shown.splitlines())) <= width
    letters = "".join(shown.split())
    for letter in "kv":  # once in the middle and once at the end of each name; names can wrap
        assert letters.count(letter) % len(rows) == 0 and letter in letters
    assert letters.count("core") >= len(LAYERS)
    assert all(cell in letters for row in rows for cell in row[2:])
    assert "…" not in shown


def test_columns_that_do_not_fit_are_in_a_second_table() -> None:
    shown = printed(["layer", "a", "b", "c"], [["block1", "1" * 20, "2" * 20, "3" * 20]] * 2, 50)
    assert shown.count("block1") == 4 and shown.count("layer") == 2
    assert "3" * 20 in shown


def test_constant_columns_are_printed_once() -> None:
    rows = [["block1", "held-out pictures of the class", "1"], ["block2", "", "2"]]
    rows[1][1] = rows[0][1]
    shown = " ".join(printed(["layer", "scope", "n"], rows, 24).split())
    assert shown.startswith("scope: held-out pictures of the class layer n")
    assert "scope:" not in printed(["layer", "scope", "n"], rows, 80)


def test_control_characters_in_names_are_escaped() -> None:
    assert "\x1b" not in printed(["a"], [["red\x1b[31m"]], 80)
