"""What a worker is: a model and pictures, loaded once, and one job after another.

A job is idempotent. It holds its lock while it works, so that no other process does the same; it goes
on where a killed one was; its circuit is there whole or not at all. What a user can cure fails the job
and lets the worker go on; anything else is a bug and told as one.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Literal

import torch
from filelock import FileLock, Timeout

from neurflow.activations import Predictions, predict
from neurflow.atlas.tables import keep_tables, tables_there
from neurflow.discovery import discover
from neurflow.errors import NeurFlowError, WorkError
from neurflow.images import Images, load_images
from neurflow.memory import Budget
from neurflow.model import Model
from neurflow.progress import Progress, Silent
from neurflow.storage import load_circuit
from neurflow.sweeping.ledger import circuit_folder, failure_file, is_done, lock_of
from neurflow.sweeping.plan import LOCK, Job, Setup, read_plan
from neurflow.workspace import guard_disk, write_atomically

PREDICTIONS = "predictions.json"


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        state: *elsewhere*: another process works on it.
        seconds: that it took.
        problem: why it failed.
    """

    job: Job
    state: Literal["done", "failed", "elsewhere"]
    seconds: float = 0.0
    problem: str = ""


class Station:
    """A worker's model and pictures.

    Raises:
        WorkError: the model or the pictures are not those of the plan.
        NeurFlowError: they cannot be loaded.
    """

    def __init__(self, setup: Setup) -> None:
        if setup.threads is not None:
            torch.set_num_threads(setup.threads)
        self.setup, self.plan = setup, read_plan(setup.out)
        self.model: Model = setup.load_model()
        self.images: Images = load_images(setup.images, self.model)
        for what, here in (("model", self.model.info.digest), ("images", self.images.digest)):
            if here != getattr(self.plan, what):
                raise WorkError(
                    f"The {what} of this worker are not those that {setup.out} was begun with. Have "
                    "files changed meanwhile? Give another --out, or bring the former ones back."
                )
        needed = self.plan.config.concept_set == "predicted"
        self.predictions = shared_predictions(setup, self.model, self.images) if needed else None

    def ready(self) -> None:
        """Tells that it is set up."""

    def run(self, job: Job, progress: Progress | None = None) -> Outcome:
        """Find a job's circuit, unless it is there or found elsewhere at this moment."""
        out, begun = self.setup.out, time.monotonic()
        try:
            with guard_disk(out / "locks"):
                (out / "locks").mkdir(exist_ok=True)
            with lock_of(out, job).acquire(blocking=False):
                self._find(job, progress or Silent())
                failure_file(out, job).unlink(missing_ok=True)
        except Timeout:
            return Outcome(job, "elsewhere")
        except (NeurFlowError, MemoryError) as error:
            problem = str(error) or "There is not enough memory. Give a smaller --memory."
            return Outcome(job, "failed", time.monotonic() - begun, problem)
        return Outcome(job, "done", time.monotonic() - begun)

    def _find(self, job: Job, progress: Progress) -> None:
        plan, out = self.plan, self.setup.out
        folder = circuit_folder(out, job)
        if is_done(out, job) and tables_there(out / "atlas", job.name):
            return
        if is_done(out, job):
            circuit = load_circuit(folder)
        else:
            circuit = discover(
                self.model,
                self.images,
                job.target,
                plan.layers,
                plan.config,
                out=folder,
                max_images=plan.max_images,
                memory=self.setup.memory,
                predictions=self.predictions,
                progress=progress,
            )
        keep_tables(out / "atlas", job.name, circuit)


def shared_predictions(
    setup: Setup, model: Model, images: Images, progress: Progress | None = None
) -> Predictions:
    """What the model calls the images: looked once, whoever comes first; kept in the folder."""
    progress, file = progress or Silent(), setup.out / PREDICTIONS
    with FileLock(setup.out / LOCK):
        if file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            classes, unread = (
                {int(i): value for i, value in kept[name].items()} for name in ("classes", "unread")
            )
            return Predictions(classes, unread)
        batch = Budget(setup.memory, progress).batch(model.image_bytes)
        found = predict(model, images, batch=batch, progress=progress)
        write_atomically(file, json.dumps(vars(found)).encode())
    return found
