"""The plan of a sweep, which is stored in its folder and shared by all its processes.

::

    DIR/
    ├── sweep.json          the plan: model, images, layers, configuration, and the jobs
    ├── predictions.json    the model's prediction for each image, shared by all targets
    ├── circuits/NAME/      a job's result, as ``neurflow discover`` writes it
    ├── failures/NAME.json  why a job failed
    └── atlas/              tables of all finished jobs

The plan is the discovery request that its jobs share, without the target. Further targets can be added
to a folder at any time. A different plan is refused.
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
"""subfolder of pooled activations that targets share"""
LOCK = ".lock"
MAX_BYTES = 64 * MEBIBYTE
"""largest size of a plan"""


class Job(Frozen):
    """A target, and the name of its folder."""

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,120}$")]
    target: Target


class Plan(Frozen):
    """The settings that all circuits of a sweep share, and its jobs."""

    format: Literal["neurflow sweep"] = "neurflow sweep"
    schema_version: Literal[1] = 1
    method: int = 1
    """version of the method; plans of early versions, which did not store it, have 1"""
    model: str
    """digest of the weights"""
    answers: tuple[float, ...] = ()
    """the model's outputs for a random picture; empty in plans of early versions"""
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
    """Everything that a worker needs; it can be pickled.

    Attributes:
        out: folder of the sweep, which all workers share.
        load_model: loads the model in the worker.
        images: folder of pictures, or any other source that ``load_images`` accepts.
        memory: budget of one worker.
        threads: number of threads of one worker; None for PyTorch's default.
    """

    out: Path
    load_model: Callable[[], Model]
    images: object
    memory: int
    threads: int | None = None


def job_of(target: Target) -> Job:
    """Return the job of a target, with a name that no other target has."""
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
        return Plan.model_validate(read_json(file, MAX_BYTES, 8 * MAX_BYTES))
    except FileNotFoundError:
        raise MissingResult(
            f"There is no sweep in {folder}. Start one: neurflow sweep run MODEL IMAGES --out {folder}"
        ) from None
    except (
        ValidationError,
        ValueError,
        RequestError,
    ) as error:  # RequestError: an invalid configuration
        problem = str(error).splitlines()[0].removesuffix(".")
        raise ResultError(
            f"{file} is damaged: {problem}. Delete it and re-run the command; "
            "finished circuits are kept."
        ) from None


def add_to_plan(folder: Path, plan: Plan, *, redo: bool = False) -> Plan:
    """Add a plan's jobs to the folder's plan; everything else must be equal.

    Args:
        folder: folder of the sweep.
        plan: plan with the jobs to add.
        redo: whether a different plan is replaced, and its circuits are deleted, instead of refused.

    Raises:
        RequestError: the folder belongs to another sweep, or has other contents.
    """
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{folder} is a file. Give a folder for the sweep: --out FOLDER")
    if folder.is_dir() and not (folder / PLAN).exists() and _holds_other_files(folder):
        raise RequestError(f"{folder} is not empty and has no sweep. Give another folder: --out")
    subfolder(folder)
    with lock(folder / LOCK):
        tidy(folder)
        if (folder / PLAN).exists():
            known = read_plan(folder)
            plan = _with_known_answers(known, plan)
            if redo and known.model_copy(update={"jobs": plan.jobs}) != plan:
                _delete_results(folder, activations=known.answers != plan.answers)
            else:
                plan = with_jobs_of(folder, known, plan)
        write_atomically(folder / PLAN, plan.model_dump_json(indent=1).encode())
    return plan


def _holds_other_files(folder: Path) -> bool:
    """Return whether a folder without a plan has files that no interrupted start left behind."""
    names = (file.name for file in folder.iterdir())
    return any(name != LOCK and not is_partial(name, PLAN) for name in names)


def _with_known_answers(known: Plan, plan: Plan) -> Plan:
    """Return ``plan`` with the known outputs of the model, if its own differ only by rounding.

    Plans of early versions stored no outputs, and match any.
    """
    if known.outputs is None:
        return plan.model_copy(update={"answers": known.answers, "outputs": None})
    if same_value(known.answers, plan.answers):
        return plan.model_copy(update={"answers": known.answers})
    return plan


def with_jobs_of(folder: Path, known: Plan, plan: Plan) -> Plan:
    """Return ``known`` with the jobs of ``plan``; ``RequestError`` if the plans differ otherwise."""
    before, now = (each.model_dump(mode="json", exclude={"jobs"}) for each in (known, plan))
    if before != now:
        raise RequestError(f"{folder} {difference(before, now, 'sweep')}")
    jobs = dict.fromkeys((*known.jobs, *plan.jobs))
    return known.model_copy(update={"jobs": tuple(jobs)})


def _delete_results(folder: Path, *, activations: bool) -> None:
    """Delete the circuits of another plan, and activations of another network. Labels are kept."""
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
            f"--shard {shard!r} is not of the form i/n. Write i/n, with i from 1 to n."
        )
    return list(jobs)[int(found[1]) - 1 :: int(found[2])]
