"""A worker thread that runs one computation at a time, in the order of the requests.

A model uses all cores and much memory, so two computations at once would each take twice as long.
Between its steps, long work such as an audit, or the effects of all groups, can ``yield_to_others``:
jobs that were submitted meanwhile.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from neurflow.runtime.float32 import full_float32

T = TypeVar("T")


class Cancelled(Exception):
    """The result is no longer needed."""


class Worker:
    """A thread with a queue of jobs."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="neurflow-worker", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Queue ``work``; the future can be cancelled until it begins.

        Raises:
            Cancelled: the worker has stopped.
        """
        if self._stopped.is_set():
            raise Cancelled
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work())
            except BaseException as error:  # the waiting caller gets it
                future.set_exception(error)

        self._jobs.put(job)
        return future

    def yield_to_others(self) -> None:
        """Run, from inside a job, the jobs that were submitted meanwhile.

        Raises:
            Cancelled: the worker stops.
        """
        while True:
            if self._stopped.is_set():
                raise Cancelled
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            job()

    def stop(self, patience: float = 2.0) -> bool:
        """Stop; return whether the running job has ended within ``patience`` seconds."""
        self._stopped.set()
        self._jobs.put(lambda: None)
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with full_float32():
            while not self._stopped.is_set():
                self._jobs.get()()


class CancellableProgress:
    """A ``Progress`` that ends the work with ``Cancelled`` if its client has disconnected."""

    def __init__(self) -> None:
        self.gone = threading.Event()

    def start(self, stage: str, total: int) -> None:
        """Begin a stage."""
        self.advance()

    def advance(self, count: int = 1) -> None:
        """Count a step; this is where work is cancelled."""
        if self.gone.is_set():
            raise Cancelled

    def note(self, text: str) -> None:
        """Ignore the note: the result lists what was skipped."""


class YieldingProgress:
    """The ``Progress`` of long work, which reports its steps and yields to other jobs between them."""

    def __init__(self, worker: Worker, report: Callable[[str, int, int], Any]) -> None:
        self._worker, self._report = worker, report
        self._stage, self._done, self._total = "", 0, 0

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of ``total`` steps."""
        self._stage, self._done, self._total = stage, 0, total
        self._report(stage, 0, total)

    def advance(self, count: int = 1) -> None:
        """Count steps, and run other jobs."""
        self._done += count
        self._report(self._stage, self._done, self._total)
        self._worker.yield_to_others()

    def note(self, text: str) -> None:
        """Ignore the note: the report contains it."""
