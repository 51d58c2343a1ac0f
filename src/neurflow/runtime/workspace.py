"""The workspace of a run stores intermediate results, so that an interrupted run can be resumed.

A workspace belongs to one request (model, images, target, layers, configuration) and version of the
method. Every write is atomic: a file is either complete or missing. Without a folder, the workspace is
temporary and is removed at the end.
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
    bound_json,
    is_partial,
    read,
    refuse_link,
    replacing,
    reserve,
    subfolder,
    tidy,
    write_atomically,
)
from neurflow.runtime.journal import Journal

CanContinue = Callable[[dict[str, Any], dict[str, Any]], bool]
"""(earlier request, request) → whether the attributions of the earlier request can be reused"""
WORDS = {"answers": "preprocessing or forward pass", "outputs": "kind of outputs"}
"""key of a request → its name for users"""
ROUNDING = 1e-3
"""largest difference of numbers in two equal requests, relative to the largest number"""
LARGEST = 64 * MEBIBYTE
"""largest size of a JSON value, in bytes"""
LONGEST, SHORT = 200, 50
"""largest number of bytes of a name that is used as a file name; characters that are kept of others"""


class Workspace:
    """Intermediate results of one run, by name.

    Args:
        folder: the folder of their files.
        temporary: whether the folder is removed at the end, so that nothing can be resumed from it.
    """

    def __init__(self, folder: Path, *, temporary: bool = False) -> None:
        self.folder, self._temporary = subfolder(folder.parent, folder.name), temporary
        tidy(folder)

    def read(self, name: str, default: Any = None) -> Any:
        """Return the JSON value called ``name``, or ``default`` if it was not written.

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
                f"{file} is damaged: {error}. Remove the folder {self.folder} to start again."
            ) from None

    def write(self, name: str, value: Any) -> None:
        """Store a JSON value; ``WorkError`` if it contains a number that is not finite."""
        try:
            data = json.dumps(value, allow_nan=False).encode()
        except ValueError:
            raise WorkError(f"A number of {name!r} is not finite, so it is not stored.") from None
        write_atomically(self._file(name, ".json"), data)

    def array(self, name: str, shape: tuple[int, ...]) -> Path:
        """Return the file of a float32 array that is filled in place; create it if necessary."""
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
        """Return the journal with this name."""
        file = self._file(name, ".npz")
        refuse_link(file)
        return Journal(None if self._temporary else file)

    def _file(self, name: str, ending: str) -> Path:
        """Return the file of a name, which may be long or have slashes (layers of ONNX)."""
        plain = re.sub(r'[/\\:*?"<>|%]', lambda found: f"%{ord(found[0]):x}", name)
        if len(plain.encode()) > LONGEST:
            plain = f"{plain[:SHORT]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return self.folder / f"{plain}{ending}"

    def clear(self, keep: Collection[str] = (), *, journals: bool = False) -> None:
        """Remove all intermediate results except those in ``keep``; ``journals`` keeps journals too."""
        for file in self.folder.iterdir():
            if file.stem not in keep and not (journals and file.suffix == ".npz"):
                file.unlink()


class _NotFinite(Exception):
    """A JSON text contains NaN or infinity."""


def _not_finite(constant: str) -> None:
    raise _NotFinite(constant)


@contextlib.contextmanager
def open_workspace(
    out: Path | None,
    request: dict[str, Any],
    *,
    redo: bool = False,
    can_continue: CanContinue = lambda before, now: False,
) -> Iterator[Workspace]:
    """Open the workspace of a request: ``out/work``, or a temporary folder.

    Args:
        out: folder of the run.
        request: identity of the run; ``method`` is the version of the method, 1 if it is missing.
        redo: remove the work of another request instead of raising an error.
        can_continue: returns whether the request can use the journals of an earlier one.

    Raises:
        RequestError: ``out`` contains the work or the result of another request.
    """
    if out is None:
        with tempfile.TemporaryDirectory(prefix="neurflow-") as folder:
            yield Workspace(Path(folder), temporary=True)
        return
    if out.exists() and not out.is_dir():
        raise RequestError(f"{out} is a file. Give a folder for the result: --out FOLDER.")
    if out.is_dir() and not (out / "work" / "request.json").exists() and _has_other_files(out):
        raise RequestError(f"{out} is not empty and is not a run of neurflow. Give another --out.")
    workspace = Workspace(out / "work")
    found = workspace.read("request")
    if found is not None and same_request(found, request):
        found = request
    begun = any(workspace.folder.glob("*.npy")) or workspace.read("finished")
    if found is not None and found != request and can_continue(found, request):
        workspace.clear(keep=("request",), journals=True)  # before the stored request changes
    elif found != request and (redo or not begun):
        workspace.clear()  # or the earlier request was refused, or killed before anything was computed
    elif found is not None and found != request:
        raise RequestError(f"{out} {difference(found, request)}")
    workspace.write("request", request)
    yield workspace


def same_request(found: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    """Return whether two requests are equal; lists of numbers may differ by rounding."""
    return found.keys() == request.keys() and all(
        same_value(found[key], request[key]) for key in request
    )


def same_value(one: Any, other: Any) -> bool:
    """Return whether two values are equal, or are lists of numbers that differ by rounding only."""
    if not (_is_numbers(one) and _is_numbers(other)) or len(one) != len(other):
        return bool(one == other)
    return bool(np.allclose(one, other, rtol=0, atol=ROUNDING * float(np.abs(other).max())))


def _is_numbers(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(each, float) for each in value)
    )


def difference(found: Mapping[str, Any], request: Mapping[str, Any], kind: str = "run") -> str:
    """Explain why a folder with the request ``found`` cannot be used for another, and what to do."""
    before, now = found.get("method", 1), request.get("method", 1)
    if before != now:
        return (
            f"has a {kind} of version {before} of the method; this neurflow has version {now} and "
            "may find another circuit. Keep it and give another --out, or replace it: --redo"
        )
    differing = [key for key in request if not same_value(found.get(key), request[key])]
    told = ", ".join(WORDS.get(key, key) for key in differing)
    return (
        f"belongs to another {kind} (it differs in {told}). "
        "Give another --out, or replace it: --redo"
    )


def _has_other_files(out: Path) -> bool:
    """Return whether there is more than the files of a run that was killed at its very beginning."""
    inside = [file for file in out.iterdir() if not (file.name == "work" and file.is_dir())]
    if (out / "work").is_dir():
        inside += (out / "work").iterdir()
    return any(not is_partial(file.name, "request.json") for file in inside)
