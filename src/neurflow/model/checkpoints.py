"""Load weights from a file into a network, including files that wrap a state dict.

1. The first bytes tell the kind of a file (``recognise``). A file without tensors is refused, with a
   message that says what to do instead. PyTorch's own files are read with ``weights_only=True``, so
   they cannot run code.
2. Of the mappings of tensors in the file, at any depth (``state_dict``, ``model_state_dict``, ``ema``,
   …), the one that fits best is used. Averaged weights are preferred to the weights themselves,
   because such training reports the accuracy of the average.
3. A prefix that wrappers put before the names (``module.``, ``model.``, ``_orig_mod.``, …) is taken
   off, or put on, where the network's names ask for it.
4. Everything must fit: no missing or unexpected names, and equal shapes. A note says what was done.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PosixPath, WindowsPath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neurflow.errors import ModelError

State = dict[str, Tensor]
AVERAGES = ("ema", "swa", "averaged")
"""words in the name of a container that has weights averaged over training"""
COUNTER = "num_batches_tracked"
"""buffer of batch norms; often missing in published files, and without effect in eval mode"""
COMPILED = "_orig_mod."
"""prefix of the names in a module that ``torch.compile`` wrapped"""
DEPTH = 3
"""depth to which containers are searched"""
HARMLESS = [Namespace, PosixPath, WindowsPath, np.dtype, np.ndarray]
"""types that training scripts store beside the weights, and that are safe to load"""


def load_weights(module: nn.Module, path: Path) -> tuple[str, ...]:
    """Load a file of weights into ``module``, strictly; return notes on renamed or selected weights.

    Raises:
        ModelError: the file has no weights, is damaged, or belongs to another network.
    """
    wanted = {k: v for k, v in module.state_dict().items() if isinstance(v, Tensor)}
    fits = [
        _Fit.best(name, state, wanted) for name, state in _mappings(_read(path), DEPTH) if state
    ]
    if not fits:
        raise ModelError(
            f"{path} is not a state dict: a mapping from names to tensors is needed. "
            "Save one: torch.save(model.state_dict(), PATH)."
        )
    best = max(fits, key=lambda fit: (fit.count, fit.averaged, len(fit.state)))
    _refuse_misfit(path, module, best, wanted)
    others = [fit.where for fit in fits if fit is not best and fit.count == best.count]
    best = best.without(best.state.keys() - wanted.keys())
    _refuse_others(path, best.state)
    module.load_state_dict(best.state, strict=False)
    return tuple(best.notes(path, others))


@dataclass(frozen=True)
class _Fit:
    """A state dict with its names as the network has them.

    Attributes:
        where: names of the containers that it was in.
        taken_off, put_on: prefixes that were removed from or added to its names.
        state: name → tensor.
        left_out: names without the prefix, which belong to other modules.
        count: number of the network's names that it has in the right shape.
    """

    where: str
    taken_off: str
    put_on: str
    state: State
    left_out: tuple[str, ...]
    count: int

    @property
    def averaged(self) -> bool:
        """Whether it is an average over training."""
        return any(word in self.where for word in AVERAGES)

    @classmethod
    def best(cls, where: str, state: State, wanted: Mapping[str, Tensor]) -> _Fit:
        """The same tensors, renamed by the prefix with which most fit; if equal, without a prefix."""
        tried = [cls.of(where, state, wanted, "", "")]
        tried += [cls.of(where, state, wanted, off, "") for off in _prefixes(state, wanted)]
        tried += [cls.of(where, state, wanted, "", on) for on in _prefixes(wanted, state)]
        if any(COMPILED in key for key in state):  # a submodule was compiled
            inner = {key.replace(COMPILED, ""): value for key, value in state.items()}
            tried.append(replace(cls.of(where, inner, wanted, "", ""), taken_off=COMPILED))
        return max(tried, key=lambda fit: (fit.count, -len(fit.taken_off + fit.put_on)))

    @classmethod
    def of(cls, where: str, state: State, wanted: Mapping[str, Tensor], off: str, on: str) -> _Fit:
        """The tensors whose names begin with ``off``, renamed."""
        named = {on + key.removeprefix(off): v for key, v in state.items() if key.startswith(off)}
        count = sum(k in wanted and wanted[k].shape == v.shape for k, v in named.items())
        left_out = tuple(key for key in state if not key.startswith(off))
        return cls(where, off, on, named, left_out, count)

    def without(self, names: Iterable[str]) -> _Fit:
        """The same less tensors that the network has no place for."""
        out = sorted(names)
        state = {name: value for name, value in self.state.items() if name not in out}
        return replace(self, state=state, left_out=(*out, *self.left_out))

    def notes(self, path: Path, others: list[str]) -> Iterator[str]:
        """Notes on what was done, one line each."""
        if self.where:
            also = f"; the file also has {', '.join(map(repr, others))}" if others else ""
            yield f"Weights of {path.name}: those under {self.where!r} are used{also}."
        if self.taken_off:
            yield f"Weights of {path.name}: the prefix {self.taken_off!r} was removed from names."
        if self.put_on:
            yield f"Weights of {path.name}: the prefix {self.put_on!r} was added to all names."
        if self.left_out:
            yield (
                f"Weights of {path.name}: {len(self.left_out)} are left out, such as "
                f"{self.left_out[0]}, because the network does not have them."
            )


def _prefixes(long: Mapping[str, Tensor], short: Mapping[str, Tensor]) -> list[str]:
    """Prefixes of some names of ``short`` within names of ``long``."""
    found: dict[str, None] = {}
    for name in [*short][:3] + [*short][-3:]:
        for key in long:
            if key.endswith(f".{name}"):
                found[key.removesuffix(name)] = None
    return list(found)


def _refuse_misfit(path: Path, module: nn.Module, fit: _Fit, wanted: Mapping[str, Tensor]) -> None:
    missing = sorted(k for k in wanted.keys() - fit.state.keys() if not k.endswith(COUNTER))
    extra = sorted(fit.state.keys() - wanted.keys())
    shared = wanted.keys() & fit.state.keys()
    wrong = sorted(k for k in shared if wanted[k].shape != fit.state[k].shape)
    if not (missing or wrong):
        return
    examples = [f"missing {missing[0]}"] if missing else []
    examples += [f"unexpected {extra[0]}"] if extra else []
    if wrong:
        inside, outside = list(fit.state[wrong[0]].shape), list(wanted[wrong[0]].shape)
        examples.append(f"{wrong[0]} is {inside} in the file and {outside} in the network")
    raise ModelError(
        f"The weights in {path} do not fit {type(module).__name__}: {len(missing)} missing, "
        f"{len(extra)} unexpected, {len(wrong)} of another shape ({'; '.join(examples)}). "
        f"{_cure(missing, extra, wrong, fit, wanted)}"
    )


def _refuse_others(path: Path, state: State) -> None:
    """Refuse values that no weight of a network in floating point can take."""
    for name, value in state.items():
        if value.is_quantized or value.is_complex():
            kind = "quantised" if value.is_quantized else "complex"
            raise ModelError(
                f"{path} holds {kind} values ({name}). Save the weights in floating point."
            )


def _cure(
    missing: list[str], extra: list[str], wrong: list[str], fit: _Fit, wanted: Mapping[str, Tensor]
) -> str:
    heads = [k for k in wrong if fit.state[k].shape[1:] == wanted[k].shape[1:]]
    if wrong and not missing and not extra and heads == wrong and len(wrong) <= 2:
        inside, outside = fit.state[wrong[0]].shape[0], wanted[wrong[0]].shape[0]
        return (
            f"Its last layer has {inside} outputs where the network has {outside}: "
            f"give {inside} class names (--class-names)."
        )
    if fit.count and fit.count >= 0.8 * len(wanted):
        return (
            "Nearly all weights fit, so a part of the network was probably replaced, usually the head. "
            "Build the network as it was trained in a file, and give --model file:module.py:factory."
        )
    return "Check that they belong to this architecture and number of classes."


def _mappings(value: Any, depth: int, where: str = "") -> Iterator[tuple[str, State]]:
    """(place, tensors by name) of every mapping with tensors in a checkpoint."""
    if not isinstance(value, Mapping) or depth < 0:
        return
    named = {str(k): v for k, v in value.items()}
    state = {k: v for k, v in named.items() if isinstance(v, Tensor)}
    if any(key.startswith("optimizer") for key in where.split(".")):
        return
    yield where, state
    for key, inner in named.items():
        yield from _mappings(inner, depth - 1, f"{where}.{key}".lstrip("."))


def _read(path: Path) -> Any:
    kind, cure = recognise(path)
    if kind:
        raise ModelError(f"{path} is {kind}. {cure}")
    try:
        if _is_safetensors(path):
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals([*HARMLESS, *_numpy_scalars()]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unsafe(path, str(error)) from None
    except Exception as error:  # readers raise many kinds of error on a damaged file
        reason = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
        raise ModelError(
            f"The weights in {path} cannot be read: {reason}. Fetch or save the file again."
        ) from None


def _numpy_scalars() -> list[Any]:
    """The types that pickled NumPy scalars refer to."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(code)) for code in np.typecodes["All"] if code not in "OV"}
    return [scalar, (scalar, "numpy.core.multiarray.scalar"), *kinds]


