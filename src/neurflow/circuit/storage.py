"""A circuit in a folder: JSON for structure, safetensors for arrays and thumbnails.

::

    runs/bee/
    ├── circuit.json                     schema version, digests of the next three, the circuit
    ├── arrays-DIGEST.safetensors        concept vectors and attributions of single crops
    ├── thumbnails-DIGEST.safetensors    WebP bytes, one entry per crop
    ├── surroundings-DIGEST.safetensors  whole pictures and heat maps, small (``picture_files``)
    ├── labels-DIGEST.json               labels with their evidence, if there are any (``label_file``)
    ├── robustness-DIGEST.json           stability and significance, if measured (``robustness_file``)
    └── edits-DIGEST.json                groups merged and split by hand, if any were (``edits``)

Saving is atomic. Arrays, thumbnails and labels are first written beside those of an earlier result,
under names derived from their contents. Then ``circuit.json`` is replaced in one step, and files that
it no longer names are removed. An interrupted save leaves either the old result or the new one. Other
files in the folder (``work/``, ``report.html``) are not touched.

Loading runs no code and trusts no file. Sizes are bounded before a file is read, and the memory that
JSON would take is bounded before it is parsed (1 GiB, some 16,000 neurons of 50 crops each). File
names are derived from digests, links are refused, and digests, types, finite numbers and all
cross-references are checked (``integrity``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from safetensors.numpy import save as pack

from neurflow.circuit import edits, label_file
from neurflow.circuit.edits import Edits
from neurflow.circuit.integrity import check
from neurflow.circuit.label_file import GroupLabel, LabelFile, labels_of, with_labels
from neurflow.circuit.picture_files import (
    surroundings_of,
    surroundings_tensors,
    thumbnail_tensors,
    thumbnails_of,
)
from neurflow.circuit.robustness_file import RobustnessFile, robustness_of, with_robustness
from neurflow.circuit.types import C, CircuitData
from neurflow.circuit.untrusted import (
    INDEX,
    LARGEST_ARRAYS,
    LARGEST_BESIDE,
    LARGEST_JSON,
    MEMORY_OF_BESIDE,
    damaged,
    first_problem,
    read_beside,
    read_bytes,
    read_index,
    read_tensors,
)
from neurflow.errors import NeurFlowError, RequestError, ResultError
from neurflow.runtime.files import (
    MEBIBYTE,
    bound_json,
    json_value,
    subfolder,
    tidy,
    write_atomically,
)

SCHEMA_VERSION = 4
READS = (1, 2, 3, SCHEMA_VERSION)
"""schema versions that can be read; 1 lacks trees, 2 the signed parts of edges, 3 their intervals"""
MEMORY_OF_JSON = 1024 * MEBIBYTE
"""largest memory of the values of ``circuit.json``, in bytes"""
KINDS = ("arrays", "thumbnails", "surroundings")
EVIDENCE: Any = {
    "layers": {"__all__": {"groups": {"__all__": {"evidence", "rejected", "stability"}}}},
    "edges": {"__all__": {"significance", "stability"}},
}
"""parts of a circuit that are stored in the files beside ``circuit.json``"""

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class _Index(BaseModel):
    """The contents of ``circuit.json``."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["neurflow circuit"] = "neurflow circuit"
    schema_version: int = SCHEMA_VERSION
    arrays: Digest
    thumbnails: Digest
    surroundings: Digest | None = None
    """None in results of earlier versions"""
    circuit: dict[str, Any]

    @property
    def files(self) -> dict[str, str]:
        """Names of the further files by kind."""
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
        """Store a vector and return its address."""
        rows = self._rows.setdefault(str(len(vector)), [])
        rows.append(np.asarray(vector, dtype=np.float32))
        return f"{len(vector)}:{len(rows) - 1}"

    def get(self, address: Any) -> np.ndarray:
        """Return the vector at an address; raise ``ValueError`` if there is none."""
        if not isinstance(address, str) or not re.fullmatch(r"[0-9]{1,9}:[0-9]{1,9}", address):
            raise ValueError(f"{address!r:.40} is not the address of a vector")
        length, row = address.split(":")
        matrix = self._matrices.get(length)
        if matrix is None or int(row) >= len(matrix):
            raise ValueError(f"there is no vector {address}")
        return matrix[int(row)]

    def stacked(self) -> dict[str, np.ndarray]:
        """Return length → ``[vector, length]`` of all stored vectors."""
        return {length: np.stack(rows) for length, rows in self._rows.items()}


