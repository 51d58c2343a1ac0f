"""Write and read files safely, in spite of interrupted programs and untrusted folders.

1. **Writing** (``replacing``): a new file beside the old one, under a name that cannot be foreseen,
   made exclusively; filled and synced; then moved to its place in one step. A link in that place is
   replaced, never followed.
2. **An interrupted program** leaves that new file behind. Its writer holds a lock on it, so ``tidy``
   removes only files that nobody writes any more.
3. **Folders** (``subfolder``) and **locks** (``lock``) of a result must not be links.
4. **Reading** (``read``, ``read_json``): plain files alone. Size, depth and the memory that the
   values of a JSON file would take are bounded before it is parsed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock
from pydantic_core import from_json

from neurflow.errors import WorkError

PARTIAL = ".partial"
LONGEST = 200
"""letters of a name that go into the name of its new file"""
MEBIBYTE = 2**20
SMALL = 16 * MEBIBYTE
"""bytes of a JSON file that holds a few facts, and what its values may take in memory"""
DEPTH = 32
"""brackets within brackets in a JSON file"""
TAKES = {b"{": 240, b"[": 64, b",": 40, b":": 100}
"""sign of a JSON text → bytes that Python takes at most for what it stands for"""
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def write_atomically(file: Path, data: bytes) -> None:
    """Write a file so that an interruption leaves either the old one or the new one.

    Raises:
        WorkError: it cannot be written.
    """
    with replacing(file) as handle:
        handle.write(data)


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """A new file to be filled, which takes the place of ``file`` at the end if nothing went wrong."""
    partial = file.with_name(f".{file.name[:LONGEST]}.{secrets.token_hex(8)}{PARTIAL}")
    with guard_disk(file):
        handle = create(partial)
        try:
            with handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
                if sys.platform == "win32":
                    handle.close()  # it moves no file that is open
                os.replace(partial, file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def create(file: Path) -> BinaryIO:
    """Create a file and open it for reading and writing; ``FileExistsError`` if it exists.

    Its writer holds a lock on it while it is open.
    """
    handle = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666), "w+b")
    _hold(handle.fileno())
    return handle


def tidy(folder: Path, name: str = "") -> None:
    """Remove partial files of interrupted writers from a folder, of all files or only of ``name``."""
    left = re.compile(rf"\.{re.escape(name) or '.+'}\.[0-9a-f]{{16}}{re.escape(PARTIAL)}")
    for partial in [file for file in folder.iterdir() if left.fullmatch(file.name)]:
        with contextlib.suppress(OSError):  # it is held, a link, or gone
            with open(_opened(partial), "rb") as handle:
                abandoned = _hold(handle.fileno())
            if abandoned:
                partial.unlink()


if sys.platform == "win32":

    def _hold(descriptor: int) -> bool:
        """Nothing to do: what is open cannot be removed."""
        return True
else:
    import fcntl

    def _hold(descriptor: int) -> bool:
        """Take the lock of an open file; whether nobody else has it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def _opened(file: Path) -> int:
    """Descriptor of a file to be read; neither a link nor a pipe makes it wait or lead elsewhere."""
    return os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _NO_LINK)


def subfolder(root: Path, *names: str) -> Path:
    """The folder ``root/name/…``, made if it is not there.

    Raises:
        WorkError: it cannot be made, or one of the names is a link, which would lead elsewhere.
    """
    place = root
    with guard_disk(root):
        root.mkdir(parents=True, exist_ok=True)
    for name in names:
        place = place / name
        with guard_disk(place):
            place.mkdir(exist_ok=True)
        refuse_link(place)
    return place


def refuse_link(place: Path) -> None:
    """``WorkError`` if a path inside a result is a link."""
    if place.is_symlink():
        raise WorkError(
            f"{place} is a link, and neurflow does not follow links here. "
            "Remove the link and re-run the same command to resume."
        )


def lock(file: Path) -> FileLock:
    """A lock among processes, to be held with ``with``; ``WorkError`` if the file is a link."""
    refuse_link(file)
    return FileLock(file)


def read(file: Path, most: int) -> bytes:
    """The bytes of a plain file.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is a link, a device, or larger than ``most`` bytes.
    """
    no_plain_file = "a link or device where a plain file belongs"
    if file.is_symlink():
        raise ValueError(no_plain_file)
    with open(_opened(file), "rb") as handle:
        status = os.fstat(handle.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(no_plain_file)
        if status.st_size > most:
            raise ValueError(f"{status.st_size // MEBIBYTE} MiB, over {most // MEBIBYTE}")
        return handle.read(most)


def read_json(file: Path, most: int = SMALL, memory: int = SMALL, *, finite: bool = True) -> Any:
    """The value in a JSON file.

    Args:
        file: a plain file.
        most: bytes it may have.
        memory: bytes that its values may take.
        finite: refuse numbers that are not.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is not a plain file, too large, or not JSON.
    """
    return json_value(read(file, most), memory, finite=finite)


def json_value(data: bytes, memory: int, *, finite: bool = True) -> Any:
    """The value of a JSON text; ``ValueError`` if it is not JSON or would take too much memory."""
    bound_json(data, memory)
    try:
        return from_json(data, allow_inf_nan=False) if finite else json.loads(data)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None


def bound_json(data: bytes, memory: int) -> None:
    """``ValueError`` if the values of a JSON text lie too deep, or would take too much memory."""
    signs = _STRING.sub(b"", data).translate(None, delete=_no_signs())
    takes = len(data) + sum(size * signs.count(sign) for sign, size in TAKES.items())
    if takes > memory:
        raise ValueError(
            f"its values would take {takes // MEBIBYTE} MiB, over {memory // MEBIBYTE}"
        )
    codes = np.frombuffer(signs, dtype=np.uint8)
    opens, closes = np.isin(codes, list(b"[{")), np.isin(codes, list(b"]}"))
    depth = np.cumsum(opens.astype(np.int32) - closes).max(initial=0)
    if depth > DEPTH:
        raise ValueError(f"its values lie {depth} deep, over {DEPTH}")


def _no_signs() -> bytes:
    return bytes(set(range(256)) - set(b"[]{},:"))


def reserve(handle: BinaryIO, size: int) -> None:
    """Set the size of a file and allocate its disk space at once.

    A program that fills a memory-mapped file is killed by the system if the disk is full.
    """
    handle.truncate(size)
    if size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle.fileno(), 0, size)


@contextlib.contextmanager
def guard_disk(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into an error that says what to do."""
    try:
        yield
    except OSError as error:
        there = next(folder for folder in path.absolute().parents if folder.is_dir())
        free = shutil.disk_usage(there).free // MEBIBYTE
        raise WorkError(
            f"Cannot write {path}: {error.strerror or error} ({free} MiB free). "
            "Free some space or choose another folder, and re-run the same command to resume."
        ) from None
