"""Places of pictures: a folder, a file, a pattern such as ``photos/*.jpg``, a table of paths.

``~`` and ``$NAME`` are expanded. Pictures in another form (an archive, an array, a page on the network)
are refused with a suggestion.
"""

from __future__ import annotations

import csv
import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from neurflow.errors import ImagesError, UnreadableImage
from neurflow.pictures.decoding import open_picture, suffixes
from neurflow.pictures.folders import name_of
from neurflow.runtime.paths import expanded

TABLES = (".csv", ".tsv", ".txt", ".lst")
MOST_BYTES = 64 * 2**20
"""largest table that is read"""
_CURES = {
    "is an archive. Unpack it, and give the folder.": "zip tar tgz gz bz2 xz 7z rar zst",
    "has arrays. Load them in Python: neurflow.load_images(numpy.load(PATH), model)": "npy npz",
    "is a data set in a file. Load it in Python, and give the data set to neurflow.load_images, for "
    "example datasets.load_from_disk(FOLDER).": "arrow parquet h5 hdf5 tfrecord lmdb mdb beton pkl pt",
    "is not a raster format that Pillow decodes. Convert it to PNG or JPEG.": (
        "svg pdf heic heif jxl dcm nii cr2 nef arw dng mp4 avi mov mkv webm"
    ),
    "is a table of another kind. Save it as CSV with columns for the path and the label.": (
        "xlsx xls ods json jsonl"
    ),
}
_KINDS = {f".{ending}": cure for cure, endings in _CURES.items() for ending in endings.split()}
_LABELS = ("label", "class", "category", "target", "name", "class_name", "species", "breed")
"""headers of the column with the labels"""


def cure_of(endings: Iterable[str]) -> str:
    """Return a suggestion for files with one of these extensions, or an empty string."""
    found = next((end for end in endings if end in _KINDS and end not in suffixes()), None)
    return f"A {found} file {_KINDS[found]}" if found else ""


def find(source: str | Path) -> Path | list[Path]:
    """Return the file or folder at a path, or the files that match a pattern.

    Raises:
        ImagesError: there is no such file, or it has no pictures in a supported form.
    """
    text = os.fspath(source)
    if not text.strip():
        raise ImagesError("The path of the images is empty. Give a folder; the current one is '.'.")
    url = re.match(r"([a-z][a-z0-9+]{1,9}):/{1,2}(?!/\Z)", text, re.IGNORECASE)
    if url and url[1].lower() == "file":
        text = _unquoted(text[url.end() - 1 :])
    elif url and not os.path.lexists(text):
        raise ImagesError(f"{name_of(text)!r:.200} is on the network. Download the pictures first.")
    path = expanded(text)
    try:
        if path.exists():
            _refuse_others(path)
            return path
        files = [Path(each) for each in sorted(glob.glob(os.fspath(path), recursive=True))]
    except (OSError, ValueError):  # a name that no file can have
        files = []
    if files and not all(map(Path.is_file, files)):
        raise ImagesError(f"{name_of(text)!r:.200} matches folders. Give the folder that has them.")
    if files:
        return files
    raise ImagesError(
        f"There is no image or folder of images at {name_of(text)!r:.200}.{_near(text)}"
    )


def _unquoted(text: str) -> str:
    """Decode escapes such as ``%20`` in the address of a file."""
    letters = re.sub(
        rb"%([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(text)
    )
    return os.fsdecode(letters)


def _near(text: str) -> str:
    """Return a suggestion if the path exists without quotes, or with forward slashes."""
    plain = text.strip().strip("'\"")
    for other in (plain, plain.replace("\\", "/")):
        if other != text and os.path.exists(expanded(other)):
            return f" Did you mean {name_of(other)!r}?"
    return ""


def _refuse_others(path: Path) -> None:
    """Raise an error for a file with pictures in another form, unless it can be decoded."""
    cure = _KINDS.get(path.suffix.lower())
    if cure and path.is_file():
        try:
            open_picture(path)
        except UnreadableImage:
            raise ImagesError(f"{name_of(path)!r:.200} {cure}") from None


def is_table(path: Path) -> bool:
    """Whether a file may be a table of paths and labels."""
    return path.suffix.lower() in TABLES and path.is_file()


def read_table(path: Path) -> tuple[list[Path], list[str | None], list[str]]:
    """Return the paths and the labels of a table, and notes.

    Columns are divided by commas, tabs, semicolons or spaces. Of lines with the same path, the first
    counts.

    The paths are relative to the table's folder, or to the current one. The column with the labels is
    found by its header, or is the only other one.

    Raises:
        ImagesError: it has no column with paths of files.
    """
    rows = list(_rows(path))
    for header in (False, True):
        body = rows[header:]
        for column in range(min(map(len, body), default=0)):
            for folder in (path.parent, Path()):
                files = [folder / expanded(row[column]) for row in body]
                if body and _all_files(files):
                    return _once(files, _labels(rows, body, column, header))
    raise ImagesError(
        f"{name_of(path)!r:.200} is read as a table, and no column has paths of pictures that exist, "
        "relative to its folder. Write one picture per line: PATH,LABEL"
    )


def _once(
    files: Sequence[Path], labels: Sequence[str | None]
) -> tuple[list[Path], list[str | None], list[str]]:
    """The first line of each path, and a note on the others."""
    first: dict[str, int] = {}
    for line, file in enumerate(files):
        first.setdefault(os.path.abspath(file), line)
    rest = len(files) - len(first)
    what = "1 line of the table repeats" if rest == 1 else f"{rest} lines of the table repeat"
    notes = [f"{what} a picture, and only the first counts."] if rest else []
    return [files[i] for i in first.values()], [labels[i] for i in first.values()], notes


def _rows(path: Path) -> Iterator[list[str]]:
    try:
        data = path.read_bytes() if path.stat().st_size <= MOST_BYTES else b"\0"
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        if "\0" in text:
            raise ValueError("it is not text, or too large")
        lines = [line for line in text.splitlines() if line.strip()]
        first = lines[0] if lines else ""
        between = next((sign for sign in "\t;," if sign in first), None)
        if between is None:  # the last column of a line with spaces
            yield from ([cell.strip() for cell in line.rsplit(None, 1)] for line in lines)
        else:
            cells = csv.reader(lines, delimiter=between, skipinitialspace=True)
            yield from ([cell.strip() for cell in row] for row in cells)
    except (OSError, ValueError, csv.Error) as error:
        raise ImagesError(f"{name_of(path)!r:.200} cannot be read as a table: {error}.") from None


def _all_files(paths: Sequence[Path]) -> bool:
    try:
        return all(map(Path.is_file, paths))
    except (OSError, ValueError):  # a name that no file can have
        return False


def _labels(
    rows: Sequence[Sequence[str]], body: Sequence[Sequence[str]], paths: int, header: bool
) -> list[str | None]:
    width = min(map(len, body))
    others = [column for column in range(width) if column != paths]
    called = [cell.casefold() for cell in rows[0]] if header else []
    named = [called.index(name) for name in _LABELS if name in called[:width]]
    column = next((each for each in named if each in others), None)
    if column is None and len(others) == 1:
        column = others[0]
    return [None if column is None else row[column] or None for row in body]
