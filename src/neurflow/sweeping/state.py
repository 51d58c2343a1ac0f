"""The state of a sweep, read from its folder; any process may read it at any time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from neurflow.runtime.files import lock, read_json, subfolder, write_atomically
from neurflow.sweeping.plan import Job, read_plan

State = Literal["done", "running", "failed", "waiting"]


@dataclass(frozen=True)
class TargetState:
    """One target of a sweep.

    Attributes:
        name: name of its folder in ``circuits``.
        target: name of the target.
        state: ``running`` while a process is working on it.
        problem: why it failed.
    """

    name: str
    target: str
    state: State
    problem: str = ""


def circuit_folder(out: Path, job: Job) -> Path:
    """Return the folder of a job's circuit."""
    return out / "circuits" / job.name


def lock_of(out: Path, job: Job) -> FileLock:
    """Return the lock of a job, which is held while a process works on it and freed if that dies."""
    return lock(out / "locks" / job.name)


def is_done(out: Path, job: Job) -> bool:
    """Return whether a job's circuit is complete."""
    folder = circuit_folder(out, job)
    return (folder / "work" / "finished.json").exists() and (folder / "circuit.json").exists()


def failure_file(out: Path, job: Job) -> Path:
    """Return the file with the reason why a job failed."""
    return out / "failures" / f"{job.name}.json"


def store_failure(out: Path, job: Job, problem: str, trace: str = "") -> None:
    """Store why a job failed, with the traceback if there is one."""
    file = failure_file(out, job)
    subfolder(out, file.parent.name)
    write_atomically(file, json.dumps({"problem": problem, "trace": trace}, indent=1).encode())


def status(out: str | Path) -> list[TargetState]:
    """Return the state of every target of a sweep, in the plan's order.

    Raises:
        ResultError: the folder has no sweep.
    """
    out = Path(out)
    return [state_of(out, job) for job in read_plan(out).jobs]


def state_of(out: Path, job: Job) -> TargetState:
    """Return the state of one target."""
    name, target = job.name, job.target.name
    if is_done(out, job):
        return TargetState(name, target, "done")
    if _is_held(out, job):
        return TargetState(name, target, "running")
    try:
        problem = read_json(failure_file(out, job))["problem"]
    except FileNotFoundError:
        return TargetState(name, target, "waiting")
    except (OSError, ValueError, KeyError, TypeError):
        problem = "the file with the reason is damaged"
    return TargetState(name, target, "failed", str(problem))


def _is_held(out: Path, job: Job) -> bool:
    held = lock_of(out, job)
    if not Path(held.lock_file).exists():
        return False
    try:
        with held.acquire(blocking=False):
            return False
    except Timeout:
        return True
