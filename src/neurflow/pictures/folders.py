"""Pictures in a folder: finds the files, names them, and takes labels from folder names.

1. The folder and all its subfolders are searched, including links to folders. A link to a folder that
   is being searched is not followed. Hidden files and folders (with a leading dot) and
   those of the system (``BESIDE``) are skipped.
2. Files with the suffix of a supported format are pictures. Other files are counted by suffix.
3. The name of a picture is its path relative to the folder. Bytes that are not UTF-8 are escaped.
4. The label is the name of a folder. All labels are taken from the same level of folders: the one on
   which most pictures are in folders named after classes. Of equal levels, the uppermost is used, but
   a level of folders such as ``train`` and ``val`` is used only if there is no other. Classes may also
   be called by the whole path from a level on (``a/apartment_building/outdoor``).
5. If no folder is named after a class, but at least half of the files are (``Abyssinian_100.jpg``), the
   labels are taken from the names of the files.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from neurflow.model.naming import ClassNames
from neurflow.pictures.decoding import suffixes
from neurflow.pictures.spellings import Spellings

SPLITS = frozenset(
    ("train", "training", "val", "valid", "validation", "test", "testing", "eval", "holdout", "dev")
)
"""names of folders that divide a data set and do not name a class"""
MAX_LEVELS = 64
"""largest depth of nested folders that are searched"""
BESIDE = frozenset(("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"))
"""folders that operating systems create"""
_KINDS = 8
"""number of kinds of files that a note lists"""


@dataclass(frozen=True)
class Found:
    """The contents of a folder.

    Attributes:
        pictures: paths of the pictures, ordered by name.
        left_out: suffix → number of files that were skipped.
    """

    pictures: tuple[Path, ...]
    left_out: Counter[str]

    def note(self) -> str | None:
        """Return a note on the files that were skipped; None if there are none."""
        count = self.left_out.total()
        if not count:
            return None
        kinds = [f"{ending} {n}" for ending, n in self.left_out.most_common(_KINDS)]
        more = ["…"] if len(self.left_out) > _KINDS else []
        files, were = ("file", "was") if count == 1 else ("files", "were")
        return f"{count} {files} of other kinds {were} left out ({', '.join(kinds + more)})."


def find_pictures(folder: Path) -> Found:
    """Find the picture files in a folder and its subfolders."""
    known, pictures, left_out = suffixes(), [], Counter[str]()
    for path in _files(folder, ()):
        ending = path.suffix.lower()
        if ending in known and path.is_file():
            pictures.append(path)
        else:
            is_broken_link = ending in known
            left_out["broken links" if is_broken_link else name_of(ending) or "no extension"] += 1
    return Found(tuple(sorted(pictures)), left_out)


def name_of(path: str | os.PathLike[str]) -> str:
    """Return a path as printable text, with escapes for bytes that are not UTF-8."""
    text = path if isinstance(path, str) else Path(path).as_posix()
    return os.fsencode(text).decode("utf-8", errors="backslashreplace")


def labels_of(names: Sequence[str], classes: ClassNames) -> tuple[list[str | None], list[str]]:
    """Return the label of each picture, from the names relative to the folder, and notes."""
    parts = [name.split("/")[:-1] for name in names]
    levels = range(max(map(len, parts), default=0))
    ways = [(level, whole) for whole in (False, True) for level in levels]
    spellings = Spellings(classes)
    worth = {way: _worth([_label(each, *way) for each in parts], spellings) for way in ways}
    way = max(ways, key=lambda each: (*worth[each], not each[1], -each[0]), default=(0, False))
    if not worth.get(way, (0, True))[0]:
        found = [spellings.of_file(name.rpartition("/")[2].rpartition(".")[0]) for name in names]
        count = sum(label is not None for label in found)
        if count and 2 * count >= len(names):
            first = next(i for i, label in enumerate(found) if label is not None)
            said = f"{count} of {len(names)}, such as {names[first]} ({found[first]})"
            return found, [f"Labels are taken from the names of the files: {said}."]
    labels = [_label(each, *way) or (each[-1] if each else None) for each in parts]
    texts, notes = spellings.read(labels)
    return texts, [*notes, *_order_note({text for text in texts if text}, classes)]


def _order_note(labels: set[str], classes: ClassNames) -> list[str]:
    """Return a note if numbered folders are in another order than in torchvision's ``ImageFolder``."""
    if not classes.numbered or not all(label.isascii() and label.isdigit() for label in labels):
        return []
    odd = [text for place, text in enumerate(sorted(labels)) if place != int(text)]
    if not odd or {*map(int, labels)} != {*range(len(labels))}:
        return []
    return [
        f"Folder {odd[0]!r} is read as class {odd[0]}. ImageFolder sorts folders as text, so for a "
        f"network trained with it this is class {sorted(labels).index(odd[0])}: give --class-names "
        "with its order (dataset.classes)."
    ]


def _label(folders: Sequence[str], level: int, whole: bool) -> str | None:
    """Return the name of the folder on a level, or the whole path from there; None if there is none."""
    if level >= len(folders):
        return None
    return "/".join(folders[level:]) if whole else folders[level]


def _worth(labels: Sequence[str | None], spellings: Spellings) -> tuple[int, bool]:
    """Return (number of pictures in folders named after classes, whether not all are splits)."""
    counts = Counter(label for label in labels if label is not None)
    named = sum(n for label, n in counts.items() if spellings.fits(label))
    return named, not all(label.casefold() in SPLITS for label in counts)


def _files(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Yield the files in a folder that are not hidden; ``above`` are the folders that contain it."""
    try:
        status = folder.stat()
        inside = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    here = status.st_dev, status.st_ino
    if here in above or len(above) > MAX_LEVELS:
        return
    for entry in inside:
        if entry.name.startswith(".") or entry.name in BESIDE:
            continue
        try:
            is_folder = entry.is_dir()
        except OSError:  # a link to itself
            is_folder = False
        if is_folder:
            yield from _files(folder / entry.name, (*above, here))
        else:
            yield folder / entry.name
