"""Files beside ``circuit.json``: labels, edits and robustness.

The name of such a file contains the digest of the ``circuit.json`` that it belongs to. A new circuit in
the same folder can therefore not inherit the file of another.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar

from neurflow.refs import Frozen


class FileBeside(Frozen):
    """The contents of a file beside ``circuit.json``."""

    stem: ClassVar[str]
    """beginning of the file's name"""

    @classmethod
    def file_name(cls, index: bytes) -> str:
        """Return the name of the file for a circuit whose ``circuit.json`` has these bytes."""
        return f"{cls.stem}-{hashlib.sha256(index).hexdigest()[:16]}.json"

    def encoded(self) -> bytes:
        """Return the bytes of the file."""
        return self.model_dump_json().encode()
