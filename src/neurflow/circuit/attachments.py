"""Changes the files beside a stored circuit: labels, edits and robustness.

They are changed one at a time, under a lock; ``circuit.json`` stays as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from neurflow.circuit.circuit import Circuit, load_circuit
from neurflow.circuit.edits import Edits
from neurflow.circuit.label_file import LabelFile, label_of, with_label
from neurflow.circuit.robustness_file import RobustnessFile, robustness_of, with_robustness
from neurflow.circuit.storage import (
    edits_path,
    label_path,
    load_edits,
    load_unedited,
    read_labels,
)
from neurflow.circuit.types import NeuronGroup
from neurflow.circuit.untrusted import read_beside, read_index
from neurflow.errors import RequestError, ResultError
from neurflow.runtime.files import guard_disk, lock, tidy, write_atomically

LOCK = ".labels.lock"


def save_robustness(folder: str | Path, measured: RobustnessFile) -> Circuit:
    """Store measurements of a stored circuit; return the circuit with them.

    Figures of earlier measurements stay unless they were measured again.

    Raises:
        ResultError: the result is missing or damaged.
        WorkError: the folder cannot be written.
    """
    folder = Path(folder)
    with _changing(folder):
        circuit = with_robustness(load_circuit(folder), measured)
        file = folder / RobustnessFile.file_name(read_index(folder))
        write_atomically(file, robustness_of(circuit).encoded())
    return circuit


@contextlib.contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """Hold the lock under which the files beside a circuit are changed."""
    with guard_disk(folder), lock(folder / LOCK):
        tidy(folder)
        yield


def read_edits(file: str | Path) -> Edits:
    """Read edits from an exported file; raise ``RequestError`` if it is missing or damaged."""
    file = Path(file)
    if not file.exists():
        raise RequestError(
            f"There is no file {file}. Write one with: neurflow edit RUN --export FILE"
        )
    try:
        return read_beside(file, Edits)
    except ResultError:
        raise RequestError(
            f"{file} contains no edits. Write such a file with: neurflow edit RUN --export FILE"
        ) from None


def change_edits(path: str | Path, change: Callable[[Circuit, Edits], Edits]) -> Edits:
    """Change the edits of a stored circuit.

    ``change`` receives the circuit as discovery found it, and its edits.

    Raises:
        ResultError: the result is missing or damaged.
        RequestError: ``change`` rejects the edit.
        WorkError: the folder cannot be written.
    """
    folder = Path(path)
    with _changing(folder):
        changed = change(load_unedited(folder, Circuit), load_edits(folder))
        write_atomically(edits_path(folder), changed.encoded())
    return changed


class LabelStore:
    """The labels of a stored circuit; safe to change while other programs change them too.

    Raises:
        ResultError: the result is missing or damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.circuit = load_circuit(folder)
        """the circuit when the store was opened"""
        self._folder, self._file = Path(folder), label_path(Path(folder))

    def update(self, id: str, change: Callable[[NeuronGroup], NeuronGroup]) -> NeuronGroup:
        """Change the label of one group; ``change`` receives the group as it is stored now.

        Raises:
            RequestError: the circuit has no such group.
            WorkError: the folder cannot be written, or its labels are damaged.
        """
        group = self.circuit.group(id)
        with _changing(self._folder):
            labels = read_labels(self._file)
            stored = with_label(group, labels.get(group.id, label_of(group)))
            changed = change(stored)
            if changed != stored:
                labels[group.id] = label_of(changed)
                write_atomically(self._file, LabelFile(groups=labels).encoded())
        return changed
