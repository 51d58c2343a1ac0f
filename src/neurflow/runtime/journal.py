"""Stores unfinished sums once a minute, so that a killed run loses at most a minute of work.

1. A sum is a set of arrays that change in place, with a key that identifies the sum. ``follow`` fills
   them with the stored values of the same key, or of a key for a part of it.
2. ``tick`` writes all followed arrays in one atomic step, if a minute has passed since the last time.
3. A damaged file is ignored, as is one with arrays of another shape or with numbers that are not
   finite. The sums then start from zero.
"""

from __future__ import annotations

import contextlib
import io
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from neurflow.runtime.files import read, replacing

EVERY = 60.0
"""shortest interval between two writes, in seconds"""
SHARE = 50.0
"""writing takes at most this part of the time (1 / ``SHARE``); slow writes are therefore rarer"""
LARGEST = 2**31
"""largest size of a file that is read, in bytes"""

Arrays = Mapping[str, np.ndarray]


class Journal:
    """Unfinished sums in one file.

    Args:
        file: None if nothing should be stored.
        clock: returns the time in seconds.
    """

    def __init__(
        self, file: Path | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file, self._clock = file, clock
        self._followed: dict[str, np.ndarray] = {}
        self._before: dict[str, np.ndarray] | None = None
        self._due = clock() + EVERY

    def follow(self, key: str, arrays: Arrays) -> None:
        """Fill arrays with the stored values of a key, and store their changes from now on."""
        if self._file is None:
            return
        if self._before is None:
            self._before = _kept(self._file)
        named = {f"{key}/{name}": array for name, array in arrays.items()}
        kept = {name: self._before.pop(name) for name in named if name in self._before}
        if kept.keys() == named.keys() and all(_matches(kept[n], named[n]) for n in named):
            for name, value in kept.items():
                named[name][...] = value
        self._followed |= named

    def tick(self) -> None:
        """Write if it is due; ``WorkError`` if that is not possible."""
        if self._clock() >= self._due:
            self.write()

    def write(self) -> None:
        """Write now, if any arrays are followed."""
        if self._file is None or not self._followed:
            return
        begun = self._clock()
        if all(map(_finite, self._followed.values())):
            with replacing(self._file) as handle:
                np.savez(handle, **(self._before or {}), **self._followed)  # type: ignore[arg-type]
        now = self._clock()
        self._due = now + max(EVERY, SHARE * (now - begun))

    def remove(self) -> None:
        """Remove the file, because the sums are complete."""
        self._followed.clear()
        self._before = None
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def _kept(file: Path) -> dict[str, np.ndarray]:
    """Return the arrays in the file, which have checksums; empty if it is missing or damaged."""
    damaged = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
    with contextlib.suppress(*damaged):
        data = read(file, LARGEST)
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            if sum(each.file_size for each in stored.zip.infolist()) <= len(data):
                return dict(stored)
    return {}


def _matches(kept: np.ndarray, wanted: np.ndarray) -> bool:
    same = (kept.shape, kept.dtype) == (wanted.shape, wanted.dtype)
    return same and _finite(kept)


def _finite(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all())
