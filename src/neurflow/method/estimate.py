"""Estimates how long a discovery will take, and how long with faster settings, before it begins.

1. The most active neurons of each layer are attributed on a few crops: first one, then
   :data:`TOGETHER` of them on the same crops. Targets share a part of the work of a crop, so the
   time has two terms: one for each crop, and one for each pair of a target and a crop. Choosing
   N uses a sample of crops, which takes as long as attributing :data:`SEARCH_CROPS` crops.
2. The number of targets of a layer is not known in advance, because targets have core neurons in
   common. It is estimated from the layer above (:data:`OVERLAP`).
3. The time of a layer follows from both, and so does the time with other settings.
"""

from __future__ import annotations

import math
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
"""number of crops on which a neuron is timed; on a GPU, which runs many at once, all crops of V_a"""
SEARCH_CROPS = 7
"""choosing N for a target takes as long as attributing this number of crops"""
TOGETHER = 3
"""number of neurons that are timed together"""
OVERLAP = 0.7
"""n targets have about ``τ n**OVERLAP`` different core neurons if these are a small part of the layer;
measured: 0.66 to 0.73 for classes of ResNet18 and MobileNetV2"""
SHORTEST = 60.0
"""seconds; shorter estimates are not reported"""


@dataclass(frozen=True)
class Cost:
    """The time of the targets of a layer.

    Attributes:
        upper: name of the targets' layer.
        lower: name of the layer below.
        pair: time of one target on one crop, in seconds.
        crop: time of the work of a crop that all its targets share, in seconds.
        crops: number of crops of D.
        alive: number of neurons of the upper layer that fire on some crop.
    """

    upper: str
    lower: str
    pair: float
    crop: float
    crops: int
    alive: int

    def seconds(self, targets: int, k: int) -> float:
        """Return the time of targets with k crops each, if their crops are drawn at random."""
        pairs = targets * (k + SEARCH_CROPS)
        different = -self.crops * math.expm1(-pairs / self.crops)
        return self.pair * pairs + self.crop * different


def expected_cores(targets: int, tau: int, alive: int) -> int:
    """Return the expected number of different core neurons of some targets.

    Args:
        targets: number of targets.
        tau: number of core neurons of each.
        alive: number of neurons of the lower layer that fire.
    """
    if targets == 1:
        return min(tau, alive)
    return round(-alive * math.expm1(-tau * targets**OVERLAP / alive))


def expected_targets(costs: Sequence[Cost], tau: int) -> list[int]:
    """Return the expected number of targets of each layer, from the explained output down."""
    found = [1]
    for cost in costs[1:]:
        found.append(expected_cores(found[-1], tau, cost.alive))
    return found


def expected_seconds(costs: Sequence[Cost], tau: int, k: int) -> list[float]:
    """Return the expected time of each layer, in seconds."""
    targets = expected_targets(costs, tau)
    return [cost.seconds(n, k) for n, cost in zip(targets, costs, strict=True)]


def estimate_lines(costs: Sequence[Cost], config: Config) -> list[str]:
    """Describe the estimate; empty if the work is short."""
    layers = expected_seconds(costs, config.tau, config.k)
    whole = sum(layers)
    if whole < SHORTEST:
        return []
    each = ", ".join(
        f"{cost.upper} → {cost.lower} {duration(s)} ({n} neuron{'s' if n > 1 else ''})"
        for cost, s, n in zip(costs, layers, expected_targets(costs, config.tau), strict=True)
    )
    lines = [f"This will take about {duration(whole)}. Layer by layer, about: {each}."]
    shorter = _shorter_options(costs, config, whole)
    if shorter:
        lines.append(f"It would be shorter with {', or '.join(shorter)}.")
    return lines


def _shorter_options(costs: Sequence[Cost], config: Config, whole: float) -> list[str]:
    """Describe the options that would make the work shorter, and by how much."""
    quick = Config.quick()
    tried = {}
    if config.tau > quick.tau:
        tried["--preset quick"] = sum(expected_seconds(costs[: quick.depth], quick.tau, config.k))
    if config.tau > 1:
        tried[f"--tau {config.tau // 2}"] = sum(expected_seconds(costs, config.tau // 2, config.k))
    if len(costs) > 1:
        fewer = costs[: -(-len(costs) // 2)]
        layers = ",".join([fewer[-1].lower, *(cost.upper for cost in reversed(fewer))])
        tried[f"--layers {layers}"] = sum(expected_seconds(fewer, config.tau, config.k))
    return [f"{name} (about {duration(s)})" for name, s in tried.items() if s < 0.9 * whole]


def duration(seconds: float) -> str:
    """Format a duration: ``4 s``, ``12 min``, ``1 h 45 min``."""
    if seconds < 99.5:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def report_estimate(
    study: Study, config: Config, clock: Callable[[], float] = time.perf_counter
) -> None:
    """Measure the time of a few neurons of each layer, and report how long the work will take."""
    study.progress.start("estimating", len(study.segments))
    costs = []
    try:
        for pair in study.pairs():
            costs.append(_measured_cost(study, pair, config, clock))
            study.progress.advance()
    except WorkError:  # the neuron that was timed need not be a target
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
    """Measure the time of a layer's targets with its most active neurons."""
    phi = study.activations[pair.upper]
    alive = max(1, int(np.count_nonzero(phi.any(axis=0))))
    neurons = [study.target.neuron]
    if pair.upper != study.target.layer:
        order = np.argsort(-study.means(pair.upper), kind="stable")
        neurons = order[: min(TOGETHER, alive)].tolist()
    concept = find_concepts(study, pair.upper, neurons[:1], config)[neurons[0]]
    count = len(concept.crops) if study.on_gpu else min(CROPS, len(concept.crops))
    tried = _first(concept, count)

    def seconds_of(some: list[int]) -> float:
        task = _SilentTask(study, pair, dict.fromkeys(some, tried), config)
        for neuron in some:
            pair.segment.specialised(neuron)  # making the graph, once, is not counted
        begun = clock()
        attribute(task)
        return (clock() - begun) / (count + SEARCH_CROPS)

    one = seconds_of(neurons[:1])
    more = (seconds_of(neurons) - one) / (len(neurons) - 1) if len(neurons) > 1 else one
    each = min(max(more, 0.0), one)  # the clock is not exact
    return Cost(pair.upper, pair.lower, each, one - each, len(phi), alive)


def _first(concept: Concept, count: int) -> Concept:
    """Return the strongest crops of a concept, with one meaning."""
    return replace(concept, crops=concept.crops[:count], meaning=np.zeros(count, dtype=np.int64))
