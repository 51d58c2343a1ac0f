"""``neurflow edit``: merges and splits groups by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from neurflow.cli._command import command
from neurflow.cli._options import Run, names
from neurflow.cli._terminal import Terminal, plain
from neurflow.errors import RequestError
from neurflow.refs import Member

if TYPE_CHECKING:
    from neurflow.circuit import Circuit
    from neurflow.circuit.edits import Edits, Merge, Split

    Change = Callable[[Circuit, Edits], Edits]


@command()
def edit(
    ui: Terminal,
    run: Run,
    merge_: Annotated[
        list[str] | None,
        typer.Option("--merge", metavar="GROUP,GROUP…", help="Merge these groups into one."),
    ] = None,
    split_: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="G=N.M,N.M…",
            help="Split members of a group off; a member is neuron.meaning.",
        ),
    ] = None,
    undo_: Annotated[bool, typer.Option("--undo", help="Undo the last edit.")] = False,
    redo_: Annotated[
        bool, typer.Option("--redo", help="Redo the edit that was undone last.")
    ] = False,
    import_: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Apply the edits in a file."),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all edits into a file.")
    ] = None,
) -> None:
    """Merge groups with the same meaning, or split a group with two meanings.

    Edits are stored beside the result, which stays unchanged, and can be undone. The weights between
    groups are recomputed. Without an option, all edits are listed. To list the members of a group,
    use neurflow show RUN --group GROUP.
    """
    from neurflow.circuit import change_edits, load_edits
    from neurflow.circuit.edits import redo, undo
    from neurflow.runtime.files import write_atomically

    asked = [
        *([_merging(merge_)] if merge_ else []),
        *([_splitting(split_)] if split_ else []),
        *([_back(undo)] if undo_ else []),
        *([_back(redo)] if redo_ else []),
        *([_importing(import_)] if import_ else []),
    ]
    if len(asked) > 1:
        raise RequestError("Give one edit at a time, so that each can be undone separately.")
    edits = change_edits(run, asked[0]) if asked else load_edits(run)
    if export is not None:
        write_atomically(export, edits.model_dump_json(indent=1).encode())
    ui.result(_data(edits), *_text(edits, undone=undo_))


def _merging(given: list[str]) -> Change:
    from neurflow.circuit.edits import merge

    groups = names(given) or []
    return lambda circuit, edits: merge(circuit, edits, groups)


def _splitting(text: str) -> Change:
    from neurflow.circuit.edits import split

    group, _, rest = text.partition("=")
    try:
        members = [Member(*map(int, part.split("."))) for part in rest.split(",")]
    except (ValueError, TypeError):
        raise RequestError(
            f"Cannot read --split {text!r}. Give the group, =, and the members to split off, as in "
            "layer4/3=17.0,25.1"
        ) from None
    return lambda circuit, edits: split(circuit, edits, group.strip(), members)


def _back(step: Callable[[Edits], Edits]) -> Change:
    return lambda _, edits: step(edits)


def _importing(file: Path) -> Change:
    from neurflow.circuit import read_edits
    from neurflow.circuit.edits import replay

    found = read_edits(file)
    return lambda circuit, edits: replay(circuit, edits, found)


def _data(edits: Edits) -> dict[str, Any]:
    return edits.model_dump(mode="json", include={"done", "undone"})


def _text(edits: Edits, *, undone: bool) -> Iterator[Text]:
    if not edits.done:
        yield Text("All edits are undone." if edits.undone else "There are no edits.")
    for number, each in enumerate(edits.done, 1):
        yield Text(plain(f"{number}. {_words(each)}"))
    if undone:
        yield Text(plain(f"Undone: {_words(edits.undone[-1])}"))


def _words(edit: Merge | Split) -> str:
    if edit.kind == "merge":
        return f"{' and '.join(edit.groups)} merged into {edit.into}"
    members = ", ".join(f"{a}.{i}" for a, i in edit.members)
    return f"{edit.group} split into {edit.into[0]} ({members}) and {edit.into[1]} (the others)"
