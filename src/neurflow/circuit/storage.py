"""A circuit in a folder: JSON for structure, safetensors for arrays and thumbnails.

::

    runs/bee/
    ├── circuit.json                     schema version, digests of the next three, the circuit
    ├── arrays-DIGEST.safetensors        concept vectors, those of one length as rows of one matrix
    ├── thumbnails-DIGEST.safetensors    WebP bytes, one entry a crop
    ├── surroundings-DIGEST.safetensors  whole pictures and heat maps, small (``picture_files``)
    ├── labels-DIGEST.json               labels with their evidence, if there are any (``label_file``)
    ├── robustness-DIGEST.json           stability and significance, if measured (``robustness_file``)
    └── edits-DIGEST.json                groups merged and split by hand, if any were (``edits``)

Saving is atomic. Arrays, thumbnails and labels are written under names made of contents, beside
those of an earlier result; then ``circuit.json`` is replaced in one step, and with it what the
folder means; then what it no longer names is removed. A kill leaves the old result or the new one.
Other files of the folder (``work/``, ``report.html``) are let alone.

Loading executes nothing and believes nothing: sizes are bounded before a file is read, and the memory
that JSON would take before it is parsed (1 GiB, some 16,000 neurons of 50 crops each); names are
derived and never read, links are refused, digests, types, finite numbers and every cross-reference
are checked (``integrity``).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as unpack
from safetensors.numpy import save as pack

from neurflow.circuit import edits, label_file, robustness_file
from neurflow.circuit.circuit import Circuit, NeuronGroup
from neurflow.circuit.edits import Edits
from neurflow.circuit.integrity import check
from neurflow.circuit.label_file import (
    GroupLabel,
    LabelFile,
    label_of,
    labels_of,
    with_label,
    with_labels,
)
from neurflow.circuit.picture_files import (
    surroundings_of,
    surroundings_tensors,
    thumbnail_tensors,
    thumbnails_of,
)
from neurflow.circuit.robustness_file import RobustnessFile, robustness_of, with_robustness
from neurflow.errors import MissingResult, NeurFlowError, RequestError, ResultError
from neurflow.runtime.files import (
    MEBIBYTE,
    bound_json,
    guard_disk,
    json_value,
    lock,
    read,
    subfolder,
    tidy,
    write_atomically,
)

SCHEMA_VERSION = 2
READS = (1, SCHEMA_VERSION)
"""schema versions that can be read; the first keeps no trees"""
INDEX = "circuit.json"
LARGEST_JSON = 128 * MEBIBYTE
LARGEST_ARRAYS = 2048 * MEBIBYTE
LARGEST_LABELS = 64 * MEBIBYTE
MEMORY_OF_JSON = 1024 * MEBIBYTE
"""that the values of ``circuit.json`` may take"""
MEMORY_OF_LABELS = 512 * MEBIBYTE
KINDS = ("arrays", "thumbnails", "surroundings")
LOCK = ".labels.lock"
EVIDENCE: Any = {
    "layers": {"__all__": {"groups": {"__all__": {"evidence", "rejected", "stability"}}}},
    "edges": {"__all__": {"significance", "stability"}},
}
"""what of a circuit goes into the files beside ``circuit.json``"""

F = TypeVar("F", RobustnessFile, Edits)
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class _Index(BaseModel):
    """The contents of ``circuit.json``."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["neurflow circuit"] = "neurflow circuit"
    schema_version: int = SCHEMA_VERSION
    arrays: Digest
    thumbnails: Digest
    surroundings: Digest | None = None
    """None in results of before they were kept"""
    circuit: dict[str, Any]

    @property
    def files(self) -> dict[str, str]:
        """Name of each further file by its kind."""
        digests = {kind: getattr(self, kind) for kind in KINDS}
        return {kind: _name(kind, digest) for kind, digest in digests.items() if digest}


def _name(kind: str, digest: str) -> str:
    return f"{kind}-{digest[:16]}.safetensors"


