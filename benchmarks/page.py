"""Writes sections of ``docs/performance.md`` and other pages from the results of benchmarks."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a command line with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--write", action="store_true", help="write the result to docs/performance.md"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--real", type=Path, help="folder with weights/ and images/ of real networks"
    )
    return parser


def machine(device: str = "cpu") -> str:
    """Describe date, machine and versions of a measurement."""
    packages = ("torch", "torchvision", "captum")
    versions = ", ".join(filter(None, map(_version, packages)))
    place = torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor()
    return f"{date.today()}: {place}, {torch.get_num_threads()} threads, {versions}."


def _version(name: str) -> str:
    """Return name and version of a package; empty if it is not installed."""
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    name = re.search(r"model name\s*: (.*)", info)
    return name[1] if name else platform.machine()


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table with right-aligned numbers."""
    lines = [" | ".join(head), " | ".join(["---", *["---:"] * (len(head) - 1)])]
    lines += [" | ".join(map(str, row)) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def publish(name: str, text: str, *, write: bool, page: Path = PAGE) -> None:
    """Print a section, and with ``write`` put it between its marks on a page."""
    print(text)
    if not write:
        return
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
