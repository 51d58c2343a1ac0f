"""Tables of pictures and labels: CSV and the like, as exported by spreadsheets and used by Kaggle.

1. The column with the pictures is the first whose cells are all paths of files, relative to the table's
   folder or to the current one.
2. If there is none, it is one whose cells are names of pictures in the table's folder or below, also
   without their extensions (``ID_001`` for ``train/ID_001.png``). One folder must have them all, or
   each name must occur in only one folder.
3. The labels are in the column with a usual header (``HEADERS``), and of several of these in one with
   names of classes. Otherwise, they are in columns of 0 and 1 whose headers are class names, in the
   only other column, or in the only one with names of classes.
4. If some pictures are missing, but not most, their lines are left out, with a note.
"""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

from neurflow.errors import ImagesError
from neurflow.model.naming import ClassNames
from neurflow.pictures.folders import find_pictures, name_of
from neurflow.pictures.spellings import Spellings
from neurflow.runtime.paths import expanded, is_file

TABLES = (".csv", ".tsv", ".txt", ".lst")
MAX_BYTES = 64 * 2**20
"""largest table that is read"""
HEADERS = (
    *("label", "class", "category", "target", "name", "class_name", "species", "breed", "labels"),
    *("label_name", "diagnosis", "dx", "class_id", "variety", "y"),
)
"""headers of the column with the labels"""

Row = Sequence[str]


def is_table(path: Path) -> bool:
    """Return whether a file may be a table of paths and labels."""
    return path.suffix.lower() in TABLES and path.is_file()


def read_table(path: Path, names: ClassNames) -> tuple[list[Path], list[str | None], list[str]]:
    """Return the paths and the labels of a table, and notes.

    Columns are separated by commas, tabs, semicolons or spaces. If several lines have the same path,
    the first one counts.

    Raises:
        ImagesError: it has no column with pictures.
    """
    rows: list[Row] = list(_rows(path))
    missing: list[str] = []
    try:
        header, column, files, notes = _pictures(path, rows)
    except ImagesError:
        rows, missing = _without_missing(path, rows)
        header, column, files, notes = _pictures(path, rows)
    body = rows[header:]
    labels, more = _labels(rows[0] if header else None, body, column, names)
    paths, labels, repeated = _once(files, labels)
    return paths, labels, [*missing, *notes, *more, *repeated]


def _pictures(path: Path, rows: Sequence[Row]) -> tuple[bool, int, list[Path], list[str]]:
    """Return whether there is a header, the column with the pictures, their paths, and notes."""
    width = min(map(len, rows), default=0)
    for header in (False, True):
        body = rows[header:]
        for column in range(width) if body else ():
            for folder in (path.parent, Path()):
                files = [_file(folder, row[column]) for row in body]
                if all(map(is_file, files)):
                    return header, column, files, []
    found = _Names(path.parent)
    for header in (False, True):
        body = rows[header:]
        distinct = [len({row[column] for row in body}) for column in range(width)]
        for column in sorted(range(width) if body else (), key=lambda each: -distinct[each]):
            known = found.paths_of([row[column] for row in body])
            if known:
                first = f"{body[0][column]} is {name_of(known[0].relative_to(path.parent))}"
                return header, column, known, [f"Names in {path.name} are looked up: {first}."]
    raise ImagesError(
        f"{name_of(path)!r:.200} was read as a table, but no column has paths of existing pictures, "
        "relative to its folder. Write one picture per line: PATH,LABEL"
    )


