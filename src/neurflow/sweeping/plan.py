"""What a sweep's folder is for: a plan that every process that works on it agrees on.

::

    DIR/
    ├── sweep.json          the plan: model, images, layers, configuration, and the jobs
    ├── predictions.json    what the model calls each image: one look for all targets
    ├── circuits/NAME/      a job's result, as ``neurflow discover`` writes it
    ├── failures/NAME.json  why a job failed
    └── atlas/              tables over all finished jobs

The plan is one of its jobs' requests (``discovery``) without the target: a folder takes further
targets of the same plan at any time, and refuses another.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError

from neurflow.config import Config
from neurflow.errors import MissingResult, RequestError, ResultError
from neurflow.model import Model
from neurflow.refs import Frozen, Target
from neurflow.runtime.files import (
    MEBIBYTE,
    guard_disk,
    lock,
    read_json,
    subfolder,
    tidy,
    write_atomically,
)
from neurflow.runtime.workspace import unlike

PLAN = "sweep.json"
LOCK = ".lock"
LARGEST = 64 * MEBIBYTE
"""bytes of a plan"""


class Job(Frozen):
    """One target, and the name of its folder."""

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,120}$")]
    target: Target


class Plan(Frozen):
    """What all circuits of a folder have in common, and which there are to be."""

    format: Literal["neurflow sweep"] = "neurflow sweep"
    schema_version: Literal[1] = 1
    method: int = 1
    """version of the method; 1 in plans of before it was kept"""
    model: str
    """digest of the weights"""
    reference: str
    images: str
    """digest of the pictures"""
    layers: tuple[str, ...] | None
    config: Annotated[Config, BeforeValidator(Config.stored)]
    max_images: int | None
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Setup:
    """How a worker gets what it needs, wherever it runs; can be pickled.

    Attributes:
        out: folder of the sweep, which all workers see.
        load_model: loads the model, in the worker.
        images: folder of pictures, or whatever ``load_images`` takes.
        memory: budget of one worker.
        threads: of one worker; None leaves them as they are.
    """

    out: Path
    load_model: Callable[[], Model]
    images: object
    memory: int
    threads: int | None = None


def job_of(target: Target) -> Job:
    """The job of a target; equal targets have equal names, others differ."""
    number = str(target.neuron) if target.minus is None else f"{target.neuron}-{target.minus}"
    words = re.sub(r"[^\w]+", "-", target.name, flags=re.ASCII).strip("-").lower()[:60]
    layer = re.sub(r"[^\w.]+", "-", target.layer, flags=re.ASCII)[:40]
    return Job(name=f"{layer}-{number}-{words}".strip("-"), target=target)


def read_plan(folder: Path) -> Plan:
    """The plan of a folder.

    Raises:
        ResultError: the folder holds no sweep, or its plan is damaged.
    """
    file = folder / PLAN
    try:
        return Plan.model_validate(read_json(file, LARGEST, 8 * LARGEST))
    except FileNotFoundError:
        raise MissingResult(
            f"There is no sweep in {folder}. Begin one: neurflow sweep run MODEL IMAGES --out {folder}"
        ) from None
    except (ValidationError, ValueError) as error:
        raise ResultError(
            f"{file} is damaged: {str(error).splitlines()[0]}. Remove it, and give the command again; "
            "finished circuits stay."
        ) from None


def agree(folder: Path, plan: Plan, *, redo: bool = False) -> Plan:
    """Enter a plan's jobs into the folder's plan, which it must be equal to in all else.

    Args:
        folder: of the sweep.
        plan: with the jobs to be done.
        redo: replace another plan, with its circuits, instead of refusing.

    Raises:
        RequestError: the folder belongs to another plan, or is no sweep's.
    """
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{folder} is a file. Give a folder for the sweep: --out FOLDER.")
    if folder.is_dir() and not (folder / PLAN).exists() and any(folder.iterdir()):
        raise RequestError(f"{folder} is not empty and no sweep. Give another --out.")
    subfolder(folder)
    with lock(folder / LOCK):
        tidy(folder)
        if (folder / PLAN).exists():
            known = read_plan(folder)
            if redo and known.model_copy(update={"jobs": plan.jobs}) != plan:
                _forget(folder)
            else:
                plan = joined(folder, known, plan)
        write_atomically(folder / PLAN, plan.model_dump_json(indent=1).encode())
    return plan


def joined(folder: Path, known: Plan, plan: Plan) -> Plan:
    """``known`` with the jobs of ``plan``; ``RequestError`` where they are not of one sweep."""
    before, now = (each.model_dump(mode="json", exclude={"jobs"}) for each in (known, plan))
    if before != now:
        raise RequestError(f"{folder} {unlike(before, now, 'sweep')}")
    jobs = dict.fromkeys((*known.jobs, *plan.jobs))
    return known.model_copy(update={"jobs": tuple(jobs)})


def _forget(folder: Path) -> None:
    """Drop what was found by another plan; labels beside the circuits stay."""
    with guard_disk(folder):
        for name in ("circuit.json", "work/finished.json"):
            for file in (folder / "circuits").glob(f"*/{name}"):
                file.unlink()
        for place in ("atlas", "failures"):
            shutil.rmtree(folder / place, ignore_errors=True)
        (folder / "predictions.json").unlink(missing_ok=True)


def shard_of(jobs: Sequence[Job], shard: str) -> list[Job]:
    """Every n-th job from the i-th on, for ``"i/n"`` with i from 1 to n.

    Raises:
        RequestError: not of this form.
    """
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", shard)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise RequestError(f"--shard {shard!r} is no share. Write i/n, from 1/n to n/n.")
    return list(jobs)[int(found[1]) - 1 :: int(found[2])]
