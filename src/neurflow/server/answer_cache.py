"""A cache of answers; each is valid until one of the files it was made from changes.

1. The stamp of an answer is the name, size and modification time of each of its files.
2. An answer with an unchanged stamp is returned from the cache; any other is computed again.
3. The cache has a bound in bytes. The least recently used answers are dropped first, and an answer
   larger than the bound is not cached.

Not thread-safe: only a ``Worker`` uses it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

MOST_BYTES = 128 * 2**20

Stamp = tuple[tuple[str, int, int], ...]


class AnswerCache:
    """A bounded cache of answers.

    Args:
        most_bytes: bound on the size of all answers together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes, self.bytes = most_bytes, 0
        self._answers: OrderedDict[tuple[str, ...], tuple[Stamp, bytes]] = OrderedDict()

    def get(self, key: tuple[str, ...], files: Iterable[Path], make: Callable[[], bytes]) -> bytes:
        """Return the answer for ``key``; call ``make`` if it is not cached or ``files`` changed."""
        stamp = _stamp(files)  # before ``make``: a file that changes meanwhile counts as changed
        if key in self._answers:
            kept, answer = self._answers[key]
            if kept == stamp:
                self._answers.move_to_end(key)
                return answer
            self._forget(key)
        answer = make()
        if len(answer) <= self.most_bytes:
            self._answers[key] = stamp, answer
            self.bytes += len(answer)
        while self.bytes > self.most_bytes:
            self._forget(next(iter(self._answers)))
        return answer

    def _forget(self, key: tuple[str, ...]) -> None:
        self.bytes -= len(self._answers.pop(key)[1])


def _stamp(files: Iterable[Path]) -> Stamp:
    return tuple(
        (str(file), status.st_size, status.st_mtime_ns)
        for file in sorted(files)
        for status in (file.stat(),)
    )
