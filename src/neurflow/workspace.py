"""Where a run keeps what it has computed, so that a killed one goes on where it was.

A workspace belongs to one request (model, images, target, layers, configuration). Every write is
atomic; a file is either whole or not there. Without a folder it is a temporary one, removed at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from neurflow.errors import RequestError, WorkError


class Workspace:
    """Intermediate results of one run, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, name: str, default: Any = None) -> Any:
        """The JSON value called ``name``, or ``default`` if it was not written.

        A value with numbers that are not finite is taken for not written.
        """
        try:
            text = (self.folder / f"{name}.json").read_text(encoding="utf-8")
            return json.loads(text, parse_constant=_not_finite)
        except (FileNotFoundError, _NotFinite):
            return default

    def write(self, name: str, value: Any) -> None:
        """Keep a JSON value; ``WorkError`` if a number in it is not finite."""
        try:
            data = json.dumps(value, allow_nan=False).encode()
        except ValueError:
            raise WorkError(f"A number of {name!r} is not finite, so it is not kept.") from None
        write_atomically(self.folder / f"{name}.json", data)

    def array(self, name: str, shape: tuple[int, ...]) -> Path:
        """File of a float32 array to be filled in place; made if it is not there."""
        file = self.folder / f"{name}.npy"
        if not file.exists():
            with replacing(file) as partial, partial.open("wb") as handle:
                np.lib.format.write_array_header_1_0(
                    handle, {"descr": "<f4", "fortran_order": False, "shape": shape}
                )
                reserve(handle, handle.tell() + 4 * int(np.prod(shape)))
        return file

    def clear(self, keep: Collection[str] = ()) -> None:
        """Drop all intermediate results but the named ones."""
        for file in self.folder.iterdir():
            if file.stem not in keep:
                file.unlink()


class _NotFinite(Exception):
    """JSON that has NaN or an infinity in it."""


def _not_finite(constant: str) -> None:
    raise _NotFinite(constant)


@contextlib.contextmanager
def open_workspace(out: Path | None, request: dict[str, Any]) -> Iterator[Workspace]:
    """The workspace of a request: ``out/work``, or a temporary folder.

    Raises:
        RequestError: ``out`` holds the work or the result of another request.
    """
    if out is None:
        with tempfile.TemporaryDirectory(prefix="neurflow-") as folder:
            yield Workspace(Path(folder))
        return
    if out.exists() and not out.is_dir():
        raise RequestError(f"{out} is a file. Give a folder for the result: --out FOLDER.")
    if out.is_dir() and not (out / "work" / "request.json").exists() and _holds_anything(out):
        raise RequestError(f"{out} is not empty and no run of neurflow. Give another --out.")
    with guard_disk(out):
        workspace = Workspace(out / "work")
    found = workspace.read("request")
    if (
        found != request
        and not any(workspace.folder.glob("*.npy"))
        and not workspace.read("finished")
    ):
        workspace.clear()  # a request that was refused, or killed before anything was computed
        found = None
    if found is not None and found != request:
        differing = [key for key in request if found.get(key) != request[key]]
        raise RequestError(
            f"{out} belongs to another run (it differs in {', '.join(differing)}). "
            f"Give another --out, or remove it: rm -r {out}"
        )
    workspace.write("request", request)
    yield workspace


def _holds_anything(out: Path) -> bool:
    """Whether more is there than what a run leaves that was killed at its very beginning."""
    inside = [file for file in out.iterdir() if not (file.name == "work" and file.is_dir())]
    if (out / "work").is_dir():
        inside += (out / "work").iterdir()
    return any(file.name != ".request.json.partial" for file in inside)


def write_atomically(file: Path, data: bytes) -> None:
    """Write a file so that a kill leaves either the old one or the new one."""
    with replacing(file) as partial:
        partial.write_bytes(data)


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A file to be written that takes the place of ``file`` at the end, if nothing went wrong."""
    partial = file.with_name(f".{file.name}.partial")
    with guard_disk(file):
        try:
            yield partial
            with partial.open("rb+") as handle:
                os.fsync(handle.fileno())
            os.replace(partial, file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def reserve(handle: BinaryIO, size: int) -> None:
    """Make a file so large, and take its room on the disk at once.

    Who fills it through a map of memory is killed by the system where there turns out to be none.
    """
    handle.truncate(size)
    if size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle.fileno(), 0, size)


@contextlib.contextmanager
def guard_disk(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder without write permission into an error with a cure."""
    try:
        yield
    except OSError as error:
        there = next(folder for folder in path.absolute().parents if folder.is_dir())
        free = shutil.disk_usage(there).free // 2**20
        raise WorkError(
            f"Cannot write {path}: {error.strerror or error} ({free} MiB free). "
            "Make room or choose another folder; the same command then goes on."
        ) from None