class _Vectors:
    """Vectors as rows of one float32 matrix for each length; an address is ``LENGTH:ROW``."""

    def __init__(self, matrices: Mapping[str, np.ndarray] | None = None) -> None:
        self._rows: dict[str, list[np.ndarray]] = {}
        self._matrices = matrices or {}

    def put(self, vector: np.ndarray) -> str:
        """Keep a vector; returns its address."""
        rows = self._rows.setdefault(str(len(vector)), [])
        rows.append(np.asarray(vector, dtype=np.float32))
        return f"{len(vector)}:{len(rows) - 1}"

    def get(self, address: Any) -> np.ndarray:
        """The vector at an address; ``ValueError`` if there is none."""
        if not isinstance(address, str) or not re.fullmatch(r"[0-9]{1,9}:[0-9]{1,9}", address):
            raise ValueError(f"{address!r:.40} is no address of a vector")
        length, row = address.split(":")
        matrix = self._matrices.get(length)
        if matrix is None or int(row) >= len(matrix):
            raise ValueError(f"there is no vector {address}")
        return matrix[int(row)]

    def stacked(self) -> dict[str, np.ndarray]:
        """Length → ``[vector, length]`` of all vectors kept."""
        return {length: np.stack(rows) for length, rows in self._rows.items()}


def save_circuit(circuit: Circuit, path: str | Path) -> None:
    """Write a circuit into folder ``path``, made if it is not there; replaces an earlier result.

    Raises:
        ResultError: the circuit contradicts itself, so that loading would refuse it.
        WorkError: the folder cannot be written.
    """
    check(circuit)
    folder = Path(path)
    store = _Vectors()
    structure = circuit.model_dump(mode="json", context={"arrays": store}, exclude=EVIDENCE)
    contents = {
        "arrays": pack(store.stacked()),
        "thumbnails": pack(thumbnail_tensors(circuit)),
        "surroundings": pack(surroundings_tensors(circuit)),
    }
    digests = {kind: hashlib.sha256(data).hexdigest() for kind, data in contents.items()}
    index = _Index.model_validate({**digests, "circuit": structure})
    data = json.dumps(index.model_dump(), ensure_ascii=False, allow_nan=False).encode()
    _refuse_too_large(data)
    subfolder(folder)
    for kind, name in index.files.items():
        write_atomically(folder / name, contents[kind])
    names = set(index.files.values())
    if labels := labels_of(circuit):
        names.add(label_file.file_name(data))
        write_atomically(folder / label_file.file_name(data), LabelFile(groups=labels).encoded())
    if (found := robustness_of(circuit)) != RobustnessFile():
        names.add(robustness_file.file_name(data))
        write_atomically(folder / robustness_file.file_name(data), found.encoded())
    write_atomically(folder / INDEX, data)
    _remove_others(folder, names)


def _refuse_too_large(index: bytes) -> None:
    """``ResultError`` if ``circuit.json`` would be larger than what is loaded again."""
    try:
        if len(index) > LARGEST_JSON:
            raise ValueError(f"{len(index) // MEBIBYTE} MiB, over {LARGEST_JSON // MEBIBYTE}")
        bound_json(index, MEMORY_OF_JSON)
    except ValueError as error:
        raise ResultError(
            f"The circuit is too large to be stored ({error}). Study fewer layers, or lower τ (--tau) "
            "or k (--k)."
        ) from None


def save_robustness(folder: str | Path, measured: RobustnessFile) -> Circuit:
    """Keep what was measured of a stored circuit; returns the circuit with it.

    What an earlier measurement found and this one did not ask stays.

    Raises:
        ResultError: there is no result, or a damaged one.
        WorkError: the folder cannot be written.
    """
    folder = Path(folder)
    with _changing(folder):
        circuit = with_robustness(load_circuit(folder), measured)
        file = folder / robustness_file.file_name(_read(folder / INDEX, LARGEST_JSON))
        write_atomically(file, robustness_of(circuit).encoded())
    return circuit


def _remove_others(folder: Path, names: Collection[str]) -> None:
    """Remove files of results before this one, and what a kill left behind."""
    for pattern in (
        "arrays-*.safetensors",
        "thumbnails-*.safetensors",
        "surroundings-*.safetensors",
        "labels-*.json",
        "robustness-*.json",
        "edits-*.json",
    ):
        for file in folder.glob(pattern):
            if file.name not in names:
                file.unlink(missing_ok=True)
    tidy(folder)


