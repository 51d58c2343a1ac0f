"""Merges folders of one sweep that were computed separately."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from neurflow.atlas.tables import renew
from neurflow.circuit import load_circuit
from neurflow.runtime.files import guard_disk, refuse_link, subfolder
from neurflow.sweeping.plan import agree, read_plan
from neurflow.sweeping.state import (
    TargetState,
    circuit_folder,
    failure_file,
    is_done,
    keep_failure,
    state_of,
    status,
)


def merge(out: str | Path, folders: Sequence[str | Path]) -> list[TargetState]:
    """Copy the finished circuits of some folders into one folder, and add them to its atlas.

    Raises:
        RequestError: a folder belongs to another sweep.
        ResultError: a folder has no sweep, or a damaged circuit; circuits copied before are kept.
    """
    out = Path(out)
    plans = {Path(folder): read_plan(Path(folder)) for folder in folders}
    for plan in plans.values():
        agree(out, plan)
    for folder, plan in plans.items():
        for job in plan.jobs:
            if is_done(out, job):
                continue
            if is_done(folder, job):
                _take_over(circuit_folder(folder, job), circuit_folder(out, job))
            elif failure_file(folder, job).exists():
                keep_failure(out, job, state_of(folder, job).problem)
    found = status(out)
    if any(state.state == "done" for state in found):
        renew(out)
    return found


def _take_over(source: Path, place: Path) -> None:
    """Copy a circuit's folder atomically; damaged circuits are refused."""
    load_circuit(source)
    circuits = subfolder(place.parent.parent, place.parent.name)
    with guard_disk(place), tempfile.TemporaryDirectory(prefix=".", dir=circuits) as folder:
        half = shutil.copytree(source, Path(folder) / "half", ignore=_links)
        refuse_link(place)
        shutil.rmtree(place, ignore_errors=True)
        half.rename(place)


def _links(folder: str, names: list[str]) -> list[str]:
    """Return the symbolic links among some names, which are not copied."""
    return [name for name in names if (Path(folder) / name).is_symlink()]
