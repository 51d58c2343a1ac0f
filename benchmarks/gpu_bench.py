"""Shared parts of the GPU benchmark (``benchmarks.gpu``): device, time limits, clocks, memory."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.discovery import clock
from benchmarks.networks import load
from neurflow import Model

FAILED: list[str] = []
"""names of the parts that failed"""


@dataclass(frozen=True)
class Bench:
    """Device and amount of work.

    Attributes:
        device: a torch device.
        real: folder of real weights and pictures.
        smoke: whether to do as little as possible.
        end: time at which everything must be finished, as in ``time.monotonic``.
    """

    device: str
    real: Path | None
    smoke: bool
    end: float

    def limit(self, seconds: float) -> float:
        """Return the seconds that a piece of work may take."""
        return max(0.0, min(seconds, self.end - time.monotonic()))

    def sync(self) -> None:
        """Wait for the device."""
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)

    def timed(self, work: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
        """Return (median seconds, result); the first run is not counted."""
        result = work()
        seconds = []
        for _ in range(1 if self.smoke else repeats):
            start = clock(self.device)
            result = work()
            seconds.append(clock(self.device) - start)
        return median(seconds), result

    def model(self, network: str) -> Model:
        """Load a network on the device."""
        return load(network, self.real, self.device)

    def memory(self) -> int:
        """Return a budget of half the free memory."""
        if self.device == "cpu":
            return 10**9
        free, _ = torch.cuda.mem_get_info(self.device)
        return free // 2

    def fresh(self) -> int:
        """Reset the peak of the memory, and return the allocated bytes."""
        if self.device == "cpu":
            return 0
        self.sync()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        return torch.cuda.memory_allocated(self.device)

    def peak(self, before: int) -> str:
        """Describe the peak of the memory since :meth:`fresh`."""
        if self.device == "cpu":
            return ""
        allocated = torch.cuda.max_memory_allocated(self.device) - before
        reserved = torch.cuda.max_memory_reserved(self.device)
        return (
            f"\n\nGPU memory above the model at the peak: {allocated / 1e9:.2f} GB allocated; "
            f"{reserved / 1e9:.2f} GB reserved in total."
        )


@contextlib.contextmanager
def part(name: str) -> Iterator[None]:
    """Run a part under its heading. A failure is printed, and the next part begins."""
    start = time.monotonic()
    print(f"\n## {name}\n", flush=True)
    try:
        yield
    except Exception:
        traceback.print_exc(file=sys.stdout)
        FAILED.append(name)
    print(f"\n({name}: {time.monotonic() - start:.0f} s)", flush=True)
