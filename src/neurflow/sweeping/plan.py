"""The plan of a sweep's folder, on which all processes that work on it agree.

::

    DIR/
    ├── sweep.json          the plan: model, images, layers, configuration, and the jobs
    ├── predictions.json    the model's prediction for each image, shared by all targets
    ├── circuits/NAME/      a job's result, as ``neurflow discover`` writes it
    ├── failures/NAME.json  why a job failed
    └── atlas/              tables of all finished jobs

The plan is the discovery request of its jobs without the target. Further targets can be added to a
folder at any time, but a different plan is refused.
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
    is_partial,
    lock,
    read_json,
    subfolder,
    tidy,
    write_atomically,
)
from neurflow.runtime.workspace import difference, same_value

PLAN = "sweep.json"
POOL = "pool"
"""folder of the activations that targets share"""
LOCK = ".lock"
LARGEST = 64 * MEBIBYTE
"""largest size of a plan in bytes"""


class Job(Frozen):
    """One target, and the name of its folder."""

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,120}$")]
    target: Target


class Plan(Frozen):
    """The settings that all circuits of a folder share, and the list of jobs."""

    format: Literal["neurflow sweep"] = "neurflow sweep"
    schema_version: Literal[1] = 1
    method: int = 1
    """version of the method; 1 in plans of early versions, which did not store it"""
    model: str
    """digest of the weights"""
    answers: tuple[float, ...] = ()
    """the model's outputs for a drawn picture; none in plans of early versions"""
    outputs: str | None = None
    """kind of the model's outputs"""
    reference: str
    images: str
    """digest of the pictures"""
    layers: tuple[str, ...] | None
    config: Annotated[Config, BeforeValidator(Config.stored)]
    max_images: int | None
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Setup:
    """Everything that a worker needs; can be pickled.

    Attributes:
        out: folder of the sweep, which all workers share.
        load_model: loads the model in the worker.
        images: folder of pictures, or whatever ``load_images`` takes.
        memory: budget of one worker.
        threads: number of threads of one worker; None for PyTorch's default.
    """

    out: Path
    load_model: Callable[[], Model]
    images: object
    memory: int
    threads: int | None = None


def job_of(target: Target) -> Job:
    """Return the job of a target; its name is unique to the target."""
    number = str(target.neuron) if target.minus is None else f"{target.neuron}-{target.minus}"
    words = re.sub(r"[^\w]+", "-", target.name, flags=re.ASCII).strip("-").lower()[:60]
    layer = re.sub(r"[^\w.]+", "-", target.layer, flags=re.ASCII)[:40]
    return Job(name=f"{layer}-{number}-{words}".strip("-"), target=target)


def read_plan(folder: Path) -> Plan:
    """Return the plan of a folder.

    Raises:
        ResultError: the folder has no sweep, or its plan is damaged.
    """
    file = folder / PLAN
    try:
        return Plan.model_validate(read_json(file, LARGEST, 8 * LARGEST))
    except FileNotFoundError:
        raise MissingResult(
            f"There is no sweep in {folder}. Start one: neurflow sweep run MODEL IMAGES --out {folder}"
        ) from None
    except (ValidationError, ValueError, RequestError) as error:  # of its configuration
        problem = str(error).splitlines()[0].removesuffix(".")
        raise ResultError(
            f"{file} is damaged: {problem}. Delete it and re-run the command; "
            "finished circuits are kept."
        ) from None


def agree(folder: Path, plan: Plan, *, redo: bool = False) -> Plan:
    """Add a plan's jobs to the folder's plan; everything else must be equal.

    Args:
        folder: folder of the sweep.
        plan: with the jobs to do.
        redo: whether a different plan is replaced, with its circuits, instead of refused.

    Raises:
        RequestError: the folder belongs to another plan, or is not a sweep's.
    """
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{folder} is a file. Give a folder for the sweep: --out FOLDER.")
    if folder.is_dir() and not (folder / PLAN).exists() and _holds_other_files(folder):
        raise RequestError(f"{folder} is not empty and has no sweep. Give another --out.")
    subfolder(folder)
    with lock(folder / LOCK):
        tidy(folder)
        if (folder / PLAN).exists():
            known = read_plan(folder)
            plan = _settled(known, plan)
            if redo and known.model_copy(update={"jobs": plan.jobs}) != plan:
                _forget(folder, activations=known.answers != plan.answers)
            else:
                plan = joined(folder, known, plan)
        write_atomically(folder / PLAN, plan.model_dump_json(indent=1).encode())
    return plan


def _holds_other_files(folder: Path) -> bool:
    """Return whether a folder without a plan holds more than an interrupted start leaves behind."""
    names = (file.name for file in folder.iterdir())
    return any(name != LOCK and not is_partial(name, PLAN) for name in names)


def _settled(known: Plan, plan: Plan) -> Plan:
    """Return ``plan`` with the known answers of the model, if they differ only by rounding.

    A plan of an early version, which stored neither answers nor outputs, agrees with any.
    """
    if known.outputs is None:
        return plan.model_copy(update={"answers": known.answers, "outputs": None})
    if same_value(known.answers, plan.answers):
        return plan.model_copy(update={"answers": known.answers})
    return plan


def joined(folder: Path, known: Plan, plan: Plan) -> Plan:
    """Return ``known`` with the jobs of ``plan``; ``RequestError`` if the plans differ otherwise."""
    before, now = (each.model_dump(mode="json", exclude={"jobs"}) for each in (known, plan))
    if before != now:
        raise RequestError(f"{folder} {difference(before, now, 'sweep')}")
    jobs = dict.fromkeys((*known.jobs, *plan.jobs))
    return known.model_copy(update={"jobs": tuple(jobs)})


def _forget(folder: Path, *, activations: bool) -> None:
    """Delete the circuits of another plan, and activations of another network; labels are kept."""
    with guard_disk(folder):
        for name in ("circuit.json", "work/finished.json"):
            for file in (folder / "circuits").glob(f"*/{name}"):
                file.unlink()
        for place in ("atlas", "failures", *([POOL] if activations else [])):
            shutil.rmtree(folder / place, ignore_errors=True)
        (folder / "predictions.json").unlink(missing_ok=True)


def shard_of(jobs: Sequence[Job], shard: str) -> list[Job]:
    """Return every n-th job from the i-th on, for ``"i/n"`` with i from 1 to n.

    Raises:
        RequestError: ``shard`` does not have this form.
    """
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", shard)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise RequestError(
            f"--shard {shard!r} is not a share of the targets. Write i/n, with i from 1 to n."
        )
    return list(jobs)[int(found[1]) - 1 :: int(found[2])]