@contextlib.contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """Hold the lock under which the files beside a circuit are changed."""
    with guard_disk(folder), lock(folder / LOCK):
        tidy(folder)
        yield


def load_circuit(path: str | Path) -> Circuit:
    """Read the circuit in folder ``path``; safe with a folder from a stranger.

    Raises:
        ResultError: there is no result, or one that is damaged, foreign, hostile, or of another
            schema version.
    """
    folder = Path(path)
    circuit = _unedited(folder)
    circuit = with_labels(_edited(folder, circuit), _read_labels(_label_path(folder)))
    return with_robustness(circuit, _read_robustness(folder))


def _unedited(folder: Path) -> Circuit:
    """The circuit as it was found."""
    if not (folder / INDEX).exists():
        raise MissingResult(_nothing_at(folder))
    index = _read_index(folder)
    tensors = {
        kind: _read_tensors(folder / name, LARGEST_ARRAYS, getattr(index, kind))
        for kind, name in index.files.items()
    }
    for length, matrix in tensors["arrays"].items():
        if matrix.dtype != np.float32 or matrix.ndim != 2 or str(matrix.shape[1]) != length:
            raise _damaged(
                folder / index.files["arrays"], f"{length!r:.40} is no matrix of vectors"
            )
    store = _Vectors(tensors["arrays"])
    shown: dict[str, Any] = {}
    for kind, shown_in in (("thumbnails", thumbnails_of), ("surroundings", surroundings_of)):
        try:
            shown |= shown_in(tensors.get(kind, {}))
        except ValueError as error:
            raise _damaged(folder / index.files[kind], str(error)) from None
    try:
        circuit = Circuit.model_validate(index.circuit, context={"arrays": store})
        circuit = circuit.model_copy(update=shown)
        check(circuit)
    except ValidationError as error:
        raise _damaged(folder / INDEX, _first_problem(error)) from None
    except NeurFlowError as error:
        raise _damaged(folder / INDEX, str(error).removesuffix(".")) from None
    return circuit


def _edited(folder: Path, circuit: Circuit) -> Circuit:
    """The circuit with the edits that lie beside it."""
    try:
        return edits.apply(circuit, load_edits(folder))
    except RequestError as error:
        raise _damaged(_edits_path(folder), str(error).removesuffix(".")) from None


def load_edits(path: str | Path) -> Edits:
    """The edits by hand of the circuit in folder ``path``; none if there is no file.

    Raises:
        ResultError: there is no result, or its edits are damaged or hostile.
    """
    return _read_beside(_edits_path(Path(path)), Edits)


def read_edits(file: str | Path) -> Edits:
    """The edits in a file that was exported; ``RequestError`` if there is none, or a bad one."""
    file = Path(file)
    if not file.exists():
        raise RequestError(f"There is no file {file}.")
    try:
        return _read_beside(file, Edits)
    except ResultError:
        raise RequestError(
            f"{file} holds no edits. Write such a file with: neurflow edit RUN --export FILE"
        ) from None


def change_edits(path: str | Path, change: Callable[[Circuit, Edits], Edits]) -> Edits:
    """Change the edits of a stored circuit; ``change`` sees it as it was found, and its edits.

    Raises:
        ResultError: there is no result, or a damaged one.
        RequestError: whatever ``change`` refuses.
        WorkError: the folder cannot be written.
    """
    folder = Path(path)
    with _changing(folder):
        changed = change(_unedited(folder), load_edits(folder))
        write_atomically(_edits_path(folder), changed.encoded())
    return changed


def _edits_path(folder: Path) -> Path:
    return folder / edits.file_name(_read(folder / INDEX, LARGEST_JSON))


