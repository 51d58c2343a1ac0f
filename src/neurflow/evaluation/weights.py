"""Fidelity of weights: do more important neurons have larger effects?

1. Draw random sets of ``m`` neurons of the layer below; for ``m = 1`` take every neuron.
2. Ablate each set, and measure how much of V_a remains.
3. For each target neuron, compute Pearson's correlation of the sets' summed importance and the
   overlap.

Ablating important sets lowers the overlap, so a good score is strongly **negative**: −1 is perfect, and
0 means no relation. The protocol ``attribution`` compares all attribution methods on the same sets, and
``sum-mean`` tests on sets of random sizes whether summed or averaged importance predicts the effect
better.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
from pydantic import Field

from neurflow.attribution import score_neurons
from neurflow.errors import RequestError
from neurflow.evaluation.ablation import overlaps, random_sets
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.statistics import mean_interval
from neurflow.stats import Interval, correlation

SIGN = "Ablating important sets lowers the overlap, so a good score is strongly negative."
IG = "integrated_gradients"


class WeightsRow(Row):
    """One layer and size of sets."""

    layer: str = Field(description="layer of the target neurons")
    m: int = Field(description="number of neurons in a set")
    sets: int = Field(description="number of sets")
    neurons: int = Field(description="target neurons whose overlaps varied")
    correlation: Interval = Field(description="Pearson's correlation; −1 is best")


class MethodRow(Row):
    """One method, layer and size of sets."""

    method: str = Field(description="attribution method")
    layer: str = Field(description="layer of the target neurons")
    m: int = Field(description="number of neurons in a set")
    neurons: int = Field(description="target neurons whose overlaps varied")
    correlation: Interval = Field(description="Pearson's correlation; −1 is best")
    seconds: float = Field(description="run time for one target neuron")


class SumMeanRow(Row):
    """One layer, with importance summed or averaged."""

    layer: str = Field(description="layer of the target neurons")
    importance: str = Field(description="whether importance is summed or averaged over a set")
    neurons: int = Field(description="target neurons whose overlaps varied")
    correlation: Interval = Field(description="Pearson's correlation; −1 is best")


def fidelity_of_weights(lab: Laboratory) -> Table[WeightsRow]:
    """Return the correlation of a set's summed importance with the overlap after ablating it."""
    rows, notes = [], []
    for upper in lab.uppers:
        importance = lab.importance(upper)
        for m in lab.settings.set_sizes:
            sets = trial_sets(lab, upper, m)
            if not sets:
                notes.append(
                    f"{upper}, m={m}: omitted, because the layer below has too few neurons."
                )
                continue
            remaining = overlaps(lab, upper, sets, "zero", f"sets of {m}")
            found = correlations(importance, sets, remaining)
            if found:
                interval = mean_interval(found, lab.settings)
                rows.append(
                    WeightsRow(
                        layer=upper, m=m, sets=len(sets), neurons=len(found), correlation=interval
                    )
                )
            else:
                notes.append(f"{upper}, m={m}: omitted, because no set changed the overlap.")
    return Table(
        protocol="weights",
        title="Fidelity of weights",
        question="Correlation of a set's summed importance with the overlap of top-k after zeroing "
        f"it. {SIGN}",
        chart=Chart(x="m", y=("correlation",), series=("layer",), y_label="correlation", line=True),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def attribution_methods(lab: Laboratory) -> Table[MethodRow]:
    """Return the same correlation for several attribution methods, with their run times."""
    rows, notes = [], []
    for upper in lab.uppers:
        for method in lab.settings.methods:
            try:
                importance, seconds = timed_importance(lab, upper, method)
            except RequestError as error:
                notes.append(f"{method} on {upper}: {error}")
                continue
            for m in lab.settings.set_sizes:
                sets = trial_sets(lab, upper, m)
                remaining = (
                    overlaps(lab, upper, sets, "zero", f"sets of {m}") if sets else np.ones(0)
                )
                if found := correlations(importance, sets, remaining):
                    rows.append(
                        MethodRow(
                            method=method,
                            layer=upper,
                            m=m,
                            neurons=len(found),
                            correlation=mean_interval(found, lab.settings),
                            seconds=seconds,
                        )
                    )
    return Table(
        protocol="attribution",
        title="Attribution methods",
        question="Correlation of importance and overlap, as in the fidelity of weights, for each "
        f"attribution method, and its run time. {SIGN} LRP uses the ε rule; in a ReLU network "
        "without biases it equals input × gradient. Gradient is saliency.",
        chart=Chart(
            x="m", y=("correlation",), series=("method",), panel=("layer",), y_label="correlation",
            line=True,
        ),
        rows=tuple(rows),
        notes=tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def sum_against_mean(lab: Laboratory) -> Table[SumMeanRow]:
    """Return the correlation for sets of random sizes, with summed and with averaged importance."""
    rows = []
    settings = lab.settings
    for upper in lab.uppers:
        width = lab.trial.segment(upper).lower.neurons
        rng = np.random.default_rng(settings.seed)
        sizes = rng.integers(1, min(max(settings.set_sizes), width - 1) + 1, settings.weight_sets)
        sets = [sorted(rng.choice(width, size, replace=False).tolist()) for size in sizes]
        remaining = overlaps(lab, upper, sets, "zero", "sets of random sizes")
        for name, mean in (("summed", False), ("averaged", True)):
            if found := correlations(lab.importance(upper), sets, remaining, mean=mean):
                interval = mean_interval(found, settings)
                rows.append(
                    SumMeanRow(
                        layer=upper, importance=name, neurons=len(found), correlation=interval
                    )
                )
    return Table(
        protocol="sum-mean",
        title="Sum against mean",
        question="The correlation for sets of random sizes, with importance summed and averaged over "
        f"a set. {SIGN}",
        chart=Chart(x="layer", y=("correlation",), series=("importance",), y_label="correlation"),
        rows=tuple(rows),
    )


def trial_sets(lab: Laboratory, upper: str, m: int) -> list[list[int]]:
    """Return random sets of ``m`` neurons below a layer; for ``m = 1`` all neurons, or a sample.

    Empty if the layer below has no more than ``m`` neurons.
    """
    settings, width = lab.settings, lab.trial.segment(upper).lower.neurons
    if m >= width:
        return []
    if m > 1:
        return random_sets(width, m, settings.weight_sets, settings.seed)
    limit = min(settings.single_neurons or width, width)
    chosen = np.random.default_rng(settings.seed).choice(width, limit, replace=False)
    return [[s] for s in sorted(chosen.tolist())]


def correlations(
    importance: np.ndarray, sets: list[list[int]], remaining: np.ndarray, *, mean: bool = False
) -> list[float]:
    """Return Pearson's correlation for each target neuron whose overlaps vary.

    Args:
        importance: ``[target neuron, lower neuron]``.
        sets: lower neurons.
        remaining: ``[set, target neuron]`` overlap after zeroing each set.
        mean: average importance over a set, instead of summing it.
    """
    found = []
    for scores, overlap in zip(importance, remaining.T, strict=True):
        total = np.array([scores[s].mean() if mean else scores[s].sum() for s in sets])
        value = correlation(total, overlap)
        if value is not None:
            found.append(value)
    return found


def timed_importance(lab: Laboratory, upper: str, method: str) -> tuple[np.ndarray, float]:
    """Return the importance by a method, and its run time in seconds per target neuron.

    A first run on one neuron computes the feature maps and warms up the method, so that only the
    scoring is timed.
    """
    bench, neurons, config = lab.scoring, lab.sampled(upper), lab.circuit.config
    concepts = bench.concepts(upper, neurons, config.k)

    def compute() -> dict[str, object]:
        first = {neurons[0]: concepts[neurons[0]]}
        score_neurons(method, bench.task(upper, first, config))
        start = perf_counter()
        scores = score_neurons(method, bench.task(upper, concepts, config))
        seconds = (perf_counter() - start) / len(neurons)
        return {"seconds": seconds, "scores": [scores[a].importance.tolist() for a in neurons]}

    found = lab.cached(f"timed {upper} {method}", compute)
    return np.array(found["scores"]), found["seconds"]
