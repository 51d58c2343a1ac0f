"""Fidelity of core neurons: are they necessary and sufficient for the class?

1. Take the core neurons of each layer in the circuits of ``τ`` = 4, 8 and 16.
2. *Masking*: ablate them; the accuracy on the class should fall. *Retaining*: ablate all other neurons;
   the accuracy should not change. Do both in a single layer, and in all layers from the top down to it.
3. Do the same with random sets of equal size, and with sets matched in mean activation.

``completeness`` compares the neurons of NeurFlow in this way with as many chosen by NeuronMCT.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from pydantic import Field

from neurflow.debugging.masking import matched_sets
from neurflow.errors import RequestError
from neurflow.evaluation.class_pictures import ClassPictures, Neurons, circuit_at, drawn_like
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.settings import Ablation
from neurflow.evaluation.statistics import mean_interval
from neurflow.method.core_neurons import core_neurons
from neurflow.stats import Interval

Scope = Literal["single", "down to it"]
Mode = Literal["masking", "retaining"]
MODES: tuple[Mode, ...] = ("masking", "retaining")


class FidelityRow(Row):
    """One way of masking or retaining core neurons."""

    layer: str = Field(description="layer of the neurons")
    scope: Scope = Field(description="this layer alone, or all from the top down to it")
    mode: Mode = Field(description="core neurons ablated, or all others")
    tau: int = Field(description="τ of the circuit")
    ablation: Ablation = Field(description="replacement of ablated neurons")
    kept: float = Field(description="core neurons as a share of the layer's")
    before: float = Field(description="accuracy on the class without ablation")
    core: Interval = Field(description="accuracy with the core neurons masked, or retained")
    random: Interval = Field(description="with random sets of equal size")
    matched: Interval | None = Field(description="with sets matched in mean activation")


class CompletenessRow(Row):
    """The neurons of one method, masked or retained."""

    method: str = Field(description="method that chose the neurons")
    layer: str = Field(description="layer of the neurons")
    scope: Scope = Field(description="this layer alone, or all from the top down to it")
    mode: Mode = Field(description="chosen neurons ablated, or all others")
    tau: int = Field(description="τ of the circuit, which sets the number of neurons")
    accuracy: Interval = Field(description="accuracy on the class")


class AgreementRow(Row):
    """Agreement of two methods."""

    layer: str = Field(description="layer of the neurons")
    pair: str = Field(description="the two methods")
    neurons: int = Field(description="number of neurons of each")
    f1: float = Field(description="F1 of the two sets; 1 if they are equal")
    chance: float = Field(description="expected F1 of random sets of that size")


def fidelity(lab: Laboratory) -> Table[FidelityRow]:
    """Return the accuracy on the class with core neurons masked and retained."""
    pictures = ClassPictures(lab)
    rows = []
    for tau in _taus(lab):
        neurons = circuit_at(lab, tau)
        for layers in _layer_sets(lab, neurons):
            chosen = {name: neurons[name] for name in layers}
            for mode in MODES:
                for ablation in lab.settings.ablations:
                    rows.append(_fidelity_row(lab, pictures, tau, chosen, mode, ablation))
    return Table(
        protocol="fidelity",
        title="Fidelity of core neurons",
        question="Accuracy on the class when core neurons are masked (lower is better) or all other "
        "neurons are (higher is better), compared with random sets of equal size.",
        chart=Chart(
            x="layer",
            y=("core", "random", "matched"),
            series=("ablation",),
            panel=("mode", "scope"),
            largest="tau",
            y_label="accuracy",
        ),
        rows=tuple(rows),
        notes=(*pictures.notes, *_omitted(lab)),
    )


def _fidelity_row(
    lab: Laboratory,
    pictures: ClassPictures,
    tau: int,
    chosen: Neurons,
    mode: Mode,
    ablation: Ablation,
) -> FidelityRow:
    settings = lab.settings
    layer = list(chosen)[-1]
    widths = {name: lab.model.layer(name).neurons for name in chosen}
    means = {name: lab.means(name) for name in chosen}
    random = drawn_like(chosen, widths, settings.random_sets, settings.seed)
    matched = matched_sets(means, chosen, settings.matched_sets, settings.seed)
    sets = [chosen, *random, *matched]
    scope = _scope(chosen)
    lab.progress.start(f"{mode} {layer}, {scope}, τ={tau}, {ablation}", len(sets) * len(pictures))
    name = f"fidelity {tau} {list(chosen)} {mode} {ablation}"
    right = _is_predicted(pictures, sets, ablation, mode, name)
    split = 2 + len(random)
    return FidelityRow(
        layer=layer,
        scope=scope,
        mode=mode,
        tau=tau,
        ablation=ablation,
        kept=len(chosen[layer]) / widths[layer],
        before=float(right[0].mean()),
        core=mean_interval(right[1], settings),
        random=mean_interval(right[2:split].mean(0), settings),
        matched=mean_interval(right[split:].mean(0), settings) if matched else None,
    )


def completeness(lab: Laboratory) -> Table[CompletenessRow]:
    """Return the accuracy on the class with the neurons of several methods masked and retained."""
    pictures = ClassPictures(lab)
    rows: list[CompletenessRow] = []
    for tau in _taus(lab):
        neurons = circuit_at(lab, tau)
        for layers in _layer_sets(lab, neurons):
            chosen = {name: neurons[name] for name in layers}
            rows += _completeness_rows(lab, pictures, tau, chosen)
    return Table(
        protocol="completeness",
        title="Completeness against NeuronMCT",
        question="Accuracy on the class when the neurons of each method are zeroed (lower is better) "
        "or all other neurons are (higher is better). All methods choose equally many neurons of "
        "each layer.",
        chart=Chart(
            x="layer",
            y=("accuracy",),
            series=("method",),
            panel=("mode", "scope"),
            largest="tau",
            y_label="accuracy",
        ),
        rows=tuple(rows),
        notes=(*pictures.notes, *_omitted(lab)),
    )


def _completeness_rows(
    lab: Laboratory, pictures: ClassPictures, tau: int, own: Neurons
) -> Iterator[CompletenessRow]:
    """Yield the rows of all methods and modes, with as many neurons of each layer as in ``own``."""
    layers, settings = list(own), lab.settings
    mct = {n: _first(lab.target_scores(n, "neuron_mct"), len(own[n])) for n in layers}
    widths = {name: lab.model.layer(name).neurons for name in layers}
    random = drawn_like(own, widths, settings.random_sets, settings.seed)
    for mode in MODES:
        work = (2 + len(random)) * len(pictures)
        lab.progress.start(f"completeness, {mode} {layers[-1]}, τ={tau}", work)
        name = f"completeness {tau} {layers} {mode}"
        right = _is_predicted(pictures, [own, mct, *random], "zero", mode, name)
        for method, accuracy in (
            ("NeurFlow", right[1]),
            ("NeuronMCT", right[2]),
            ("random", right[3:].mean(0)),
        ):
            yield CompletenessRow(
                method=method,
                layer=layers[-1],
                scope=_scope(layers),
                mode=mode,
                tau=tau,
                accuracy=mean_interval(accuracy, settings),
            )


def overlap_of_methods(lab: Laboratory) -> Table[AgreementRow]:
    """Return the pairwise F1 of the neurons that NeurFlow, NeuronMCT and NeuCEPT choose."""
    rows, notes = [], []
    for layer in reversed(lab.circuit.layers[:-1]):
        chosen = {"NeurFlow": sorted(layer.neurons)}
        width = lab.model.layer(layer.name).neurons
        for method, title in (("neuron_mct", "NeuronMCT"), ("knockoff", "NeuCEPT")):
            try:
                scores = lab.target_scores(layer.name, method)
            except RequestError as error:
                notes.append(f"{title}: {error}")
                continue
            chosen[title] = _first(scores, len(layer.neurons))
        titles = list(chosen)
        for i, one in enumerate(titles):
            for other in titles[i + 1 :]:
                rows.append(
                    AgreementRow(
                        layer=layer.name,
                        pair=f"{one} – {other}",
                        neurons=len(layer.neurons),
                        f1=f1(chosen[one], chosen[other]),
                        chance=len(layer.neurons) / width,
                    )
                )
    return Table(
        protocol="overlap",
        title="Overlap of methods",
        question="Agreement of NeurFlow, NeuronMCT and NeuCEPT (knockoff filter for the explained "
        "output) when each chooses equally many neurons of a layer. Compare it with chance.",
        chart=Chart(x="layer", y=("f1",), series=("pair",), y_label="F1"),
        rows=tuple(rows),
        notes=tuple(dict.fromkeys(notes)),
    )


def f1(one: Sequence[int], other: Sequence[int]) -> float:
    """Return F1 of two sets: ``2 |A ∩ B| / (|A| + |B|)``."""
    return 2 * len(set(one) & set(other)) / (len(one) + len(other))


def _first(scores: np.ndarray, count: int) -> list[int]:
    chosen: list[int] = sorted(core_neurons(scores, count).tolist())
    return chosen


def _is_predicted(
    pictures: ClassPictures, sets: Sequence[Neurons], ablation: Ablation, mode: Mode, name: str
) -> np.ndarray:
    """Return ``[1 + set, picture]``: 1 if the class is predicted. The first row is without ablation."""

    def compute() -> list[list[int]]:
        right, _ = pictures.predictions(sets, ablation, keep=mode == "retaining")
        found: list[list[int]] = right.astype(int).tolist()
        return found

    return np.array(pictures.lab.cached(name, compute))


def _scope(layers: Collection[str]) -> Scope:
    return "single" if len(layers) == 1 else "down to it"


def _taus(lab: Laboratory) -> list[int]:
    """Return the requested τ that do not exceed the circuit's.

    Raises:
        RequestError: all of them do.
    """
    fitting = [tau for tau in lab.settings.fidelity_taus if tau <= lab.circuit.config.tau]
    if not fitting:
        raise RequestError(
            f"The circuit has τ={lab.circuit.config.tau}, but the smallest requested τ is "
            f"{min(lab.settings.fidelity_taus)}. Discover the circuit with a larger --tau."
        )
    return fitting


def _omitted(lab: Laboratory) -> list[str]:
    tau = lab.circuit.config.tau
    large = [str(t) for t in lab.settings.fidelity_taus if t > tau]
    return [f"τ = {', '.join(large)} omitted, because the circuit has τ={tau}."] if large else []


def _layer_sets(lab: Laboratory, neurons: Mapping[str, object]) -> list[list[str]]:
    """Return each layer alone, then each layer with all layers above it, from the top down.

    Raises:
        RequestError: there is no layer below the target.
    """
    names = list(neurons)
    if lab.settings.layers:
        below = {upper: lower for lower, upper in pairwise(lab.names)}
        names = [name for name in names if name in {below[u] for u in lab.uppers}]
    return [[name] for name in names] + [names[: i + 1] for i in range(1, len(names))]
