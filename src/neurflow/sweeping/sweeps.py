"""``neurflow.sweep``: finds the circuits of many targets.

1. Store the plan in the folder, or compare it with the stored one: model, pictures, layers,
   configuration and jobs.
2. Predict the class of each picture once for all targets.
3. Give the jobs that are not done to an engine. Each circuit is written atomically and added to the
   atlas, which is packed at the end.
4. Wait for jobs that another process is working on, and take them over if that process dies.
"""

from __future__ import annotations

import contextlib
import pickle
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from neurflow.atlas.tables import renew, up_to_date
from neurflow.config import METHOD_VERSION, Config
from neurflow.errors import RequestError, WorkError
from neurflow.method.discover import study_layers
from neurflow.model import Model
from neurflow.pictures.images import load_images
from neurflow.refs import Target
from neurflow.runtime.extras import require
from neurflow.runtime.memory import MEMORY, memory_bytes
from neurflow.runtime.progress import Progress, Silent
from neurflow.sweeping.engines import Engine, InProcess, Workers
from neurflow.sweeping.job_runner import Outcome, shared_predictions
from neurflow.sweeping.plan import POOL, Job, Plan, Setup, add_to_plan, job_of, shard_of
from neurflow.sweeping.state import TargetState, is_done, state_of, status, store_failure

POLL_SECONDS = 1.0
"""seconds between checks of the jobs of other processes"""


def sweep(
    load_model: Callable[[], Model] | Model,
    images: Any,
    targets: Sequence[str | int | Target] | Literal["all"],
    out: str | Path,
    *,
    layers: Sequence[str] | None = None,
    config: Config | None = None,
    max_images: int | None = None,
    memory: str | int = MEMORY,
    workers: int = 1,
    shard: str | None = None,
    engine: Engine | None = None,
    redo: bool = False,
    progress: Progress | None = None,
) -> list[TargetState]:
    """Find the circuit of each target; finished circuits in ``out`` are kept.

    Args:
        load_model: a function that loads the model in each worker, such as
            ``functools.partial(neurflow.load_model, "torchvision:resnet18")``. Or a model, to work in
            this process only.
        images: folder of pictures, or any other source that ``load_images`` accepts. Each worker
            loads it.
        targets: as for ``discover``, or "all" for every class that the model predicts for a picture.
        out: folder of the sweep.
        layers: as for ``discover``; the same for all targets.
        config: hyperparameters.
        max_images: largest number of images of each concept set.
        memory: memory to use in addition to that of the models, for all workers of this machine
            together; on Ray, for each worker.
        workers: number of worker processes on this machine; 1 works in this process.
        shard: "i/n" for every n-th target from the i-th on, so that other machines can take the rest.
        engine: runs the jobs instead of ``workers``.
        redo: whether the contents of ``out`` are replaced if they belong to another request or to an
            earlier version of the method.
        progress: receives stages, steps and notes on finished targets.

    Returns:
        The state of each target of this call.

    Raises:
        RequestError: the request cannot be carried out, or the folder belongs to another sweep.
        WorkError: no worker can be set up. An error in one target fails only that target.

    Example::

        load = functools.partial(neurflow.load_model, "torchvision:resnet18")
        states = neurflow.sweep(load, "photos/", "all", "sweeps/resnet18", workers=4)
    """
    require("atlas")
    config, progress, out = config or Config(), progress or Silent(), Path(out)
    engine = engine or (InProcess() if workers == 1 else Workers(workers))
    share, threads = engine.share(memory_bytes(memory))
    loader = _loader(load_model, engine)
    model = loader()
    pictures = load_images(images, model).tell(progress)
    plan = Plan(
        method=METHOD_VERSION,
        model=model.info.digest,
        answers=model.answers,
        outputs=model.output_spec.kind,
        reference=model.info.reference,
        images=pictures.digest,
        layers=tuple(layers) if layers is not None else None,
        config=config,
        max_images=max_images,
        jobs=(),
    )
    setup = Setup(out.absolute(), loader, images, share, threads)
    add_to_plan(out, plan, redo=redo)
    requested: Sequence[Any] = targets
    if targets == "all" or config.concept_set == "predicted":
        predictions = shared_predictions(setup, model, pictures, progress)
        requested = sorted(predictions.counted()) if targets == "all" else targets
    resolved = [model.target(target) for target in requested]
    for target in resolved:
        study_layers(model, target, layers)  # an unknown layer fails here
    jobs = list(dict.fromkeys(map(job_of, resolved)))
    add_to_plan(out, plan.model_copy(update={"jobs": tuple(jobs)}))
    own_jobs = shard_of(jobs, shard) if shard is not None else jobs
    if isinstance(engine, InProcess):
        setup = Setup(setup.out, lambda: model, pictures, share)
    _work(engine, setup, own_jobs, progress)
    if any(is_done(out, job) for job in own_jobs):
        try:
            renew(out, progress=progress)  # packs the circuits that were added one by one
        except WorkError as error:
            progress.note(str(error))
    if not {state.state for state in status(out)} & {"waiting", "running"}:
        shutil.rmtree(out / POOL, ignore_errors=True)
    return [state_of(out, job) for job in own_jobs]


def _work(engine: Engine, setup: Setup, jobs: Sequence[Job], progress: Progress) -> None:
    """Run jobs until all of them have ended, in this process or in others."""
    if any(is_done(setup.out, job) for job in jobs):
        renew(setup.out, progress=progress)
    progress.start("targets", len(jobs))
    in_atlas = up_to_date(setup.out / "atlas")
    open_jobs = [job for job in jobs if not (is_done(setup.out, job) and job.name in in_atlas)]
    progress.advance(len(jobs) - len(open_jobs))
    while open_jobs:
        elsewhere = []
        for outcome in engine.run(setup, open_jobs):
            if outcome.state == "elsewhere":
                elsewhere.append(outcome.job)
                continue
            if outcome.state == "failed":
                with contextlib.suppress(
                    WorkError
                ):  # the disk is full; the note below still reports it
                    store_failure(setup.out, outcome.job, outcome.problem, outcome.trace)
            progress.advance()
            progress.note(_outcome_line(outcome))
        open_jobs = elsewhere
        while elsewhere and all(state_of(setup.out, job).state == "running" for job in elsewhere):
            time.sleep(POLL_SECONDS)  # do not load models again while these jobs are running


def _outcome_line(outcome: Outcome) -> str:
    name = outcome.job.target.name
    if outcome.state == "failed":
        return f"{name} failed: {outcome.problem}"
    return f"{name}: {outcome.seconds:.0f} s"


def _loader(load_model: Callable[[], Model] | Model, engine: Engine) -> Callable[[], Model]:
    """Return the function with which workers load the model.

    Raises:
        RequestError: it cannot be sent to other processes.
    """
    if isinstance(load_model, Model):
        if not isinstance(engine, InProcess):
            raise RequestError(
                "A model in memory cannot be sent to other processes. Give a function that loads it, "
                'such as functools.partial(neurflow.load_model, "torchvision:resnet18"), or workers=1.'
            )
        model = load_model
        return lambda: model
    if not isinstance(engine, InProcess):
        try:
            pickle.dumps(load_model)
        except Exception as error:
            raise RequestError(
                f"The function that loads the model cannot be sent to other processes ({error}). "
                "Use a function of a module, or workers=1."
            ) from None
    return load_model
