"""Folders of one sweep that were worked on apart, made one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from neurflow.atlas.tables import keep_tables, tables_there
from neurflow.storage import load_circuit
from neurflow.sweeping.ledger import TargetState, circuit_folder, is_done, status
from neurflow.sweeping.plan import agree, read_plan
from neurflow.workspace import guard_disk


def merge(out: str | Path, folders: Sequence[str | Path]) -> list[TargetState]:
    """Copy what is finished in some folders into one, and enter it in the atlas.

    Raises:
        RequestError: a folder belongs to another sweep.
        ResultError: a folder holds no sweep, or a damaged circuit; what was copied stays.
    """
    out = Path(out)
    plans = {Path(folder): read_plan(Path(folder)) for folder in folders}
    for plan in plans.values():
        agree(out, plan)
    for folder, plan in plans.items():
        for job in plan.jobs:
            if is_done(folder, job) and not is_done(out, job):
                source, place = circuit_folder(folder, job), circuit_folder(out, job)
                load_circuit(source)  # nothing damaged is taken over
                half = place.with_name(f".{job.name}.partial")
                with guard_disk(place):
                    shutil.rmtree(half, ignore_errors=True)
                    shutil.copytree(source, half)
                    shutil.rmtree(place, ignore_errors=True)
                    half.rename(place)
    for job in read_plan(out).jobs:
        if is_done(out, job) and not tables_there(out / "atlas", job.name):
            keep_tables(out / "atlas", job.name, load_circuit(circuit_folder(out, job)))
    return status(out)
