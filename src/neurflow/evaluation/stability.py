"""Stability: does the circuit stay the same on other images of the same kind?

1. Find the circuit again on bootstrap resamples of its images, and compare it with the original. Also
   find circuits on two disjoint halves of the images, and compare these two.
2. Core neurons: the Jaccard index of S_a, averaged over the common target neurons, and that of all
   neurons of a layer.
3. Groups: the adjusted Rand index over the common (neuron, crop) pairs. The label of a pair is the
   group of the meaning that the crop belongs to.
4. Edges: each group is matched with the most similar group of the other circuit, by the Jaccard index
   of their neurons. Report Spearman's correlation of W(G, H) with the weight between the matches, which
   is 0 if there is no such edge.
5. For single groups and edges: the Jaccard index of the match (clusterwise stability, Hennig 2007), and
   how often the matching edge has the same sign.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from pydantic import Field

from neurflow.circuit import Circuit
from neurflow.circuit.robustness_file import EdgeRobustness, RobustnessFile
from neurflow.errors import RequestError
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.rediscovery import Found, as_found, rediscover
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.statistics import mean_interval
from neurflow.refs import GroupId, Member
from neurflow.stats import Interval, adjusted_rand, correlation, jaccard, spread


class StabilityRow(Row):
    """One layer and one way of choosing other images."""

    images: str = Field(description="bootstrap resamples, or disjoint halves")
    layer: str = Field(description="layer")
    comparisons: int = Field(description="pairs of circuits compared")
    core: Interval | None = Field(
        description="Jaccard of core sets, mean over targets; None at l_0"
    )
    neurons: Interval = Field(description="Jaccard of the layer's neurons")
    groups: Interval | None = Field(
        description="adjusted Rand index of groups, over shared crops; None if there are none"
    )
    edges: Interval | None = Field(description="rank correlation of edges to the layer below")


def stability(lab: Laboratory) -> Table[StabilityRow]:
    """Return the agreement of the circuit with those on resamples, and of those on two halves.

    Raises:
        RequestError: the circuit was made from a single image.
    """
    if len(lab.circuit.images) < 2:
        raise RequestError(
            "Stability needs at least two images, but the circuit was made from one. Discover it "
            "on more."
        )
    resampled, split, notes = _comparisons(lab)
    rows = []
    for title, comparisons in (("resamples", resampled), ("halves", split)):
        for layer in lab.names if comparisons else ():
            rows.append(_row(lab, title, layer, [c["layers"][layer] for c in comparisons]))
    return Table(
        protocol="stability",
        title="Stability",
        question="Whether the circuit is found again on bootstrap resamples of its images, and whether "
        "disjoint halves give the same circuit. 1 is perfect agreement; an adjusted Rand index or "
        "correlation of 0 is chance.",
        chart=Chart(
            x="layer",
            y=("core", "neurons", "groups", "edges"),
            panel=("images",),
            y_label="agreement",
        ),
        rows=tuple(rows),
        notes=tuple(notes),
        robustness=robustness(lab.circuit, resampled),
    )


Agreement = dict[str, Any]
"""the result of ``compare``"""


def _comparisons(lab: Laboratory) -> tuple[list[Agreement], list[Agreement], list[str]]:
    """Find the circuit again.

    Returns:
        Its agreement with each resample, the agreement of each pair of halves, and notes.
    """
    bench, settings = lab.own, lab.settings
    rng = np.random.default_rng(settings.seed)
    images = len(bench.crops.chosen)
    draws = [rng.integers(0, images, images) for _ in range(settings.resamples)]
    halves = [
        np.split(rng.permutation(images)[: images // 2 * 2], 2) for _ in range(settings.splits)
    ]
    known = as_found(lab.circuit, bench.crops)

    def found(chosen: np.ndarray) -> Found:
        numbers = np.concatenate([bench.crops.of_image(i) for i in sorted(chosen.tolist())])
        return rediscover(bench, numbers, lab.circuit.config)

    def against(number: int) -> Agreement:
        return compare(known, found(draws[number]), lab.names)

    def between(number: int) -> Agreement:
        one, other = halves[number]
        return compare(found(one), found(other), lab.names)

    resampled, split, notes = [], [], []
    for number in range(len(draws)):
        lab.progress.note(f"Resample {number + 1} of {len(draws)}.")
        resampled.append(lab.cached(f"resample {number}", partial(against, number)))
    try:
        for number in range(len(halves)):
            lab.progress.note(f"Halves {number + 1} of {len(halves)}.")
            split.append(lab.cached(f"halves {number}", partial(between, number)))
    except RequestError as error:
        notes.append(f"Disjoint halves were not compared: {error}")
    return resampled, split, notes


def _row(
    lab: Laboratory, title: str, layer: str, found: Sequence[Mapping[str, float | None]]
) -> StabilityRow:
    def interval(name: str) -> Interval | None:
        values = [value for each in found if (value := each[name]) is not None]
        return mean_interval(values, lab.settings) if values else None

    neurons = interval("neurons")
    assert neurons is not None
    return StabilityRow(
        images=title,
        layer=layer,
        comparisons=len(found),
        core=interval("core"),
        neurons=neurons,
        groups=interval("groups"),
        edges=interval("edges"),
    )


def compare(one: Found, other: Found, names: Sequence[str]) -> Agreement:
    """Return the agreement of two circuits by layer, group and edge, as JSON data."""
    matches = {name: match(one.groups[name], other.groups[name]) for name in names}
    pairs = dict(pairwise(reversed(names)))
    matched = {id: other for name in names for id, (other, _) in matches[name].items()}
    edges = {
        (upper, lower): (weight, other.edges.get((matched[upper], matched[lower]), 0.0))
        for (upper, lower), weight in one.edges.items()
    }
    layers = {}
    for name in names:
        shared = [a for a in one.cores[name] if a in other.cores[name] and one.cores[name][a]]
        weights = [w for (upper, _), w in edges.items() if upper.layer == name]
        layers[name] = {
            "core": float(
                np.mean([jaccard(one.cores[name][a], other.cores[name][a]) for a in shared])
            )
            if shared
            else None,
            "neurons": jaccard(set(one.meanings[name]), set(other.meanings[name])),
            "groups": groups_agreement(one, other, name),
            "edges": correlation(np.array(weights)[:, 0], np.array(weights)[:, 1], rank=True)
            if name in pairs and weights
            else None,
        }
    return {
        "layers": layers,
        "groups": {id: s for name in names for id, (_, s) in matches[name].items()},
        "edges": [[u, lo, bool(w * v > 0)] for (u, lo), (w, v) in edges.items()],
    }


def match(
    groups: Mapping[GroupId, Iterable[Member]], others: Mapping[GroupId, Iterable[Member]]
) -> dict[GroupId, tuple[GroupId, float]]:
    """Return group → the other group with the most similar neurons, and their Jaccard index."""
    candidates = {id: {a for a, _ in other} for id, other in others.items()}
    found = {}
    for id, group in groups.items():
        own = {a for a, _ in group}
        similarity = {other: jaccard(own, candidate) for other, candidate in candidates.items()}
        best = max(similarity, key=similarity.__getitem__)
        found[id] = (best, similarity[best])
    return found


def groups_agreement(one: Found, other: Found, layer: str) -> float | None:
    """Return the adjusted Rand index of two groupings of a layer, over their common pairs.

    A pair is a neuron and a crop. None if fewer than two are common, as on disjoint images.
    """
    group, counterpart = one.group_of(layer), other.group_of(layer)
    first, second = [], []
    for a, meanings in one.meanings[layer].items():
        for crop, i in meanings.items():
            j = other.meanings[layer].get(a, {}).get(crop)
            if j is not None:
                first.append(group[Member(a, i)])
                second.append(counterpart[Member(a, j)])
    return adjusted_rand(first, second) if len(first) > 1 else None


def robustness(circuit: Circuit, comparisons: Sequence[Mapping[str, Any]]) -> RobustnessFile:
    """Return the stability of each group and edge of the circuit over the resamples."""
    ids = [group.id for layer in circuit.layers for group in layer.groups]
    groups = {id: spread([found["groups"][id] for found in comparisons]) for id in ids}
    same = Counter((u, lo) for found in comparisons for u, lo, agrees in found["edges"] if agrees)
    return RobustnessFile(
        groups={id: found for id, found in groups.items() if found is not None},
        edges=tuple(
            EdgeRobustness(
                upper=edge.upper,
                lower=edge.lower,
                stability=same[edge.upper, edge.lower] / len(comparisons),
            )
            for edge in circuit.edges
        ),
    )
