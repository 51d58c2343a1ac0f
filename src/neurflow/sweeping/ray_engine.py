"""Jobs on a Ray cluster: an actor a worker, which keeps its model; Ray restarts what dies.

All machines see the sweep's folder, the pictures and the weights under the same paths. An actor whose
process or node dies is followed by another where there is room, and its job goes on with whoever is
free first: locks die with their process, and what a job has written is whole.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from neurflow.errors import NeurFlowError, RequestError, WorkError
from neurflow.runtime.extras import require
from neurflow.sweeping.engines import TRIES
from neurflow.sweeping.plan import Job, Setup
from neurflow.sweeping.station import Outcome, Station

OWN_CLUSTER = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
"""how a cluster of this machine alone begins: no page, and out of reach for others"""
PATIENCE = 15.0
"""seconds without any worker before it is asked whether there can be one"""


@dataclass(frozen=True)
class OnRay:
    """Workers of a Ray cluster.

    Args:
        workers: actors; each loads the model once.
        address: of the cluster, such as "auto" or "ray://head:10001"; None begins one on this machine.
        cpus: that Ray sets aside for a worker.
        gpus: likewise; a worker sees only its own. Fractions share one.
    """

    workers: int
    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def share(self, memory: int) -> tuple[int, int | None]:
        """All memory, as nobody knows which workers share a machine; the processors set aside."""
        if self.workers < 1:
            raise RequestError(f"{self.workers} workers do no work. Give at least 1.")
        return memory, max(1, int(self.cpus))

    def run(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Jobs go to whichever actor is free; one that died is followed by another."""
        ray = _ray()
        try:
            ray.init(
                address=self.address,
                ignore_reinit_error=True,
                log_to_driver=False,
                **(OWN_CLUSTER if self._begins_one else {}),
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise WorkError(f"There is no Ray cluster at {self.address!r}: {error}") from None
        begin = ray.remote(Station).options(num_cpus=self.cpus, num_gpus=self.gpus).remote
        waiting, lost = deque(jobs), Counter[str]()
        at_work: dict[Any, tuple[Any, Job | None]] = {}  # no job yet: it is being set up

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
                        self._require_room(ray.nodes())
                    continue
                (ended,) = found
                actor, job = at_work.pop(ended)
                try:
                    said = ray.get(ended)
                except ray.exceptions.RayError as error:
                    outcome = _lost(job, waiting, lost, error)
                    if outcome is not None:
                        yield outcome
                    start()
                    continue
                if job is not None:
                    yield said
                if waiting:
                    job = waiting.popleft()
                    at_work[actor.run.remote(job)] = actor, job
                else:
                    ray.kill(actor)
        finally:
            for actor, _ in at_work.values():
                ray.kill(actor)

    @property
    def _begins_one(self) -> bool:
        """Whether there is no cluster yet, so that Ray begins one on this machine."""
        return not (self.address or os.environ.get("RAY_ADDRESS"))

    def _require_room(self, nodes: Sequence[dict[str, Any]]) -> None:
        """Raises ``WorkError`` where no node could ever hold a worker: Ray would wait for ever."""
        needed = {"CPU": self.cpus, "GPU": self.gpus}
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        if any(all(node.get(kind, 0) >= needed[kind] for kind in needed) for node in alive):
            return  # others use it at the moment
        largest = [f"{max((node.get(kind, 0) for node in alive), default=0):g}" for kind in needed]
        raise WorkError(
            f"No node of the Ray cluster can hold a worker of {self.cpus:g} processors and "
            f"{self.gpus:g} GPUs: at most {largest[0]} processors and {largest[1]} GPUs are on one. "
            "Give fewer --cpus or --gpus, or add a node."
        )


def _lost(
    job: Job | None, waiting: deque[Job], lost: Counter[str], error: Exception
) -> Outcome | None:
    """An actor died: its job goes back into the line, or is given up.

    Raises:
        NeurFlowError: why no actor can be set up.
    """
    cause = getattr(error, "cause", None)
    if isinstance(cause, NeurFlowError):
        raise cause from None
    name = job.name if job else ""
    lost[name] += 1
    told = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if lost[name] < TRIES:
        waiting.extend([job] if job else [])
        return None
    if job is None:
        raise WorkError(f"Ray cannot set up workers: {told}")
    return Outcome(job, "failed", problem=f"Ray lost {TRIES} workers that ran it: {told}")


def _ray() -> Any:
    require("ray")
    import ray

    return ray