def _unsafe(path: Path, reason: str) -> ModelError:
    """The error for a pickle with objects other than tensors, usually a whole module."""
    found = re.search(r"(?:GLOBAL |global |class )[`'\"]?([\w.]+)", reason)
    what = f" (a {found[1]})" if found and "." in found[1] else ""
    return ModelError(
        f"{path} has objects other than tensors{what}, and loading it could run foreign code. "
        "Save only the state dict where it was made: torch.save(model.state_dict(), PATH)."
    )


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(9)
    return path.suffix == ".safetensors" or (len(head) == 9 and head[8:9] == b"{")


_STATE = (
    "Save the state dict of the network it was made from: torch.save(model.state_dict(), PATH)."
)
_CONVERT = "Convert it to PyTorch, and save the state dict: torch.save(model.state_dict(), PATH)."


def recognise(path: Path) -> tuple[str, str]:
    """Name the kind of a file without a state dict, and a cure; ("", "") for other files."""
    if path.is_dir():
        return "a folder", "Give the file of weights in it."
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(256)
    suffix = path.suffix.lower()
    if size == 0:
        return "empty", "Fetch or save the file again."
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file itself", "Fetch it: git lfs pull"
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
    if not (head.startswith(b"\x80") or suffix == ".safetensors" or head[8:9] == b"{"):
        return "no file of weights that PyTorch or safetensors writes", "Check the path."
    return "", ""


def _of_archive(path: Path) -> tuple[str, str]:
    """The same for a zip archive, of which PyTorch writes several kinds."""
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
        return "a zip archive without weights of PyTorch", "If they are packed in it, unpack it."
    return "", ""