class LabelStore:
    """The labels of the circuit stored in a folder, changed one at a time, whoever else writes.

    Raises:
        ResultError: there is no result, or a damaged one.
    """

    def __init__(self, folder: str | Path) -> None:
        self.circuit = load_circuit(folder)
        """as it was when the store was opened"""
        self._folder, self._file = Path(folder), _label_path(Path(folder))

    def update(self, id: str, change: Callable[[NeuronGroup], NeuronGroup]) -> NeuronGroup:
        """Change the label of one group; ``change`` sees the group as it is stored now.

        Raises:
            RequestError: the circuit has no such group.
            WorkError: the folder cannot be written, or its labels are damaged.
        """
        group = self.circuit.group(id)
        with _changing(self._folder):
            labels = _read_labels(self._file)
            stored = with_label(group, labels.get(id, label_of(group)))
            changed = change(stored)
            if changed != stored:
                labels[id] = label_of(changed)
                write_atomically(self._file, LabelFile(groups=labels).encoded())
        return changed


def _label_path(folder: Path) -> Path:
    return folder / label_file.file_name(_read(folder / INDEX, LARGEST_JSON))


def _read_labels(file: Path) -> dict[str, GroupLabel]:
    """Labels by group; none if there is no file."""
    if not file.exists() and not file.is_symlink():
        return {}
    try:
        content = json_value(_read(file, LARGEST_LABELS), MEMORY_OF_LABELS)
        version = content.get("schema_version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > label_file.SCHEMA_VERSION:
            raise ResultError(
                f"{file} has schema version {version}, this neurflow reads "
                f"{label_file.SCHEMA_VERSION}. Upgrade neurflow, or move the file away."
            )
        return LabelFile.model_validate(content).groups
    except ValidationError as error:
        raise _damaged(file, _first_problem(error)) from None
    except ValueError as error:
        raise _damaged(file, str(error)) from None


def _read_robustness(folder: Path) -> RobustnessFile:
    """What was measured of the circuit in a folder; nothing if there is no file."""
    index = _read(folder / INDEX, LARGEST_JSON)
    return _read_beside(folder / robustness_file.file_name(index), RobustnessFile)


def _read_beside(file: Path, kind: type[F]) -> F:
    """A file that may lie beside ``circuit.json``; an empty one of its kind if it does not."""
    if not file.exists() and not file.is_symlink():
        return kind()
    try:
        return kind.model_validate(json_value(_read(file, LARGEST_LABELS), MEMORY_OF_LABELS))
    except ValidationError as error:
        raise _damaged(file, _first_problem(error)) from None
    except ValueError as error:
        raise _damaged(file, str(error)) from None


def _nothing_at(folder: Path) -> str:
    if (folder / "work").is_dir():
        return (
            f"The run in {folder} is not finished. Give the same discover command again to go on."
        )
    if folder.is_file():
        return f"{folder} is a file, and a result is a folder. Give the folder given to --out."
    return f"There is no result in {folder}. Make one: neurflow discover … --out {folder}"


def _read_index(folder: Path) -> _Index:
    file = folder / INDEX
    try:
        content = json_value(_read(file, LARGEST_JSON), MEMORY_OF_JSON)
    except ValueError as error:
        raise _damaged(file, str(error)) from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version not in READS:
        cure = (
            "Upgrade neurflow" if version > SCHEMA_VERSION else "Make it again: neurflow discover"
        )
        raise ResultError(
            f"{file} has schema version {version}, this neurflow reads {SCHEMA_VERSION}. {cure}."
        )
    try:
        return _Index.model_validate(content)
    except ValidationError as error:
        raise _damaged(file, _first_problem(error)) from None


def _read(file: Path, limit: int) -> bytes:
    """A plain file's bytes, if it is no link and no larger than ``limit``."""
    try:
        return read(file, limit)
    except OSError as error:
        raise _damaged(file, error.strerror or type(error).__name__) from None
    except ValueError as error:
        raise _damaged(file, str(error)) from None


def _read_tensors(file: Path, limit: int, digest: str) -> dict[str, np.ndarray]:
    data = _read(file, limit)
    if hashlib.sha256(data).hexdigest() != digest:
        raise _damaged(file, "it does not have the digest noted in circuit.json")
    try:
        return unpack(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _damaged(file, f"not safetensors: {error}") from None


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, problem["loc"])) or "the whole"
    return f"{where:.80}: {problem['msg']:.120}"


def _damaged(file: Path, problem: str) -> ResultError:
    return ResultError(
        f"{file} is damaged or no result of neurflow: {problem}.\n"
        "Copy the folder again from where it was made, or make it again with neurflow discover."
    )
