"""Writes and reads files safely, despite interrupted programs and untrusted folders.

1. **Writing** (``replacing``): a new file with an unpredictable name is created beside the old one,
   filled and synced, and then renamed in one step. If the old name is a link, the link is replaced
   and not followed.
2. **Interrupted programs** leave such new files behind. A writer holds a lock on its file, so
   ``tidy`` removes only files without a writer.
3. **Folders** (``subfolder``) and **locks** (``lock``) of a result must not be links.
4. **Reading** (``read``, ``read_json``): only plain files are read. Size and depth of a JSON file,
   and the memory that its values need, are checked before it is parsed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from filelock import AcquireReturnProxy, FileLock, Timeout
from pydantic_core import from_json

from neurflow.errors import WorkError

PARTIAL = ".partial"
LONGEST = 200
"""largest number of characters of a file's name in the name of its new file"""
MEBIBYTE = 2**20
SMALL = 16 * MEBIBYTE
"""largest size in bytes of a small JSON file, and of its values in memory"""
DEPTH = 32
"""largest depth of nested brackets in a JSON file"""
BYTES_PER_SIGN = {b"{": 240, b"[": 64, b",": 40, b":": 100}
"""character of a JSON text → largest number of bytes that Python needs for its value"""
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
    """Open a new file that replaces ``file`` at the end if no error occurred."""
    partial = file.with_name(f".{file.name[:LONGEST]}.{secrets.token_hex(8)}{PARTIAL}")
    with guard_disk(file):
        handle = create(partial)
        try:
            with handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
                if sys.platform == "win32":
                    handle.close()  # renaming needs a closed file there
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


def is_partial(found: str, name: str = "") -> bool:
    """Return whether a file name is that of a partial file, of any file or only of ``name``."""
    pattern = rf"\.{re.escape(name) or '.+'}\.[0-9a-f]{{16}}{re.escape(PARTIAL)}"
    return re.fullmatch(pattern, found, re.DOTALL) is not None


def tidy(folder: Path, name: str = "") -> None:
    """Remove partial files of interrupted writers from a folder, of all files or only of ``name``."""
    for partial in [file for file in folder.iterdir() if is_partial(file.name, name)]:
        with contextlib.suppress(OSError):  # it is locked, a link, or gone
            with open(_opened(partial), "rb") as handle:
                abandoned = _hold(handle.fileno())
            if abandoned:
                partial.unlink()


if sys.platform == "win32":

    def _hold(descriptor: int) -> bool:
        """Do nothing: open files cannot be removed on this system."""
        return True
else:
    import fcntl

    def _hold(descriptor: int) -> bool:
        """Lock an open file; return whether it was not locked by another process."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def _opened(file: Path) -> int:
    """Return the descriptor of a file, opened for reading without following links or blocking."""
    return os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _NO_LINK)


def subfolder(root: Path, *names: str) -> Path:
    """Return the folder ``root/name/…``, creating it if necessary.

    Raises:
        WorkError: it cannot be created, or one of the names is a link.
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
    """Raise ``WorkError`` if a path inside a result is a link."""
    if place.is_symlink():
        raise WorkError(
            f"{place} is a link, and neurflow does not follow links here. "
            "Remove the link and re-run the same command to resume."
        )


class _Lock(FileLock):
    """A lock whose file must be writable: ``WorkError`` if it is not."""

    def acquire(self, *given: Any, **options: Any) -> AcquireReturnProxy[Self]:
        try:
            return super().acquire(*given, **options)
        except Timeout:  # also an OSError: another process holds the lock
            raise
        except OSError:
            with guard_disk(Path(self.lock_file)):
                raise


def lock(file: Path) -> FileLock:
    """Return a lock between processes, a context manager; ``WorkError`` if the file is a link."""
    refuse_link(file)
    return _Lock(file)


def read(file: Path, most: int) -> bytes:
    """Return the bytes of a plain file.

    Raises:
        OSError: it does not exist, or cannot be read.
        ValueError: it is a link, a device, or larger than ``most`` bytes.
    """
    no_plain_file = "a link or device instead of a plain file"
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
    """Return the value in a JSON file.

    Args:
        file: a plain file.
        most: largest size of the file, in bytes.
        memory: largest memory of its values, in bytes.
        finite: whether to refuse NaN and infinity.

    Raises:
        OSError: it does not exist, or cannot be read.
        ValueError: it is not a plain file, too large, or not JSON.
    """
    return json_value(read(file, most), memory, finite=finite)


def json_value(data: bytes, memory: int, *, finite: bool = True) -> Any:
    """Parse a JSON text; ``ValueError`` if it is not JSON or would need too much memory."""
    bound_json(data, memory)
    try:
        return from_json(data, allow_inf_nan=False) if finite else json.loads(data)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None


def bound_json(data: bytes, memory: int) -> None:
    """Raise ``ValueError`` if a JSON text is nested too deeply, or its values need too much memory."""
    signs = _STRING.sub(b"", data).translate(None, delete=_no_signs())
    takes = len(data) + sum(size * signs.count(sign) for sign, size in BYTES_PER_SIGN.items())
    if takes > memory:
        raise ValueError(
            f"its values would take {takes // MEBIBYTE} MiB, over {memory // MEBIBYTE}"
        )
    codes = np.frombuffer(signs, dtype=np.uint8)
    opens, closes = np.isin(codes, list(b"[{")), np.isin(codes, list(b"]}"))
    depth = np.cumsum(opens.astype(np.int32) - closes).max(initial=0)
    if depth > DEPTH:
        raise ValueError(f"its values are nested {depth} levels deep, over {DEPTH}")


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
    """Turn a full disk or a missing permission into an error with a cure."""
    try:
        yield
    except OSError as error:
        there = next(folder for folder in path.absolute().parents if folder.is_dir())
        reason, cure = error.strerror or str(error), "Free some space"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            cure = "Make the folder writable"
        else:
            reason += f" ({shutil.disk_usage(there).free // MEBIBYTE} MiB free)"
        raise WorkError(
            f"Cannot write {path}: {reason}. {cure} or choose another folder, and re-run the same "
            "command to resume."
        ) from None