def save(circuit: CircuitData, path: str | Path) -> None:
    """Write a circuit into folder ``path``, creating it if needed; replaces an earlier result.

    Raises:
        ResultError: the circuit is inconsistent, so loading would refuse it.
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
    for beside in (LabelFile(groups=labels_of(circuit)), robustness_of(circuit)):
        if beside != type(beside)():
            names.add(beside.file_name(data))
            write_atomically(folder / beside.file_name(data), beside.encoded())
    write_atomically(folder / INDEX, data)
    _remove_others(folder, names)


def _refuse_too_large(index: bytes) -> None:
    """Raise ``ResultError`` if ``circuit.json`` would be too large to be loaded again."""
    try:
        if len(index) > LARGEST_JSON:
            raise ValueError(f"{len(index) // MEBIBYTE} MiB, over {LARGEST_JSON // MEBIBYTE}")
        bound_json(index, MEMORY_OF_JSON)
    except ValueError as error:
        raise ResultError(
            f"The circuit is too large to be stored ({error}). Study fewer layers, or lower τ (--tau) "
            "or k (--k)."
        ) from None


def _remove_others(folder: Path, names: Collection[str]) -> None:
    """Remove files of earlier results, and partial files of interrupted saves."""
    beside = (LabelFile.stem, RobustnessFile.stem, Edits.stem)
    for pattern in (*(f"{kind}-*.safetensors" for kind in KINDS), *(f"{s}-*.json" for s in beside)):
        for file in folder.glob(pattern):
            if file.name not in names:
                file.unlink(missing_ok=True)
    tidy(folder)


def load(path: str | Path, kind: type[C]) -> C:
    """Read the circuit in folder ``path`` as a ``kind``; safe for folders from others.

    Raises:
        ResultError: there is no result, or one that is damaged, foreign, hostile, or of another
            schema version.
    """
    folder = Path(path)
    circuit = load_unedited(folder, kind)
    circuit = with_labels(_edited(folder, circuit), read_labels(label_path(folder)))
    return with_robustness(circuit, _read_robustness(folder))


def load_unedited(folder: Path, kind: type[C]) -> C:
    """Read the circuit as discovery found it, without edits, labels and robustness."""
    index = _read_index(folder)
    tensors = {
        part: read_tensors(folder / name, LARGEST_ARRAYS, getattr(index, part))
        for part, name in index.files.items()
    }
    for length, matrix in tensors["arrays"].items():
        if matrix.dtype != np.float32 or matrix.ndim != 2 or str(matrix.shape[1]) != length:
            raise damaged(
                folder / index.files["arrays"], f"{length!r:.40} is not a matrix of vectors"
            )
    store = _Vectors(tensors["arrays"])
    shown: dict[str, Any] = {}
    for part, shown_in in (("thumbnails", thumbnails_of), ("surroundings", surroundings_of)):
        try:
            shown |= shown_in(tensors.get(part, {}))
        except ValueError as error:
            raise damaged(folder / index.files[part], str(error)) from None
    try:
        circuit = kind.model_validate(index.circuit, context={"arrays": store})
        circuit = circuit.model_copy(update=shown)
        check(circuit)
    except ValidationError as error:
        raise damaged(folder / INDEX, first_problem(error)) from None
    except NeurFlowError as error:
        raise damaged(folder / INDEX, str(error).removesuffix(".")) from None
    return circuit


def _edited(folder: Path, circuit: C) -> C:
    """Return the circuit with the stored edits applied."""
    try:
        return edits.apply(circuit, load_edits(folder))
    except RequestError as error:
        raise damaged(edits_path(folder), str(error).removesuffix(".")) from None


def _read_index(folder: Path) -> _Index:
    file = folder / INDEX
    try:
        content = json_value(read_index(folder), MEMORY_OF_JSON)
    except ValueError as error:
        raise damaged(file, str(error)) from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version not in READS:
        cure = (
            "Upgrade neurflow" if version > SCHEMA_VERSION else "Create it again: neurflow discover"
        )
        raise ResultError(
            f"{file} has schema version {version}; this neurflow reads {SCHEMA_VERSION}. {cure}."
        )
    try:
        return _Index.model_validate(content)
    except ValidationError as error:
        raise damaged(file, first_problem(error)) from None


def load_edits(path: str | Path) -> Edits:
    """Read the edits of the circuit in folder ``path``; none if there is no file.

    Raises:
        ResultError: there is no result, or its edits are damaged or hostile.
    """
    return read_beside(edits_path(Path(path)), Edits)


def edits_path(folder: Path) -> Path:
    """Return the file with the edits of the circuit in ``folder``."""
    return folder / Edits.file_name(read_index(folder))


def label_path(folder: Path) -> Path:
    """Return the file with the labels of the circuit in ``folder``."""
    return folder / LabelFile.file_name(read_index(folder))


def read_labels(file: Path) -> dict[str, GroupLabel]:
    """Read the labels by group; none if there is no file."""
    if not file.exists() and not file.is_symlink():
        return {}
    try:
        content = json_value(read_bytes(file, LARGEST_BESIDE), MEMORY_OF_BESIDE)
        version = content.get("schema_version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > label_file.SCHEMA_VERSION:
            raise ResultError(
                f"{file} has schema version {version}; this neurflow reads "
                f"{label_file.SCHEMA_VERSION}. Upgrade neurflow, or move the file away."
            )
        return LabelFile.model_validate(content).groups
    except ValidationError as error:
        raise damaged(file, first_problem(error)) from None
    except ValueError as error:
        raise damaged(file, str(error)) from None


def _read_robustness(folder: Path) -> RobustnessFile:
    """Read the measurements of the circuit in a folder; none if there is no file."""
    return read_beside(folder / RobustnessFile.file_name(read_index(folder)), RobustnessFile)
