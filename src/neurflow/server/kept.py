"""Answers that are kept: each as long as the files that it was made of stay as they are.

1. The stamp of an answer is the name, size and time of change of each of its files.
2. An answer whose stamp still holds is given again; any other is made anew.
3. All answers together take no more than a fixed number of bytes: the ones that were not asked for the
   longest go first, and an answer that is larger than the bound is not kept.

Not for several threads at once: a ``Worker`` asks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

MOST_BYTES = 128 * 2**20

Stamp = tuple[tuple[str, int, int], ...]


class Kept:
    """A bounded store of answers.

    Args:
        most_bytes: of all answers together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes, self.bytes = most_bytes, 0
        self._answers: OrderedDict[tuple[str, ...], tuple[Stamp, bytes]] = OrderedDict()

    def get(self, key: tuple[str, ...], files: Iterable[Path], make: Callable[[], bytes]) -> bytes:
        """The answer for ``key``, made by ``make`` unless it is kept and ``files`` are unchanged."""
        stamp = _stamp(files)  # before making: a file that changes meanwhile counts as changed
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
