"""Engines, which run jobs and yield their outcomes in the order in which they end.

1. ``InProcess`` runs the jobs one after another in this process.
2. ``Workers`` runs them in processes of this machine, each with its own model. If a worker dies,
   another one retries its job. A job during which two workers died is reported as failed.
3. Several machines can each run a share of the jobs (``plan.shard_of``), or use Ray (``ray_engine``).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import platform
import signal
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from neurflow.errors import NeurFlowError, RequestError, WorkError
from neurflow.sweeping.job_runner import JobRunner, Outcome
from neurflow.sweeping.plan import Job, Setup

TRIES = 2
"""number of workers that may die during a job before it counts as failed"""
GRACE = 5.0
"""seconds in which a worker may end by itself before it is killed"""


class Engine(Protocol):
    """Runs jobs."""

    def share(self, memory: int) -> tuple[int, int | None]:
        """Return the memory in bytes and the number of threads of one worker.

        If the number of threads is None, PyTorch's default is used.

        Raises:
            RequestError: the number of workers is less than 1.
        """
        ...

    def run(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Yield the outcome of each job as soon as it ends.

        Closing the iterator stops all work; interrupted jobs can be resumed later.

        Raises:
            NeurFlowError: no worker can be set up.
        """
        ...


class InProcess:
    """Runs jobs in this process, with any model, even one that other processes cannot load."""

    def share(self, memory: int) -> tuple[int, int | None]:
        """Return all of the memory."""
        return memory, None

    def run(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run the jobs one after another."""
        job_runner = JobRunner(setup)
        for job in jobs:
            yield job_runner.run(job)


def retried(job: Job | None, waiting: deque[Job], lost: Counter[str]) -> bool:
    """Return whether another worker takes over from one that died.

    Args:
        job: job of the worker; None if it had none yet. It is put back in line.
        waiting: jobs that wait for a worker.
        lost: name of a job → number of workers that died during it; it is updated.
    """
    name = job.name if job else ""
    lost[name] += 1
    if lost[name] >= TRIES:
        return False
    waiting.extend([job] if job else [])
    return True


@dataclass
class _Worker:
    """A process, the connection to it, and its job."""

    process: BaseProcess
    connection: Connection
    job: Job | None = None


@dataclass
class Workers:
    """Runs jobs in processes of this machine.

    Args:
        count: number of processes; each loads the model once.
    """

    count: int
    _lost: Counter[str] = field(default_factory=Counter)

    def share(self, memory: int) -> tuple[int, int | None]:
        """Return an equal share of the memory and of the processors."""
        if self.count < 1:
            raise RequestError(f"The number of workers must be at least 1, not {self.count}.")
        return memory // self.count, max(1, (os.cpu_count() or 1) // self.count)

    def run(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Give each job to a free worker."""
        waiting = deque(jobs)
        workers = [self._start(setup) for _ in range(min(self.count, len(jobs)))]
        try:
            while workers:
                for connection in wait([worker.connection for worker in workers]):
                    worker = next(each for each in workers if each.connection is connection)
                    try:
                        message = worker.connection.recv()
                    except (EOFError, OSError):
                        workers.remove(worker)
                        outcome = self._handle_death(worker, waiting)
                        if outcome is not None:
                            yield outcome
                        if len(workers) < len(waiting):
                            workers.append(self._start(setup))
                        continue
                    if isinstance(message, NeurFlowError):
                        raise message
                    if message is not None:
                        worker.job = None
                        yield message
                    if waiting:
                        worker.job = waiting.popleft()
                        # if the worker has died, the next wait reports it
                        with contextlib.suppress(OSError):
                            worker.connection.send(worker.job)
                    else:
                        workers.remove(worker)
                        _stop([worker])
        finally:
            _stop(workers)

    def _start(self, setup: Setup) -> _Worker:
        connection, other_end = multiprocessing.Pipe()
        process = _process(setup, other_end)
        process.start()
        other_end.close()
        return _Worker(process, connection)

    def _handle_death(self, worker: _Worker, waiting: deque[Job]) -> Outcome | None:
        """Handle the death of a worker; return the outcome of its job, unless that is retried."""
        worker.process.join(GRACE)
        code = worker.process.exitcode
        how = f"by signal {signal.Signals(-code).name}" if code and code < 0 else f"with {code}"
        job = worker.job
        if retried(job, waiting, self._lost):
            return None
        if job is None:
            raise WorkError(
                f"Workers ended {how} before they had a job; the system may have run out of memory. "
                "Give fewer --workers, or try --workers 1 to see the error."
            )
        problem = (
            f"{TRIES} workers ended {how} during this job; the system may have run out of memory. "
            "Give fewer --workers or a smaller --memory; the job resumes where it stopped."
        )
        return Outcome(job, "failed", problem=problem)


def _process(setup: Setup, connection: Connection) -> BaseProcess:
    """Return a new process for a worker. It does not inherit the threads and devices of this one."""
    given: dict[str, Any] = {"args": (setup, connection, dict(os.environ)), "daemon": True}
    if platform.system() == "Linux":
        # Workers are forked from a server process that has only imported torch, so that torch is
        # imported, and kept in memory, only once.
        server = multiprocessing.get_context("forkserver")
        server.set_forkserver_preload([__name__])
        return server.Process(target=serve, **given)
    return multiprocessing.get_context("spawn").Process(target=serve, **given)


def serve(setup: Setup, connection: Connection, environment: dict[str, str]) -> None:
    """Run as a worker: report ready, then receive jobs and send outcomes until the parent ends."""
    # The process that workers are forked from may have an older environment.
    os.environ.clear()
    os.environ.update(environment)
    # Ctrl-C interrupts the parent as well, which then closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the result of the parent
        try:
            job_runner = JobRunner(setup)
        except NeurFlowError as error:
            connection.send(error)
            return
        _work(job_runner, connection)


def _work(job_runner: JobRunner, connection: Connection) -> None:
    watch = _ParentWatch(connection)
    try:
        connection.send(None)
        while True:
            connection.send(job_runner.run(connection.recv(), watch))
    except (EOFError, OSError):
        return  # the parent is gone


class _ParentWatch:
    """Progress that ends the process of the worker if its parent has ended."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def start(self, stage: str, total: int) -> None:
        self.advance()

    def advance(self, count: int = 1) -> None:
        if (
            self._connection.poll()
        ):  # the parent sends nothing during a job, so the connection is closed
            os._exit(0)

    def note(self, text: str) -> None: ...


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.connection.close()
    for worker in workers:
        if worker.job is not None:
            worker.process.terminate()
        worker.process.join(GRACE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
