"""Engines run jobs and yield their outcomes, in the order in which they end.

1. ``InProcess`` runs jobs one after another in this process.
2. ``Workers`` runs them in processes of this machine, each with its own model. If a worker dies,
   another worker retries its job. A job that killed two workers is reported as failed.
3. Several machines can each run a share of the jobs (``plan.shard_of``), or use Ray (``ray_engine``).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import platform
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from neurflow.errors import NeurFlowError, RequestError, WorkError
from neurflow.sweeping.job_runner import JobRunner, Outcome
from neurflow.sweeping.plan import Job, Setup

TRIES = 2
"""number of workers that a job may kill before it is given up"""
GRACE = 5.0
"""seconds to wait for a worker to stop by itself"""


class Engine(Protocol):
    """Runs jobs."""

    def share(self, memory: int) -> tuple[int, int | None]:
        """Return the memory in bytes and the number of threads of one worker.

        If the number of threads is None, it is not changed.

        Raises:
            RequestError: there would be no worker.
        """
        ...

    def run(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Yield the outcome of each job when it ends.

        Closing the iterator stops all work; interrupted jobs can be resumed later.

        Raises:
            NeurFlowError: no worker can be set up.
        """
        ...


class InProcess:
    """Runs jobs in this process; the model may be one that no other process can load."""

    def share(self, memory: int) -> tuple[int, int | None]:
        """Return all of the memory."""
        return memory, None

    def run(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run the jobs one after another."""
        job_runner = JobRunner(setup)
        for job in jobs:
            yield job_runner.run(job)


@dataclass
class _Worker:
    """A process, the connection to it, and its job."""

    process: BaseProcess
    line: Connection
    job: Job | None = None


@dataclass
class Workers:
    """Runs jobs in processes of this machine.

    Args:
        count: number of processes; each loads the model once.
    """

    count: int
    _lost: dict[str, int] = field(default_factory=dict)

    def share(self, memory: int) -> tuple[int, int | None]:
        """Return an equal share of the memory and of the processors."""
        if self.count < 1:
            raise RequestError(f"The number of workers is at least 1, not {self.count}.")
        return memory // self.count, max(1, (os.cpu_count() or 1) // self.count)

    def run(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Give each job to a free worker."""
        waiting = deque(jobs)
        workers = [self._begin(setup) for _ in range(min(self.count, len(jobs)))]
        try:
            while workers:
                for line in wait([worker.line for worker in workers]):
                    worker = next(each for each in workers if each.line is line)
                    try:
                        message = worker.line.recv()
                    except (EOFError, OSError):
                        workers.remove(worker)
                        outcome = self._gone(worker, waiting)
                        if outcome is not None:
                            yield outcome
                        if len(workers) < len(waiting):
                            workers.append(self._begin(setup))
                        continue
                    if isinstance(message, NeurFlowError):
                        raise message
                    if message is not None:
                        worker.job = None
                        yield message
                    if waiting:
                        worker.job = waiting.popleft()
                        with contextlib.suppress(
                            OSError
                        ):  # it has died, which the connection reports next
                            worker.line.send(worker.job)
                    else:
                        workers.remove(worker)
                        _end([worker])
        finally:
            _end(workers)

    def _begin(self, setup: Setup) -> _Worker:
        here, there = multiprocessing.Pipe()
        process = _process(setup, there)
        process.start()
        there.close()
        return _Worker(process, here)

    def _gone(self, worker: _Worker, waiting: deque[Job]) -> Outcome | None:
        """Handle a worker that died: retry its job, or give it up."""
        worker.process.join(GRACE)
        code = worker.process.exitcode
        how = f"by signal {signal.Signals(-code).name}" if code and code < 0 else f"with {code}"
        job = worker.job
        name = job.name if job else ""
        self._lost[name] = self._lost.get(name, 0) + 1
        if job is None and self._lost[name] >= TRIES:
            raise WorkError(
                f"Workers ended {how} before they had a job; the system may have run out of memory. "
                "Give fewer --workers, or try --workers 1 to see the error."
            )
        if job is None or self._lost[name] < TRIES:
            waiting.extend([job] if job else [])
            return None
        problem = (
            f"{TRIES} workers ended {how} during this job; the system may have run out of memory. "
            "Give fewer --workers or a smaller --memory; the job resumes where it stopped."
        )
        return Outcome(job, "failed", problem=problem)


def _process(setup: Setup, line: Connection) -> BaseProcess:
    """Return a process for a worker with the environment of this one, but without its threads and
    devices.
    """
    given: dict[str, Any] = {"args": (setup, line, dict(os.environ)), "daemon": True}
    if platform.system() == "Linux":
        # Workers are forked from a process that has only imported torch, so that torch is imported and
        # kept in memory only once.
        server = multiprocessing.get_context("forkserver")
        server.set_forkserver_preload([__name__])
        return server.Process(target=serve, **given)
    return multiprocessing.get_context("spawn").Process(target=serve, **given)


def serve(setup: Setup, line: Connection, environment: dict[str, str]) -> None:
    """Run as a worker: report ready, then receive jobs and send outcomes until the line closes."""
    # the process that workers are forked from may have an older environment
    os.environ.clear()
    os.environ.update(environment)
    # Ctrl-C interrupts the parent as well, which then closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the result of the parent
        try:
            job_runner = JobRunner(setup)
        except NeurFlowError as error:
            line.send(error)
            return
        _work(job_runner, line)


def _work(job_runner: JobRunner, line: Connection) -> None:
    watch = _Watch(line)
    try:
        line.send(None)
        while True:
            line.send(job_runner.run(line.recv(), watch))
    except (EOFError, OSError):
        return  # the parent is gone


class _Watch:
    """Progress that ends a worker whose parent is gone."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def start(self, stage: str, total: int) -> None:
        self.advance()

    def advance(self, count: int = 1) -> None:
        if self._line.poll():  # nothing is sent while a job runs, so the connection was closed
            os._exit(0)

    def note(self, text: str) -> None: ...


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.line.close()
    for worker in workers:
        if worker.job is not None:
            worker.process.terminate()
        worker.process.join(GRACE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
