"""The memory budget beyond the loaded model, and smaller batches if memory runs out.

1. A budget in bytes (``--memory``) limits the memory in use at any time. It determines batch sizes.
2. Sizes are estimates. If the system or the device runs out of memory, the batch is halved and run
   again, with a note. The work fails only if a single item does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from pydantic import ByteSize, TypeAdapter, ValidationError

from neurflow.errors import RequestError, WorkError
from neurflow.runtime.progress import Progress

MEMORY = "2GB"
"""default budget"""
BATCH = 64
"""largest number of items in a batch"""
IMAGES = 8
"""largest number of images to run at once on a CPU, whose cache does not hold the values of more"""
LEAST = 10**6
"""smallest budget in bytes"""
_SIZE = TypeAdapter(ByteSize)

Result = TypeVar("Result")


def rounded_batch(count: int, device: torch.device) -> int:
    """Return the batch size to run ``count`` items with.

    cuDNN plans a convolution again for every new batch size, which can take longer than the
    convolution. On a GPU, sizes are rounded up to one of four in each octave, so that few occur.
    """
    if device.type == "cpu" or count < 1:
        return count
    step = 1 << max(0, count.bit_length() - 3)
    return -(-count // step) * step


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

    Half of it is for feature maps. A batch uses at most a quarter.

    Args:
        memory: bytes, or text such as "2GB".
        progress: receives a note when a batch is halved.
    """

    def __init__(self, memory: str | int, progress: Progress) -> None:
        self.total, self._progress = memory_bytes(memory), progress

    @property
    def features(self) -> int:
        """Memory for feature maps, in bytes."""
        return self.total // 2

    def batch(self, bytes_each: int, at_most: int = BATCH) -> Batch:
        """Return a batch for items of ``bytes_each`` bytes."""
        return Batch(min(at_most, self.total // 4 // bytes_each), self._progress)


class Batch:
    """Number of items that are processed at once.

    Args:
        size: largest number of items; at least 1.
        progress: receives a note when the batch is halved.
    """

    def __init__(self, size: int, progress: Progress) -> None:
        self.size = max(1, size)
        self._progress = progress

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
                yield part, result
                continue
            # outside of the handler, which would keep the tensors alive
            self._halve(len(part), problem)

    def _halve(self, tried: int, problem: str) -> None:
        if tried == 1:
            raise WorkError(
                f"There is not enough memory for a single crop: {problem.removesuffix('.')}. "
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
