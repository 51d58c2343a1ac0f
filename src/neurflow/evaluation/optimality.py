"""Optimality: does ablating the ``τ`` core neurons change V_a more than ablating other sets of ``τ``?

1. Sample target neurons of each layer, and select ``τ`` core neurons of each by the circuit's rule.
2. Ablate them, and measure how much of V_a remains: the overlap of the top-``k`` crops.
3. Do the same with random sets of ``τ`` neurons, and with random sets matched in mean activation.
4. Report the mean difference with its 99 % interval, and the share of random sets that beat the core
   set, that is, leave less of V_a (ties count half).
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from neurflow.debugging.masking import matched_neurons
from neurflow.evaluation.ablation import overlaps, random_sets
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.settings import Ablation
from neurflow.evaluation.statistics import mean_interval
from neurflow.stats import Interval


class OptimalityRow(Row):
    """One layer, τ and ablation."""

    layer: str = Field(description="layer of the target neurons")
    tau: int = Field(description="τ, number of neurons ablated in the layer below")
    ablation: Ablation = Field(description="replacement of ablated neurons")
    neurons: int = Field(description="target neurons sampled")
    core: Interval = Field(description="overlap of top-k without the core sets")
    random: Interval = Field(description="overlap without random sets of τ")
    matched: Interval | None = Field(description="overlap without sets of similar mean activation")
    difference: Interval = Field(description="core minus random, 99 % interval over neurons")
    beaten: float = Field(description="share of random sets that beat the core set")
    beaten_matched: float | None = Field(description="share of matched sets that beat it")


def optimality(lab: Laboratory) -> Table[OptimalityRow]:
    """Return the overlap of top-k after ablating core neurons, and other sets of equal size."""
    settings = lab.settings
    rows, notes = [], []
    for upper in lab.uppers:
        width = lab.trial.segment(upper).lower.neurons
        for tau in settings.taus:
            if tau >= width:
                notes.append(
                    f"{upper}: τ={tau} omitted, because the layer below has only {width} neurons."
                )
                continue
            rows += [measure(lab, upper, tau, ablation) for ablation in settings.ablations]
    return Table(
        protocol="optimality",
        title="Optimality of core neurons",
        question="Share of a neuron's top-k crops that remains when its τ core neurons are ablated, "
        "compared with random sets of τ neurons and with sets of similar mean activation. "
        "Lower is better, and random sets should rarely beat the core set.",
        chart=Chart(
            x="layer",
            y=("core", "random", "matched"),
            series=("ablation",),
            panel=("tau",),
            y_label="overlap of top-k",
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def measure(lab: Laboratory, upper: str, tau: int, ablation: Ablation) -> OptimalityRow:
    """Measure one layer at one τ."""
    settings, targets = lab.settings, lab.sampled(upper)
    lower = lab.trial.segment(upper).lower
    cores = core_sets(lab, upper, tau)
    core = np.diag(overlaps(lab, upper, cores, ablation, f"core sets of {tau}"))
    sets = random_sets(lower.neurons, tau, settings.random_sets, settings.seed)
    random = overlaps(lab, upper, sets, ablation, f"random sets of {tau}")
    matched = matched_overlaps(lab, upper, cores, ablation)
    return OptimalityRow(
        layer=upper,
        tau=tau,
        ablation=ablation,
        neurons=len(targets),
        core=mean_interval(core, settings),
        random=mean_interval(random.mean(0), settings),
        matched=None if matched is None else mean_interval(matched.mean(0), settings),
        difference=mean_interval(core - random.mean(0), settings, level=0.99),
        beaten=beaten(core, random),
        beaten_matched=None if matched is None else beaten(core, matched),
    )


def core_sets(lab: Laboratory, upper: str, tau: int) -> list[list[int]]:
    """Return S_a of each sampled target, by the circuit's rule at ``τ``."""
    return list(lab.core_sets(upper, lab.sampled(upper), [tau])[tau].values())


def matched_overlaps(
    lab: Laboratory, upper: str, cores: list[list[int]], ablation: Ablation
) -> np.ndarray | None:
    """Return ``[set, target]``: overlap after ablating matched sets; None if there are none."""
    settings, bench = lab.settings, lab.trial
    phi = bench.means(bench.segment(upper).lower.name)
    drawn = [matched_neurons(phi, c, settings.matched_sets, settings.seed) for c in cores]
    count = min(map(len, drawn), default=0)
    if not count:
        return None
    flat = [members for of_target in drawn for members in of_target[:count]]
    found = overlaps(lab, upper, flat, ablation, "matched sets").reshape(len(cores), count, -1)
    return np.stack([found[i, :, i] for i in range(len(cores))], axis=1)


def beaten(core: np.ndarray, sets: np.ndarray) -> float:
    """Return the share of sets with less overlap than the core set; ties count half.

    Args:
        core: ``[target]`` overlap.
        sets: ``[set, target]`` overlap.
    """
    return float(np.mean((sets < core) + 0.5 * (sets == core)))