def _without_missing(path: Path, rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Return the rows whose picture exists, and a note on the others.

    Raises:
        ImagesError: most pictures are missing.
    """
    names = _Names(path.parent)
    for is_picture in (partial(_is_picture, (path.parent, Path())), names.has):
        columns = range(min(map(len, rows), default=0))
        there = [[is_picture(row[column]) for row in rows] for column in columns]
        column = max(columns, key=lambda each: sum(there[each]), default=0)
        if columns and any(there[column]):
            break
    else:
        return list(rows), []
    header = not there[column][0]
    gone = {i for i in range(header, len(rows)) if not there[column][i]}
    if not gone:
        return list(rows), []
    verb = "is" if len(gone) == 1 else "are"
    note = (
        f"{len(gone)} of the {len(rows) - header} pictures in {name_of(path)!r:.200} {verb} missing, "
        f"such as {rows[min(gone)][column]!r:.80}"
    )
    if 2 * len(gone) > len(rows) - header:
        raise ImagesError(f"{note}. Paths are relative to the table's folder.")
    return [row for i, row in enumerate(rows) if i not in gone], [f"{note}, and left out."]


def _is_picture(folders: Sequence[Path], cell: str) -> bool:
    return any(is_file(_file(folder, cell)) for folder in folders)


def _file(folder: Path, cell: str) -> Path:
    """Return the path in a cell, which may have the backslashes of Windows."""
    path = folder / expanded(cell)
    slashes = cell.replace("\\", "/")
    return path if slashes == cell or is_file(path) else folder / expanded(slashes)


class _Names:
    """The pictures below a folder, by their names with and without extensions.

    Args:
        folder: the folder, which is searched when the first name is looked up.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, cell: str) -> bool:
        """Return whether a folder has a picture of this name."""
        return any(names.get(cell) for names in self._known.values())

    def paths_of(self, cells: Sequence[str]) -> list[Path]:
        """Return the paths of pictures of these names; empty if a name has no picture.

        Raises:
            ImagesError: several folders have pictures of all these names.
        """
        whole = [folder for folder, has in self._known.items() if all(map(has.get, cells))]
        if len(whole) > 1 and len({self._known[folder][cells[0]] for folder in whole}) > 1:
            one, two = (name_of(folder) for folder in whole[:2])
            raise ImagesError(
                f"{cells[0]!r:.80} and the other names of the table are in {one!r} and in {two!r}. "
                "Write paths into the table, or move the table into one of these folders."
            )
        found: list[Path] = []
        for cell in cells:
            folders = whole[:1] or self._known
            paths = {path for folder in folders if (path := self._known[folder].get(cell))}
            if len(paths) != 1:
                return []
            found += paths
        return found

    @cached_property
    def _known(self) -> dict[Path, dict[str, Path | None]]:
        """Folder → name relative to it → picture; None for a name that several pictures have."""
        known: defaultdict[Path, dict[str, Path | None]] = defaultdict(dict)
        for path in find_pictures(self._folder).pictures:
            folder = path.parent
            while True:
                whole = path.relative_to(folder).as_posix()
                for name in (whole, whole.removesuffix(path.suffix)):
                    known[folder][name] = None if name in known[folder] else path
                if folder == self._folder:
                    break
                folder = folder.parent
        return known


def _once(
    files: Sequence[Path], labels: Sequence[str | None]
) -> tuple[list[Path], list[str | None], list[str]]:
    """Return the first line of each path, and a note on the others."""
    first: dict[str, int] = {}
    for line, file in enumerate(files):
        first.setdefault(os.path.abspath(file), line)
    rest = len(files) - len(first)
    what = "1 line of the table repeats" if rest == 1 else f"{rest} lines of the table repeat"
    notes = [f"{what} a picture, and only the first counts."] if rest else []
    return [files[i] for i in first.values()], [labels[i] for i in first.values()], notes


def _rows(path: Path) -> Iterator[list[str]]:
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_BYTES else b"\0"
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        if "\0" in text:
            raise ValueError("it is not text, or too large")
        lines = [line for line in text.splitlines() if line.strip()]
        first = lines[0] if lines else ""
        between = next((sign for sign in "\t;," if sign in first), None)
        if between is None:  # spaces separate the last column
            yield from ([cell.strip() for cell in line.rsplit(None, 1)] for line in lines)
        else:
            cells = csv.reader(lines, delimiter=between, skipinitialspace=True)
            yield from ([cell.strip() for cell in row] for row in cells)
    except (OSError, ValueError, csv.Error) as error:
        raise ImagesError(f"{name_of(path)!r:.200} cannot be read as a table: {error}.") from None


def _labels(
    header: Row | None, body: Sequence[Row], pictures: int, names: ClassNames
) -> tuple[list[str | None], list[str]]:
    """Return the label of each line, and notes."""
    others = [column for column in range(min(map(len, body))) if column != pictures]
    called = {cell.casefold(): i for i, cell in enumerate(header or ()) if i in others}
    named = [called[name] for name in HEADERS if name in called]
    fits = Spellings(names).fits
    texts = {
        column: sum(not _is_number(row[column]) and fits(row[column]) for row in body)
        for column in (named if named else others)
    }
    column = next((each for each in named if texts[each]), named[0] if named else None)
    if column is None and header:
        classes = {i: cell for i, cell in enumerate(header) if i in others and fits(cell)}
        if len(classes) > 1 and all(row[i] in _BITS for row in body for i in classes):
            return [_marked(row, classes) for row in body], []
    if column is None and len(others) == 1:
        column = others[0]
    fitting = [each for each, count in texts.items() if 2 * count >= len(body)]
    if column is None and len(fitting) == 1:
        column = fitting[0]
    if column is None:
        shown = ", ".join((header or body[0])[each] for each in others[:8])
        why = f"No column of the table was recognised as labels ({shown}). Rename one of them to: label"
        return [None] * len(body), [why] if others else []
    return [_label(row[column], names) for row in body], []


def _label(cell: str, names: ClassNames) -> str | None:
    """Return the label in a cell; ``1.0``, as pandas writes numbers beside gaps, is the class 1."""
    is_whole = re.fullmatch(r"\d+\.0+", cell) and not names.labelled(cell)
    return (cell.partition(".")[0] if is_whole else cell) or None


_BITS = {"0": False, "1": True, "0.0": False, "1.0": True}
"""cells of a column that marks the pictures of one class"""


def _marked(row: Row, classes: dict[int, str]) -> str | None:
    """Return the only class whose column is 1; None if there are none or several."""
    found = [name for column, name in classes.items() if _BITS[row[column]]]
    return found[0] if len(found) == 1 else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
