"""How far a sweep is, read from its folder alone: any process may ask at any time."""

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
        name: of its folder under ``circuits``.
        target: as people call it.
        state: running, if some living process works on it.
        problem: why it failed.
    """

    name: str
    target: str
    state: State
    problem: str = ""


def circuit_folder(out: Path, job: Job) -> Path:
    """Where a job's circuit goes."""
    return out / "circuits" / job.name


def lock_of(out: Path, job: Job) -> FileLock:
    """Held by the process that works on a job; freed by the system when it dies."""
    return lock(out / "locks" / job.name)


def is_done(out: Path, job: Job) -> bool:
    """Whether a job's circuit is there, whole."""
    folder = circuit_folder(out, job)
    return (folder / "work" / "finished.json").exists() and (folder / "circuit.json").exists()


def failure_file(out: Path, job: Job) -> Path:
    """Where it is kept why a job failed."""
    return out / "failures" / f"{job.name}.json"


def keep_failure(out: Path, job: Job, problem: str, trace: str = "") -> None:
    """Keep why a job failed, and where in the code if that is known."""
    file = failure_file(out, job)
    subfolder(out, file.parent.name)
    write_atomically(file, json.dumps({"problem": problem, "trace": trace}, indent=1).encode())


def status(out: str | Path) -> list[TargetState]:
    """The state of every target of a sweep, in the plan's order.

    Raises:
        ResultError: the folder holds no sweep.
    """
    out = Path(out)
    return [state_of(out, job) for job in read_plan(out).jobs]


def state_of(out: Path, job: Job) -> TargetState:
    """The state of one target."""
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
        problem = "for a reason that can no longer be read"
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
