"""Merges the folders of a sweep whose parts were computed separately."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from neurflow.atlas.tables import renew
from neurflow.circuit import load_circuit
from neurflow.runtime.files import guard_disk, refuse_link, subfolder
from neurflow.sweeping.plan import add_to_plan, read_plan
from neurflow.sweeping.state import (
    TargetState,
    circuit_folder,
    failure_file,
    is_done,
    state_of,
    status,
    store_failure,
)


def merge(out: str | Path, folders: Sequence[str | Path]) -> list[TargetState]:
    """Copy the finished circuits of several folders into one, and add them to its atlas.

    Raises:
        RequestError: a folder belongs to another sweep.
        ResultError: a folder has no sweep, or a damaged circuit. Circuits that were copied before it
            are kept.
    """
    out = Path(out)
    plans = {Path(folder): read_plan(Path(folder)) for folder in folders}
    for plan in plans.values():
        add_to_plan(out, plan)
    for folder, plan in plans.items():
        for job in plan.jobs:
            if is_done(out, job):
                continue
            if is_done(folder, job):
                _copy_circuit(circuit_folder(folder, job), circuit_folder(out, job))
            elif failure_file(folder, job).exists():
                store_failure(out, job, state_of(folder, job).problem)
    found = status(out)
    if any(state.state == "done" for state in found):
        renew(out)
    return found


def _copy_circuit(source: Path, destination: Path) -> None:
    """Copy a circuit's folder atomically; raise ``ResultError`` if the circuit is damaged."""
    load_circuit(source)
    circuits = subfolder(destination.parent.parent, destination.parent.name)
    with guard_disk(destination), tempfile.TemporaryDirectory(prefix=".", dir=circuits) as folder:
        partial = shutil.copytree(source, Path(folder) / "partial", ignore=_links)
        refuse_link(destination)
        shutil.rmtree(destination, ignore_errors=True)
        partial.rename(destination)


def _links(folder: str, names: list[str]) -> list[str]:
    """Return the names of symbolic links, which ``copytree`` then leaves out."""
    return [name for name in names if (Path(folder) / name).is_symlink()]
