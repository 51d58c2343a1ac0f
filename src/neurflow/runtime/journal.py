"""Where long sums stand, written once a minute: a kill loses no more than that.

1. A sum is a few arrays that are changed in place, and the key of what they are sums of. ``follow``
   fills them with what an earlier process wrote of the same key, or one that asked for part of it.
2. ``tick`` writes all arrays that are followed, in one atomic step, if the last time was a minute ago.
3. A file that is damaged, or whose arrays have another shape or numbers that are not finite, counts as
   not written: then the sums begin anew.
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
"""seconds between two times that a journal is written, at least"""
SHARE = 50.0
"""writing takes one of so many seconds at most: where it takes long, it is done less often"""
LARGEST = 2**31
"""bytes of a file that is read"""

Arrays = Mapping[str, np.ndarray]


class Journal:
    """Sums under way, in one file.

    Args:
        file: None keeps nothing.
        clock: seconds.
    """

    def __init__(
        self, file: Path | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file, self._clock = file, clock
        self._followed: dict[str, np.ndarray] = {}
        self._before: dict[str, np.ndarray] | None = None
        self._due = clock() + EVERY

    def follow(self, key: str, arrays: Arrays) -> None:
        """Keep arrays that change in place, after filling them with what was kept of this key."""
        if self._file is None:
            return
        if self._before is None:
            self._before = _kept(self._file)
        named = {f"{key}/{name}": array for name, array in arrays.items()}
        kept = {name: self._before.pop(name) for name in named if name in self._before}
        if kept.keys() == named.keys() and all(_alike(kept[n], named[n]) for n in named):
            for name, value in kept.items():
                named[name][...] = value
        self._followed |= named

    def tick(self) -> None:
        """Write if it is time; ``WorkError`` if that is not possible."""
        if self._clock() >= self._due:
            self.write()

    def write(self) -> None:
        """Write now, if anything is followed."""
        if self._file is None or not self._followed:
            return
        begun = self._clock()
        if all(map(_finite, self._followed.values())):
            with replacing(self._file) as handle:
                np.savez(handle, **(self._before or {}), **self._followed)  # type: ignore[arg-type]
        now = self._clock()
        self._due = now + max(EVERY, SHARE * (now - begun))

    def remove(self) -> None:
        """The sums are complete, and nobody needs them any more."""
        self._followed.clear()
        self._before = None
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def _kept(file: Path) -> dict[str, np.ndarray]:
    """The arrays in a file; none if it is not there or damaged: each has a checksum."""
    damaged = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
    with contextlib.suppress(*damaged):
        data = read(file, LARGEST)
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            if sum(each.file_size for each in stored.zip.infolist()) <= len(data):
                return dict(stored)
    return {}


def _alike(kept: np.ndarray, wanted: np.ndarray) -> bool:
    same = (kept.shape, kept.dtype) == (wanted.shape, wanted.dtype)
    return same and _finite(kept)


def _finite(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all())
