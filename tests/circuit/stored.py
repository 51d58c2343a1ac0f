"""Reads and rewrites the files of a stored circuit."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurflow.circuit import (
    Circuit,
)


def contents(circuit: Circuit) -> tuple[Any, ...]:
    """All data of a circuit with arrays as lists, for comparison with ``==``."""
    shown = (circuit.thumbnails, circuit.pictures, circuit.heat)
    return circuit.model_dump(mode="json"), *map(dict, shown)


def index(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "circuit.json").read_text())


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Edit ``circuit.json`` by a function on its parsed content."""
    content = index(folder)
    change(content)
    (folder / "circuit.json").write_text(json.dumps(content))


def replace(folder: Path, kind: str, data: bytes) -> None:
    """Replace a file by other bytes, with matching name and digest, as an attacker would."""
    digest = hashlib.sha256(data).hexdigest()
    only(folder, kind).unlink()
    (folder / f"{kind}-{digest[:16]}.safetensors").write_bytes(data)
    rewrite(folder, lambda content: content.update({kind: digest}))


def only(folder: Path, kind: str) -> Path:
    (file,) = folder.glob(f"{kind}-*")
    return file


def header(**tensors: Any) -> bytes:
    """A safetensors file with any header and no data."""
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text
