"""An estimate of the time of a discovery, and of faster settings, before the work begins.

1. The most active neuron of each layer is attributed on a few crops, in the same way as in discovery.
   Choosing N uses a sample of crops, which takes as long as attributing :data:`SEARCH_CROPS` crops.
2. The number of targets of a layer is not known in advance. It is at most τ for each target of the
   layer above, and at most the number of neurons that fire on D.
3. The time of a layer is at most the time of one target times this number. The time with other
   settings is computed in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from neurflow.attribution import attribute
from neurflow.attribution.task import AttributionTask
from neurflow.config import Config
from neurflow.errors import WorkError
from neurflow.method.concepts import Concept, find_concepts
from neurflow.runtime.progress import Progress, Silent
from neurflow.study.study import LayerPair, Study

CROPS = 8
"""number of crops on which a neuron is timed; on a GPU, which runs many at once, all of V_a"""
SEARCH_CROPS = 7
"""choosing N for a target takes as long as attributing this number of crops"""
SHORTEST = 60.0
"""seconds; shorter estimates are not reported"""


@dataclass(frozen=True)
class Cost:
    """The time of one target of a layer.

    Attributes:
        upper: name of the targets' layer.
        lower: name of the layer below.
        seconds: time of one target, in seconds.
        alive: number of neurons of the upper layer that fire on some crop.
    """

    upper: str
    lower: str
    seconds: float
    alive: int


def most_targets(costs: Sequence[Cost], tau: int) -> list[int]:
    """Return the largest number of targets of each layer, from the explained output down."""
    found: list[int] = []
    for cost in costs:
        found.append(min(cost.alive, tau * found[-1]) if found else 1)
    return found


def seconds(costs: Sequence[Cost], tau: int) -> list[float]:
    """Return the longest time of each layer, in seconds."""
    return [n * cost.seconds for n, cost in zip(most_targets(costs, tau), costs, strict=True)]


def estimate_lines(costs: Sequence[Cost], config: Config) -> list[str]:
    """Describe the estimate; empty if the work is short."""
    whole = sum(seconds(costs, config.tau))
    if whole < SHORTEST:
        return []
    each = ", ".join(
        f"{cost.upper} → {cost.lower} {duration(s)} ({n} neuron{'s' if n > 1 else ''})"
        for cost, s, n in zip(
            costs, seconds(costs, config.tau), most_targets(costs, config.tau), strict=True
        )
    )
    lines = [f"This will take at most {duration(whole)}. Layer by layer, at most: {each}."]
    shorter = _shorter_options(costs, config, whole)
    if shorter:
        lines.append(f"It would be shorter with {', or '.join(shorter)}.")
    return lines


def _shorter_options(costs: Sequence[Cost], config: Config, whole: float) -> list[str]:
    """Describe the options that would make the work shorter, and by how much."""
    quick = Config.quick()
    tried = {}
    if config.tau > quick.tau:
        tried["--preset quick"] = sum(seconds(costs[: quick.depth], quick.tau))
    if config.tau > 1:
        tried[f"--tau {config.tau // 2}"] = sum(seconds(costs, config.tau // 2))
    if len(costs) > 1:
        fewer = costs[: -(-len(costs) // 2)]
        layers = ",".join([fewer[-1].lower, *(cost.upper for cost in reversed(fewer))])
        tried[f"--layers {layers}"] = sum(seconds(fewer, config.tau))
    return [f"{name} (at most {duration(s)})" for name, s in tried.items() if s < 0.9 * whole]


def duration(seconds: float) -> str:
    """Format a duration: ``4 s``, ``12 min``, ``1 h 45 min``."""
    if seconds < 99.5:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def report_estimate(
    study: Study, config: Config, clock: Callable[[], float] = time.perf_counter
) -> None:
    """Measure the time of one neuron of each layer, and report how long the work will take."""
    study.progress.start("estimating", len(study.segments))
    costs = []
    try:
        for pair in study.pairs():
            costs.append(_measured_cost(study, pair, config, clock))
            study.progress.advance()
    except WorkError:  # this neuron may not be a target at all
        return
    finally:
        study.features.discard()
    for line in estimate_lines(costs, config):
        study.progress.note(line)


class _SilentTask(AttributionTask):
    @property
    def progress(self) -> Progress:
        return Silent()


def _measured_cost(
    study: Study, pair: LayerPair, config: Config, clock: Callable[[], float]
) -> Cost:
    """Measure the time of a layer's targets with its most active neuron."""
    phi = study.activations[pair.upper]
    alive = int(np.count_nonzero(phi.any(axis=0)))
    is_target = pair.upper == study.target.layer
    neuron = study.target.neuron if is_target else int(study.means(pair.upper).argmax())
    concept = find_concepts(study, pair.upper, [neuron], config)[neuron]
    count = len(concept.crops) if study.on_gpu else min(CROPS, len(concept.crops))
    task = _SilentTask(study, pair, {neuron: _first(concept, count)}, config)
    pair.segment.specialised(neuron)  # the graph is made once and not counted
    begun = clock()
    attribute(task)
    spent = clock() - begun
    return Cost(
        pair.upper,
        pair.lower,
        spent * (config.k + SEARCH_CROPS) / (count + SEARCH_CROPS),
        max(1, alive),
    )


def _first(concept: Concept, count: int) -> Concept:
    """Return the strongest crops of a concept, with one meaning."""
    return replace(concept, crops=concept.crops[:count], meaning=np.zeros(count, dtype=np.int64))
