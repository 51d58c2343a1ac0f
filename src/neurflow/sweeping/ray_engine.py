"""Runs jobs on a Ray cluster, in actors that each load the model once.

All machines must have the sweep's folder, the pictures and the weights under the same paths. If the
process or node of an actor dies, another actor is started on a node with free resources, and the next
free actor resumes the job. This is safe, because locks are freed with their process and files are
written atomically.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from neurflow.errors import NeurFlowError, RequestError, WorkError
from neurflow.runtime.extras import require
from neurflow.sweeping.engines import TRIES, retried
from neurflow.sweeping.job_runner import JobRunner, Outcome
from neurflow.sweeping.plan import Job, Setup

OWN_CLUSTER = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
"""options of a cluster on this machine: no dashboard, and not reachable from other machines"""
PATIENCE = 15.0
"""seconds without an event after which the cluster's resources are checked"""


@dataclass(frozen=True)
class OnRay:
    """Runs jobs on a Ray cluster.

    Args:
        workers: number of actors; each loads the model once.
        address: address of the cluster, such as "auto" or "ray://head:10001"; None starts one on this
            machine.
        cpus: number of processors that Ray reserves for a worker.
        gpus: number of GPUs that Ray reserves for a worker, which sees no others. A fraction shares a
            GPU.
    """

    workers: int
    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def share(self, memory: int) -> tuple[int, int | None]:
        """Return all of the memory, because workers may be on different machines, and ``cpus``."""
        if self.workers < 1:
            raise RequestError(f"The number of workers must be at least 1, not {self.workers}.")
        return memory, max(1, int(self.cpus))

    def run(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Give each job to a free actor, and replace actors that die."""
        ray = _ray()
        try:
            ray.init(
                address=self.address,
                ignore_reinit_error=True,
                log_to_driver=False,
                **(OWN_CLUSTER if self._starts_cluster else {}),
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise WorkError(
                f"Cannot connect to a Ray cluster at {self.address!r}: {error}. Start one: "
                "ray start --head"
            ) from None
        begin = ray.remote(JobRunner).options(num_cpus=self.cpus, num_gpus=self.gpus).remote
        waiting, lost = deque(jobs), Counter[str]()
        at_work: dict[Any, tuple[Any, Job | None]] = {}  # None while the actor is set up

        def start() -> None:
            actor = begin(setup)
            at_work[actor.ready.remote()] = actor, None

        for _ in range(min(self.workers, len(jobs))):
            start()
        try:
            while waiting or any(job for _, job in at_work.values()):
                found, _ = ray.wait(list(at_work), num_returns=1, timeout=PATIENCE)
                if not found:
                    if not any(job for _, job in at_work.values()):
                        self._require_resources(ray.nodes())
                    continue
                (ended,) = found
                actor, job = at_work.pop(ended)
                try:
                    message = ray.get(ended)
                except ray.exceptions.RayError as error:
                    outcome = _handle_death(job, waiting, lost, error)
                    if outcome is not None:
                        yield outcome
                    start()
                    continue
                if job is not None:
                    yield message
                if waiting:
                    job = waiting.popleft()
                    at_work[actor.run.remote(job)] = actor, job
                else:
                    ray.kill(actor)
        finally:
            for actor, _ in at_work.values():
                ray.kill(actor)

    @property
    def _starts_cluster(self) -> bool:
        """Whether Ray starts a cluster on this machine."""
        return not (self.address or os.environ.get("RAY_ADDRESS"))

    def _require_resources(self, nodes: Sequence[dict[str, Any]]) -> None:
        """Raise ``WorkError`` if no node can run a worker, because Ray would wait forever."""
        needed = {"CPU": self.cpus, "GPU": self.gpus}
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        if any(all(node.get(kind, 0) >= needed[kind] for kind in needed) for node in alive):
            return  # a node is large enough, but busy
        largest = [f"{max((node.get(kind, 0) for node in alive), default=0):g}" for kind in needed]
        raise WorkError(
            f"No node of the Ray cluster can run a worker with {self.cpus:g} processors and "
            f"{self.gpus:g} GPUs: nodes have at most {largest[0]} processors and {largest[1]} GPUs. "
            "Give fewer --cpus or --gpus, or add a node."
        )


def _handle_death(
    job: Job | None, waiting: deque[Job], lost: Counter[str], error: Exception
) -> Outcome | None:
    """Handle the death of an actor; return the outcome of its job, unless that is retried.

    Raises:
        NeurFlowError: no actor can be set up.
    """
    cause = getattr(error, "cause", None)
    if isinstance(cause, NeurFlowError):
        raise cause from None
    if retried(job, waiting, lost):
        return None
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if job is None:
        raise WorkError(
            f"Ray cannot set up workers: {reason}. Try --workers 1 without Ray to see the error."
        )
    return Outcome(job, "failed", problem=f"{TRIES} Ray workers died during this job: {reason}")


def _ray() -> Any:
    require("ray")
    import ray

    return ray
