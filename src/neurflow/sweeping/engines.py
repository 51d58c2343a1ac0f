"""Where jobs run: an engine takes jobs and gives back their outcomes, in whatever order they end.

1. ``Here``: one after another, in this process.
2. ``Workers``: processes of this machine, each with a model of its own. A worker that dies loses the
   one job it had, which gets a second worker; a job that two workers died of is reported.
3. Further machines: a share of the jobs on each (``plan.shard_of``), or Ray (``ray_engine``).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from neurflow.errors import NeurFlowError, RequestError, WorkError
from neurflow.sweeping.plan import Job, Setup
from neurflow.sweeping.station import Outcome, Station

TRIES = 2
"""workers that may die of a job before it is given up"""
GRACE = 5.0
"""seconds a worker is given to stop by itself"""


class Engine(Protocol):
    """Runs jobs."""

    def share(self, memory: int) -> tuple[int, int | None]:
        """Bytes and threads of one worker; no number of threads leaves them as they are.

        Raises:
            RequestError: there would be no worker.
        """
        ...

    def run(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """The outcome of each job, as it ends.

        Closing the iterator ends all work; what was under way goes on there next time.

        Raises:
            NeurFlowError: no worker can be set up.
        """
        ...


class Here:
    """In this process; the model may be one that no other process can load."""

    def share(self, memory: int) -> tuple[int, int | None]:
        """All."""
        return memory, None

    def run(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """One after another."""
        station = Station(setup)
        for job in jobs:
            yield station.run(job)


@dataclass
class _Worker:
    """A process, the line to it, and what it was given."""

    process: BaseProcess
    line: Connection
    job: Job | None = None


@dataclass
class Workers:
    """Processes of this machine.

    Args:
        count: how many; each loads the model once.
    """

    count: int
    _lost: dict[str, int] = field(default_factory=dict)

    def share(self, memory: int) -> tuple[int, int | None]:
        """The machine's, divided."""
        if self.count < 1:
            raise RequestError(f"{self.count} workers do no work. Give at least 1.")
        return memory // self.count, max(1, (os.cpu_count() or 1) // self.count)

    def run(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Jobs go to whoever is free."""
        waiting = deque(jobs)
        workers = [self._begin(setup) for _ in range(min(self.count, len(jobs)))]
        try:
            while workers:
                for line in wait([worker.line for worker in workers]):
                    worker = next(each for each in workers if each.line is line)
                    try:
                        said = worker.line.recv()
                    except (EOFError, OSError):
                        workers.remove(worker)
                        outcome = self._gone(worker, waiting)
                        if outcome is not None:
                            yield outcome
                        if len(workers) < len(waiting):
                            workers.append(self._begin(setup))
                        continue
                    if isinstance(said, NeurFlowError):
                        raise said
                    if said is not None:
                        worker.job = None
                        yield said
                    if waiting:
                        worker.job = waiting.popleft()
                        with contextlib.suppress(OSError):  # it has died: the line says so next
                            worker.line.send(worker.job)
                    else:
                        workers.remove(worker)
                        _end([worker])
        finally:
            _end(workers)

    def _begin(self, setup: Setup) -> _Worker:
        # a fresh interpreter: threads and accelerators do not survive a fork
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(setup, there), daemon=True)
        process.start()
        there.close()
        return _Worker(process, here)

    def _gone(self, worker: _Worker, waiting: deque[Job]) -> Outcome | None:
        """A worker died: its job goes back into the line, or is given up."""
        worker.process.join(GRACE)
        code = worker.process.exitcode
        how = f"by signal {signal.Signals(-code).name}" if code and code < 0 else f"with {code}"
        job = worker.job
        name = job.name if job else ""
        self._lost[name] = self._lost.get(name, 0) + 1
        if job is None and self._lost[name] >= TRIES:
            raise WorkError(
                f"Workers ended {how} before they had a job; the system may have been out of memory. "
                "Give fewer --workers, or see what --workers 1 tells."
            )
        if job is None or self._lost[name] < TRIES:
            waiting.extend([job] if job else [])
            return None
        problem = (
            f"{TRIES} workers ended {how} on it; the system may have been out of memory. "
            "Give fewer --workers or a smaller --memory; it goes on where it was."
        )
        return Outcome(job, "failed", problem=problem)


def serve(setup: Setup, line: Connection) -> None:
    """A worker's life: say that it is ready, then a job in, an outcome out, until the line closes."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # the parent is interrupted too, and closes the line
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the result of the parent
        try:
            station = Station(setup)
        except NeurFlowError as error:
            line.send(error)
            return
        _work(station, line)


def _work(station: Station, line: Connection) -> None:
    watch = _Watch(line)
    try:
        line.send(None)
        while True:
            line.send(station.run(line.recv(), watch))
    except (EOFError, OSError):
        return  # nobody is there any more


class _Watch:
    """Ends a worker whose parent is gone: it would compute for nobody."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def start(self, stage: str, total: int) -> None:
        self.advance()

    def advance(self, count: int = 1) -> None:
        if self._line.poll():  # while a job runs nothing is sent: the line has been closed
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
