"""The Markdown table that a campaign prints, and the memory of a process."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def heading(title: str, columns: Sequence[str]) -> None:
    """Print the date, the machine and the header of a table whose first column is text."""
    machine = (
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    print(f"\n{title}: {datetime.now(UTC):%Y-%m-%d %H:%M}, {machine}\n")
    print("| " + " | ".join(columns) + " |\n| --- |" + " ---: |" * (len(columns) - 1), flush=True)


def row(*cells: object) -> None:
    """Print a row of the table."""
    print("| " + " | ".join(map(_cell, cells)) + " |", flush=True)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def resident(pid: int | str = "self") -> float:
    """Return the resident memory of a process, in MiB."""
    return _status(pid, "VmRSS")


def peak() -> float:
    """Return the peak of this process's resident memory since ``reset_peak``, in MiB."""
    return _status("self", "VmHWM")


def reset_peak() -> None:
    """Reset the peak of the resident memory (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(pid: int | str, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))
