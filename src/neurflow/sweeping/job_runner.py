"""A worker of a sweep: loads the model and the pictures once, and runs one job after another.

Jobs are idempotent. A running job holds a lock, so that no other process runs it too. Interrupted jobs
are resumed, and circuits are written atomically. An error fails only its job, and the worker continues
with the next one. Unexpected exceptions are reported as bugs.
"""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from filelock import Timeout

from neurflow.atlas.tables import add_circuit, up_to_date
from neurflow.circuit import load_circuit
from neurflow.errors import NeurFlowError, WorkError
from neurflow.method.discover import discover
from neurflow.model import Model
from neurflow.pictures.images import Images, load_images
from neurflow.runtime.files import MEBIBYTE, lock, read_json, subfolder, write_atomically
from neurflow.runtime.memory import Budget
from neurflow.runtime.progress import Progress, Silent
from neurflow.study.activations import ModelOnImages, predict
from neurflow.study.shared import Predictions, Shared
from neurflow.sweeping.plan import LOCK, POOL, Job, Plan, Setup, read_plan
from neurflow.sweeping.state import circuit_folder, failure_file, is_done, lock_of

PREDICTIONS = "predictions.json"
MAX_BYTES = 256 * MEBIBYTE
"""largest size of the predictions, as a file and in memory"""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job.

    Attributes:
        job: the job.
        state: ``elsewhere`` if another process is working on it.
        seconds: its duration.
        problem: why it failed.
        trace: traceback of an unexpected exception.
    """

    job: Job
    state: Literal["done", "failed", "elsewhere"]
    seconds: float = 0.0
    problem: str = ""
    trace: str = ""


class JobRunner:
    """Runs jobs with one model and one set of pictures.

    Raises:
        WorkError: the model or the pictures differ from those of the plan.
        NeurFlowError: they cannot be loaded.
    """

    def __init__(self, setup: Setup) -> None:
        if setup.threads is not None:
            torch.set_num_threads(setup.threads)
        self.setup, self.plan = setup, read_plan(setup.out)
        self.model: Model = setup.load_model()
        self.images: Images = load_images(setup.images, self.model)
        for name, digest in (("model", self.model.info.digest), ("images", self.images.digest)):
            if digest != getattr(self.plan, name):
                raise WorkError(
                    f"The {name} of this worker differs from that of the sweep in {setup.out}. Restore "
                    "the original files, or give another --out."
                )
        needed = self.plan.config.concept_set == "predicted"
        self.shared = Shared(
            shared_predictions(setup, self.model, self.images) if needed else None,
            setup.out / POOL if study_same_pictures(self.plan, self.model) else None,
        )

    def ready(self) -> None:
        """Do nothing: a call returns as soon as the worker is set up."""

    def run(self, job: Job, progress: Progress | None = None) -> Outcome:
        """Find the circuit of a job, unless it is done or another process is working on it."""
        out, start = self.setup.out, time.monotonic()
        try:
            subfolder(out, "locks")
            with lock_of(out, job).acquire(blocking=False):
                self._find(job, progress or Silent())
                failure_file(out, job).unlink(missing_ok=True)
        except Timeout:
            return Outcome(job, "elsewhere")
        except (NeurFlowError, MemoryError) as error:
            problem = str(error) or "The memory is not enough. Give a smaller --memory."
            return Outcome(job, "failed", time.monotonic() - start, problem)
        except torch.AcceleratorError:
            raise  # this process can no longer use the accelerator
        except Exception as error:
            problem = (
                f"{type(error).__name__}: {error}. This is a bug in neurflow. Please report it."
            )
            return Outcome(job, "failed", time.monotonic() - start, problem, traceback.format_exc())
        return Outcome(job, "done", time.monotonic() - start)

    def _find(self, job: Job, progress: Progress) -> None:
        plan, out = self.plan, self.setup.out
        folder = circuit_folder(out, job)
        if is_done(out, job) and job.name in up_to_date(out / "atlas"):
            return
        if is_done(out, job):
            circuit = load_circuit(folder)
        else:
            subfolder(out, "circuits", job.name)
            circuit = discover(
                self.model,
                self.images,
                job.target,
                plan.layers,
                plan.config,
                out=folder,
                max_images=plan.max_images,
                memory=self.setup.memory,
                shared=self.shared,
                redo=True,  # the folder is this plan's; other contents are from an earlier one
                progress=progress,
            )
        add_circuit(out / "atlas", job.name, circuit)


def shared_predictions(
    setup: Setup, model: Model, images: Images, progress: Progress | None = None
) -> Predictions:
    """Return the model's predictions for the images, which the first process computes and stores."""
    progress, file = progress or Silent(), setup.out / PREDICTIONS
    with lock(setup.out / LOCK):
        found = _read_predictions(file, len(images))
        if found is None:
            batch = model.batch(Budget(setup.memory, progress))
            found = predict(ModelOnImages(model, images, batch, progress))
            write_atomically(file, json.dumps(vars(found)).encode())
    return found


def _read_predictions(file: Path, images: int) -> Predictions | None:
    """Return the stored predictions; None if there are none, or if they are damaged."""
    try:
        stored = read_json(file, MAX_BYTES, MAX_BYTES, finite=False)
        classes = {int(i): tuple(map(int, found)) for i, found in stored["classes"].items()}
        unread = {int(i): str(why) for i, why in stored["unread"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Predictions(classes, unread) if {*classes, *unread} == set(range(images)) else None


def study_same_pictures(plan: Plan, model: Model) -> bool:
    """Return whether several jobs may study the same pictures, so that storing activations pays off."""
    if len(plan.jobs) < 2:
        return False
    return plan.config.concept_set == "all" or any(
        job.target.layer != model.network.output_name or job.target.minus is not None
        for job in plan.jobs
    )
