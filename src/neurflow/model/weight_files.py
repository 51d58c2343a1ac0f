"""Read files of weights, and recognise files that have none.

The kind of a file follows from its first bytes (``recognise``). A file without tensors is refused,
with a message that says what to do instead. PyTorch's own files are read with ``weights_only=True``,
so they cannot run code. If a model is stored in several files, an index in the same folder lists them.
"""

from __future__ import annotations

import json
import pickle
import re
import warnings
import zipfile
from argparse import Namespace
from collections import Counter, defaultdict
from datetime import date, datetime, time, timedelta
from pathlib import Path, PosixPath, WindowsPath
from typing import Any

import numpy as np
import torch

from neurflow.errors import ModelError

HARMLESS = [
    *(Namespace, PosixPath, WindowsPath, np.dtype, np.ndarray),
    *(datetime, date, time, timedelta),
    *(list, dict, set, frozenset, int, float, complex, range, slice, bytearray),
    *(defaultdict, Counter),
]
"""types that training scripts store beside the weights, and that are safe to load"""


def read_weights(path: Path) -> Any:
    """Return the content of a file of weights.

    Raises:
        ModelError: the file has no weights, is damaged, or has objects that could run code.
    """
    if path.name.endswith(INDEX):
        return _of_parts(path)
    kind, cure = recognise(path)
    if kind:
        raise ModelError(f"{path} is {kind}. {cure}")
    try:
        if _is_safetensors(path):
            from safetensors.torch import load_file

            return load_file(path)
        with (
            path.open("rb") as file,  # given a path, torch.load depends on its suffix
            torch.serialization.safe_globals([*HARMLESS, *_of_numpy()]),
            warnings.catch_warnings(
                action="ignore"
            ),  # about other pickle protocols and old tensors
        ):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unsafe(path, str(error)) from None
    except Exception as error:  # readers raise many kinds of error on a damaged file
        reason = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
        raise ModelError(
            f"The weights in {path} cannot be read: {reason}. Fetch or save the file again."
        ) from None


def _of_parts(path: Path) -> dict[str, Any]:
    """Return the weights of all the files that an index names."""
    try:
        names = {str(name) for name in json.loads(path.read_bytes())["weight_map"].values()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(f"{path} is not an index of weight files. Check the path.") from None
    found: dict[str, Any] = {}
    for name in sorted(names):
        part = path.parent / name
        if Path(name).name != name or not part.is_file():
            raise ModelError(
                f"{path} lists {name!r:.200}, which is not in its folder. Download it."
            )
        content = read_weights(part) if not name.endswith(INDEX) else {}
        found |= content if isinstance(content, dict) else {}
    return found


def _of_numpy() -> list[Any]:
    """Return the types and functions of pickled NumPy values, by their names in NumPy 1 and 2."""
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
    kinds = {type(np.dtype(code)) for code in np.typecodes["All"] if code not in "OV"}
    return [
        *(scalar, (scalar, "numpy.core.multiarray.scalar")),
        *(array, (array, "numpy.core.multiarray._reconstruct")),
        *kinds,
    ]


def _unsafe(path: Path, reason: str) -> ModelError:
    """Return the error for a pickle with objects other than tensors, usually a whole module."""
    if "Unsupported operand" in reason or "_load_from_bytes" in reason:
        return ModelError(
            f"{path} was not written by torch.save in its usual format, and pickles of other kinds "
            "could run arbitrary code. Save it again where it was made: torch.save(state_dict, PATH)."
        )
    found = re.search(r"(?:GLOBAL |global |class )[`'\"]?([\w.]+)", reason)
    what = f" (a {found[1]})" if found and "." in found[1] else ""
    return ModelError(
        f"{path} has objects other than tensors{what}, and loading it could run arbitrary code. "
        "Save only the state dict where it was made: torch.save(model.state_dict(), PATH)."
    )


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(9)
    if len(head) == 9 and head[8:9] == b"{":
        return True
    return path.suffix == ".safetensors" and not head.startswith((b"PK", b"\x80"))


_OF_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".index.json")
INDEX = ".index.json"
"""ending of the index of a model in several files"""
_STATE = (
    "Save the state dict of the network it was made from: torch.save(model.state_dict(), PATH)."
)
_CONVERT = "Convert it to PyTorch, and save the state dict: torch.save(model.state_dict(), PATH)."


def recognise(path: Path) -> tuple[str, str]:
    """Name the kind of a file without a state dict, and a cure; ("", "") for other files."""
    if path.is_dir() and (path / ".metadata").is_file():
        convert = "python -m torch.distributed.checkpoint.format_utils dcp_to_torch"
        return "a distributed checkpoint", f"Convert it: {convert} {path} PATH"
    if path.is_dir():
        found = sorted(each.name for each in path.iterdir() if each.name.endswith(_OF_WEIGHTS))
        index = [name for name in found if name.endswith(INDEX)]
        named = f" in it: {path / (index or found)[0]}" if found else " in it."
        return "a folder", f"Give the file of weights{named}"
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(256)
    suffix = path.suffix.lower()
    if size == 0:
        return "empty", "Fetch or save the file again."
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf")):
        return "compressed", "Unpack it, and give the file in it."
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer instead of the file itself", "Fetch it: git lfs pull"
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page, not a file of weights", "Fetch the file itself, not its page."
    if head.startswith(b"\x89HDF") or suffix in (".h5", ".hdf5", ".keras"):
        return "a Keras or HDF5 file", _CONVERT
    if suffix in (".pb", ".tflite", ".index") or head[4:8] == b"TFL3":
        return "a TensorFlow file", _CONVERT
    if suffix in (".msgpack", ".npz", ".npy"):
        return "a Flax or NumPy file", _CONVERT
    if suffix == ".onnx" or re.match(rb"\x08[\x01-\x20]\x12.", head, re.DOTALL):
        return "an ONNX file: a whole network", f"Give it as the model: onnx:{path}"
    if zipfile.is_zipfile(path):
        return _of_archive(path)
    if head.startswith(b"PK"):
        return "cut short: the end of the file is missing", "Fetch or save the file again."
    if not (head.startswith(b"\x80") or suffix == ".safetensors" or head[8:9] == b"{"):
        return "not a weights file of PyTorch or safetensors", "Check the path."
    return "", ""


def _of_archive(path: Path) -> tuple[str, str]:
    """Recognise a zip archive; PyTorch writes several kinds of them."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] or name for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile):
        return "", ""
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        return "TorchScript: a compiled network whose layers cannot be opened", _STATE
    if any(name.startswith(("models/", "archive_format")) for name in names):
        return "a program of torch.export", _STATE
    if "model.weights.h5" in names:
        return "a Keras or HDF5 file", _CONVERT
    if "data.pkl" not in names:
        return "a zip archive without PyTorch weights", "If it contains a weights file, unpack it."
    return "", ""
