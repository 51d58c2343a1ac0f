"""Where a run keeps what it has computed, so that it resumes after a kill.

A workspace belongs to one request (model, images, target, layers, configuration) and version of the
method. Every write is atomic; a file is either whole or not there. Without a folder it is a temporary
one, removed at the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurflow.errors import RequestError, ResultError, WorkError
from neurflow.runtime.files import (
    MEBIBYTE,
    PARTIAL,
    bound_json,
    read,
    refuse_link,
    replacing,
    reserve,
    subfolder,
    tidy,
    write_atomically,
)
from neurflow.runtime.journal import Journal

Continues = Callable[[dict[str, Any], dict[str, Any]], bool]
"""(earlier request, request) → whether what the earlier one attributed serves the other"""
LARGEST = 64 * MEBIBYTE
"""bytes of a JSON value that is kept"""
LONGEST, SHORT = 200, 50
"""bytes up to which a name is the name of its file, and the letters that are kept of a longer one"""


class Workspace:
    """Intermediate results of one run, by name.

    Args:
        folder: where they are.
        temporary: the folder is removed at the end, so nothing will be resumed from it.
    """

    def __init__(self, folder: Path, *, temporary: bool = False) -> None:
        self.folder, self._temporary = subfolder(folder.parent, folder.name), temporary
        tidy(folder)

    def read(self, name: str, default: Any = None) -> Any:
        """The JSON value called ``name``, or ``default`` if it was not written.

        A value with numbers that are not finite is treated as not written.
        """
        file = self._file(name, ".json")
        try:
            data = read(file, LARGEST)
            bound_json(data, 8 * LARGEST)
            return json.loads(data, parse_constant=_not_finite)
        except (FileNotFoundError, _NotFinite):
            return default
        except (OSError, ValueError) as error:
            raise ResultError(
                f"{file} is damaged: {error}. Remove the folder {self.folder} to begin anew."
            ) from None

    def write(self, name: str, value: Any) -> None:
        """Keep a JSON value; ``WorkError`` if a number in it is not finite."""
        try:
            data = json.dumps(value, allow_nan=False).encode()
        except ValueError:
            raise WorkError(f"A number of {name!r} is not finite, so it is not kept.") from None
        write_atomically(self._file(name, ".json"), data)

    def array(self, name: str, shape: tuple[int, ...]) -> Path:
        """File of a float32 array to be filled in place; made if it is not there."""
        file = self._file(name, ".npy")
        refuse_link(file)
        if not file.exists():
            with replacing(file) as handle:
                np.lib.format.write_array_header_1_0(
                    handle, {"descr": "<f4", "fortran_order": False, "shape": shape}
                )
                reserve(handle, handle.tell() + 4 * int(np.prod(shape)))
        return file

    def journal(self, name: str) -> Journal:
        """Sums under way, by name."""
        file = self._file(name, ".npz")
        refuse_link(file)
        return Journal(None if self._temporary else file)

    def _file(self, name: str, ending: str) -> Path:
        """The file of a name. Layers of ONNX have slashes in their names, and names may be long."""
        plain = re.sub(r'[/\\:*?"<>|%]', lambda found: f"%{ord(found[0]):x}", name)
        if len(plain.encode()) > LONGEST:
            plain = f"{plain[:SHORT]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return self.folder / f"{plain}{ending}"

    def clear(self, keep: Collection[str] = (), *, journals: bool = False) -> None:
        """Drop all intermediate results but the named ones, and the journals if these are to stay."""
        for file in self.folder.iterdir():
            if file.stem not in keep and not (journals and file.suffix == ".npz"):
                file.unlink()


class _NotFinite(Exception):
    """JSON that has NaN or an infinity in it."""


def _not_finite(constant: str) -> None:
    raise _NotFinite(constant)


@contextlib.contextmanager
def open_workspace(
    out: Path | None,
    request: dict[str, Any],
    *,
    redo: bool = False,
    continues: Continues = lambda before, now: False,
) -> Iterator[Workspace]:
    """The workspace of a request: ``out/work``, or a temporary folder.

    Args:
        out: folder of the run.
        request: what the run is; ``method`` is the version of the method, 1 where it is missing.
        redo: drop the work of another request instead of refusing.
        continues: tells whether the request can use the journals of an earlier one.

    Raises:
        RequestError: ``out`` holds the work or the result of another request.
    """
    if out is None:
        with tempfile.TemporaryDirectory(prefix="neurflow-") as folder:
            yield Workspace(Path(folder), temporary=True)
        return
    if out.exists() and not out.is_dir():
        raise RequestError(f"{out} is a file. Give a folder for the result: --out FOLDER.")
    if out.is_dir() and not (out / "work" / "request.json").exists() and _holds_anything(out):
        raise RequestError(f"{out} is not empty and no run of neurflow. Give another --out.")
    workspace = Workspace(out / "work")
    found = workspace.read("request")
    begun = any(workspace.folder.glob("*.npy")) or workspace.read("finished")
    if found is not None and found != request and continues(found, request):
        workspace.clear(keep=("request",), journals=True)  # before the request is another
    elif found != request and (redo or not begun):
        workspace.clear()  # or a request that was refused, or killed before anything was computed
    elif found is not None and found != request:
        raise RequestError(f"{out} {unlike(found, request)}")
    workspace.write("request", request)
    yield workspace


def unlike(found: Mapping[str, Any], request: Mapping[str, Any], kind: str = "run") -> str:
    """Why a folder cannot serve a request, and what to do; its own request is ``found``."""
    before, now = found.get("method", 1), request.get("method", 1)
    if before != now:
        return (
            f"holds a {kind} of version {before} of the method; this neurflow has version {now} and "
            "may find another circuit. Keep it and give another --out, or replace it: --redo"
        )
    differing = [key for key in request if found.get(key) != request[key]]
    return (
        f"belongs to another {kind} (it differs in {', '.join(differing)}). "
        "Give another --out, or replace it: --redo"
    )


def _holds_anything(out: Path) -> bool:
    """Whether more is there than what a run leaves that was killed at its very beginning."""
    inside = [file for file in out.iterdir() if not (file.name == "work" and file.is_dir())]
    if (out / "work").is_dir():
        inside += (out / "work").iterdir()
    begun = (".request.json", PARTIAL)
    return any((file.name[:13], file.name[-8:]) != begun for file in inside)
