"""The memory budget beyond the loaded model, and smaller batches if memory runs out.

1. A budget in bytes (``--memory``) limits the memory in use at any time. It determines batch sizes.
2. Sizes are estimates. If the system or the device runs out of memory, the batch is halved and run
   again, with a note. The work fails only if a single item does not fit.
3. If the process has more memory than the budget after a batch, memory that was freed but kept by the C
   library is returned to the system (``heap``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from pydantic import ByteSize, TypeAdapter, ValidationError

from neurflow.errors import RequestError, WorkError
from neurflow.runtime.heap import give_back, own_pages
from neurflow.runtime.progress import Progress

MEMORY = "2GB"
"""default budget"""
BATCH = 64
"""largest number of items in a batch"""
IMAGES = 8
"""largest number of images to run at once on a CPU; the values of more do not fit into its cache"""
LEAST = 10**6
"""smallest budget in bytes"""
OVERHEAD = 96 * 10**6
"""bytes for what does not depend on the batch: buffers of kernels, activations, Python objects"""
_SIZE = TypeAdapter(ByteSize)

Result = TypeVar("Result")


def memory_bytes(text: str | int) -> int:
    """Parse an amount of memory: ``"2GB"`` (2 × 10⁹), ``"2GiB"`` (2 × 2³⁰) or a plain number of bytes.

    Raises:
        RequestError: not an amount of memory, or less than a megabyte.
    """
    try:
        amount = int(_SIZE.validate_python(text))
    except ValidationError:
        amount = 0
    if amount < LEAST:
        raise RequestError(
            f"memory={text!r} is not an amount of memory of at least 1MB. "
            "Write 2GB, 512MiB or a number of bytes."
        )
    return amount


class Budget:
    """Memory that may be in use at any time, in addition to the loaded model.

    ``OVERHEAD`` bytes of it, but at most half, are left for what does not depend on the batch. Half of
    the rest is for feature maps. A batch uses at most a quarter of the rest.

    Args:
        memory: bytes, or text such as "2GB".
        progress: receives a note when a batch is halved.
    """

    def __init__(self, memory: str | int, progress: Progress) -> None:
        total = memory_bytes(memory)
        self._usable, self._progress = max(total - OVERHEAD, total // 2), progress
        before = own_pages()
        self._limit = None if before is None else before + total

    @property
    def features(self) -> int:
        """Memory for feature maps, in bytes."""
        return self._usable // 2

    def batch(self, bytes_each: int, at_most: int = BATCH) -> Batch:
        """Return a batch for items of ``bytes_each`` bytes."""
        size = min(at_most, self._usable // 4 // bytes_each)
        return Batch(size, self._progress, limit=self._limit)


class Batch:
    """Number of items that are processed at once.

    Args:
        size: largest number of items; at least 1.
        progress: receives a note when the batch is halved.
        limit: bytes of the process from which freed memory is returned after a batch; None for never.
    """

    def __init__(self, size: int, progress: Progress, *, limit: int | None = None) -> None:
        self.size = max(1, size)
        self._progress, self._limit = progress, limit

    def map(
        self, work: Callable[[np.ndarray], Result], items: np.ndarray
    ) -> Iterator[tuple[np.ndarray, Result]]:
        """Yield (items, result of ``work`` on them) for each batch, in order.

        Raises:
            WorkError: there is not enough memory for a single item.
        """
        start = 0
        while start < len(items):
            part = items[start : start + self.size]
            try:
                result = work(part)
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                problem = str(error).splitlines()[0] if str(error) else "out of memory"
            else:
                start += len(part)
                self._give_back()
                yield part, result
                continue
            self._halve(
                len(part), problem
            )  # outside of the handler, which would keep the tensors alive

    def _give_back(self) -> None:
        """Return freed memory to the system if the process has more than the limit."""
        if self._limit is not None and (own_pages() or 0) > self._limit:
            give_back()

    def _halve(self, tried: int, problem: str) -> None:
        if tried == 1:
            raise WorkError(
                f"There is not enough memory for a single crop: {problem} "
                "Free some, or use a smaller model or another device, and re-run the same command "
                "to resume."
            )
        self.size = tried // 2
        self._progress.note(
            f"Out of memory with {tried} at once; continuing with {self.size}. "
            "A smaller --memory avoids this."
        )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "can't allocate memory" in str(error) or "out of memory" in str(error)
    )
