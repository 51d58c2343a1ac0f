"""Pictures in a folder: which files they are, what they are called, and which folder is the label.

1. The folder is walked with all folders below it, links to folders included; a link back to a folder
   that is being walked is not followed. What is hidden (a leading dot) is left out.
2. Files with the ending of a format that is read are pictures; the others are counted by ending.
3. A picture's name is its path below the folder. Names that are no UTF-8 are written with escapes.
4. The label is the folder of one level: of that on which most pictures lie in folders named after
   classes. Of equals it is the uppermost, but ``train``, ``val`` and the like only if no other is.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from neurflow.model.naming import ClassNames
from neurflow.pictures.decoding import suffixes

SPLITS = frozenset(
    ("train", "training", "val", "valid", "validation", "test", "testing", "eval", "holdout", "dev")
)
"""folders that part a data set rather than name a class"""
MOST_LEVELS = 64
"""folders inside each other that are walked"""
_KINDS = 8
"""kinds of files listed in a note"""


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        pictures: their paths, in order of name.
        left_out: ending → number of files that were passed over.
    """

    pictures: tuple[Path, ...]
    left_out: Counter[str]

    def note(self) -> str | None:
        """A note on the files that were left out; None if there are none."""
        count = self.left_out.total()
        if not count:
            return None
        kinds = [f"{ending} {n}" for ending, n in self.left_out.most_common(_KINDS)]
        more = ["…"] if len(self.left_out) > _KINDS else []
        was, files = ("file", "was") if count == 1 else ("files", "were")
        return f"{count} {was} of other kinds {files} left out ({', '.join(kinds + more)})."


def find_pictures(folder: Path) -> Found:
    """The picture files below a folder."""
    known, pictures, left_out = suffixes(), [], Counter[str]()
    for path in _files(folder, ()):
        ending = path.suffix.lower()
        if ending in known and path.is_file():
            pictures.append(path)
        else:
            broken = ending in known
            left_out["links that lead nowhere" if broken else name_of(ending) or "no ending"] += 1
    return Found(tuple(sorted(pictures)), left_out)


def name_of(path: str | os.PathLike[str]) -> str:
    """A path as text that can be stored and printed, with escapes for bytes that are not UTF-8."""
    text = path if isinstance(path, str) else Path(path).as_posix()
    return os.fsencode(text).decode("utf-8", errors="backslashreplace")


def labels_of(names: Sequence[str], classes: ClassNames) -> list[str | None]:
    """The label of each picture, from the names relative to the folder."""
    parts = [name.split("/")[:-1] for name in names]
    levels = range(max(map(len, parts), default=0))
    level = max(levels, key=lambda place: (*_worth(parts, place, classes), -place), default=0)
    return [folders[min(level, len(folders) - 1)] if folders else None for folders in parts]


def _worth(parts: Sequence[Sequence[str]], level: int, classes: ClassNames) -> tuple[int, bool]:
    """(pictures in folders named after classes, whether the folders are more than splits)."""
    counts = Counter(folders[level] for folders in parts if len(folders) > level)
    named = sum(n for folder, n in counts.items() if classes.label(folder) is not None)
    return named, not all(folder.casefold() in SPLITS for folder in counts)


def _files(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Files below a folder that are not hidden; ``above`` are the folders on the way to it."""
    try:
        status = folder.stat()
        inside = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    here = status.st_dev, status.st_ino
    if here in above or len(above) > MOST_LEVELS:
        return
    for entry in inside:
        if entry.name.startswith("."):
            continue
        try:
            is_folder = entry.is_dir()
        except OSError:  # a link that leads to itself
            is_folder = False
        if is_folder:
            yield from _files(folder / entry.name, (*above, here))
        else:
            yield folder / entry.name
