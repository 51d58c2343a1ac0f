"""Comparison of two circuits: of two classes, of two models, or before and after fine-tuning.

1. Layers are matched by name. Groups are compared by their neurons, or by where their crops lie in the
   pictures that both circuits have (``similarity``).
2. Groups of A are matched one to one with groups of B so that the sum of similarities is largest (an
   assignment problem). Pairs below ``threshold`` are dropped. The groups of the two targets are always
   matched.
3. Chance: the other circuit's (neuron, semantic group) pairs are randomly assigned to groups of the
   same sizes. The largest similarity to one of these groups is averaged over the draws, with the 5th
   and 95th percentile.
4. Edges between matched groups: W(G, H) in A and in B, and the change.

Neurons correspond within one network, and usually before and after fine-tuning. The neuron numbers of
unrelated networks do not correspond, so their groups are compared by crops.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from neurflow.circuit import Circuit, CircuitLayer, NeuronGroup
from neurflow.comparison.result import (
    Basis,
    Comparison,
    EdgePair,
    GroupPair,
    LayerComparison,
    NeuronOverlap,
    Side,
    Unmatched,
)
from neurflow.comparison.similarity import (
    Vectors,
    best_pairs,
    by_crops,
    by_neurons,
    chance,
    similarities,
)
from neurflow.errors import RequestError
from neurflow.refs import GroupId
from neurflow.runtime.progress import Progress, Silent
from neurflow.stats import Interval, correlation

THRESHOLD = 0.25
"""smallest similarity of matched groups: for example, one common neuron of four"""
DRAWS = 100
TIE = 1e-6
"""weight of the overlap of crops in a comparison by neurons: it decides only between equals"""

Pictures = Mapping[str, int]
"""name of a picture that both circuits have → index"""


def compare(
    a: Circuit,
    b: Circuit,
    *,
    by: Literal["auto", "neurons", "crops"] = "auto",
    threshold: float = THRESHOLD,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Match the groups of two circuits layer by layer, and compare their edges.

    Args:
        a: a circuit.
        b: a circuit of another target, of another network, or of the same network at another stage of
            training.
        by: ``neurons`` compares groups by the Jaccard index of their neurons, ``crops`` by the overlap
            of their crops in pictures that both circuits have; these are matched by name. ``auto`` uses
            neurons if both circuits have the same weights, and otherwise crops. After fine-tuning,
            ``neurons`` finds channels that stayed together, and ``crops`` finds groups that respond to
            the same content.
        threshold: smallest similarity of matched groups, 0 to 1.
        draws: number of random assignments for ``chance``.
        seed: seed of the assignments.
        progress: receives stages and steps.

    Raises:
        RequestError: the circuits have no layer in common, no picture in common (by crops) or layers of
            different widths (by neurons); or the threshold or the number of draws is out of range.

    Example::

        comparison = neurflow.compare(bee, hoverfly)
        comparison = neurflow.compare(before, after, by="crops")
    """
    if not 0 <= threshold <= 1:
        raise RequestError(f"The threshold must be from 0 to 1, not {threshold}.")
    if draws < 1:
        raise RequestError(f"The number of draws must be at least 1, not {draws}.")
    names = [layer.name for layer in a.layers if layer.name in {other.name for other in b.layers}]
    if not names:
        raise RequestError(
            "The two circuits have no layer in common. One has "
            f"{_listed(a)}, the other {_listed(b)}. Discover both with the same --layers."
        )
    pictures = _common_pictures(a, b)
    basis, reason = _basis(a, b, by, pictures)
    _check(a, b, names, basis, pictures)
    rng = np.random.default_rng(seed)
    neurons_correspond = basis == "neurons" or a.model.digest == b.model.digest
    progress = progress or Silent()
    progress.start("comparing layers", len(names))
    matched = {}
    for name in names:
        vectors = _LayerVectors.both(a, b, name, pictures, neurons_correspond)
        targets = _both_targets(a, b, name)
        matched[name] = _match_layer(vectors, basis, targets, threshold, draws, rng)
        progress.advance()
    counterparts = {pair.a: pair.b for pairs, *_ in matched.values() for pair in pairs}
    layer_below = dict(_adjacent_layers(a) & _adjacent_layers(b))
    return Comparison(
        a=_side(a, names),
        b=_side(b, names),
        by=basis,
        reason=reason,
        threshold=threshold,
        draws=draws,
        seed=seed,
        images=len(pictures),
        layers=tuple(
            _layer(a, b, name, matched[name], layer_below.get(name), counterparts) for name in names
        ),
        notes=_notes(a, b, basis, pictures),
    )


@dataclass(frozen=True)
class _LayerVectors:
    """A layer of both circuits, with the vectors of its groups on each possible basis."""

    a: CircuitLayer
    b: CircuitLayer
    vectors: Mapping[Basis, tuple[Vectors, Vectors]]

    @classmethod
    def both(
        cls, a: Circuit, b: Circuit, name: str, pictures: Pictures, neurons_correspond: bool
    ) -> _LayerVectors:
        one, other = a.layer(name), b.layer(name)
        vectors: dict[Basis, tuple[Vectors, Vectors]] = {}
        if neurons_correspond:
            known = sorted(one.neurons.keys() | other.neurons.keys())
            place = {neuron: i for i, neuron in enumerate(known)}
            vectors["neurons"] = (by_neurons(one, place), by_neurons(other, place))
        if pictures:
            vectors["crops"] = (by_crops(a, one, pictures), by_crops(b, other, pictures))
        return cls(one, other, vectors)


_Matched = tuple[tuple[GroupPair, ...], tuple[Unmatched, ...], tuple[Unmatched, ...]]


def _match_layer(
    layer: _LayerVectors,
    basis: Basis,
    targets: bool,
    threshold: float,
    draws: int,
    rng: np.random.Generator,
) -> _Matched:
    """Return the pairs, the groups only in A, and the groups only in B."""
    tables = {way: similarities(x.groups(), y.groups()) for way, (x, y) in layer.vectors.items()}
    table = tables[basis]
    x, y = layer.vectors[basis]
    ranked = table
    # groups of one neuron's meanings have the same neurons
    if basis == "neurons" and "crops" in tables:
        ranked = np.where(targets | (table > 0), table + TIE * tables["crops"], 0)
    found = best_pairs(ranked, None if targets else threshold)
    unmatched_a = sorted(set(range(len(table))) - {i for i, _ in found})
    unmatched_b = sorted(set(range(table.shape[1])) - {j for _, j in found})
    chance_a = chance(x.groups(), y, draws, rng)
    chance_b = chance(y.groups()[unmatched_b], x, draws, rng)
    pairs = [
        GroupPair(
            a=layer.a.groups[i].id,
            b=layer.b.groups[j].id,
            matched_by="target" if targets else basis,
            similarity=float(table[i, j]),
            chance=chance_a[i],
            by_neurons=float(tables["neurons"][i, j]) if "neurons" in tables else None,
            by_crops=float(tables["crops"][i, j]) if "crops" in tables else None,
            neurons=_overlap(layer.a.groups[i], layer.b.groups[j]) if "neurons" in tables else None,
        )
        for i, j in found
    ]
    groups = layer.a.groups, layer.b.groups
    return (
        tuple(sorted(pairs, key=lambda pair: -pair.similarity)),
        _unmatched(unmatched_a, groups, table, ranked, [chance_a[i] for i in unmatched_a]),
        _unmatched(unmatched_b, groups[::-1], table.T, ranked.T, chance_b),
    )


def _unmatched(
    indices: Sequence[int],
    groups: tuple[Sequence[NeuronGroup], Sequence[NeuronGroup]],
    table: np.ndarray,
    ranked: np.ndarray,
    chances: Sequence[Interval | None],
) -> tuple[Unmatched, ...]:
    own, others = groups
    nearest = ranked.argmax(axis=1)
    return tuple(
        Unmatched(
            id=own[i].id,
            nearest=others[nearest[i]].id,
            similarity=float(table[i, nearest[i]]),
            chance=by_chance,
        )
        for i, by_chance in zip(indices, chances, strict=True)
    )


def _overlap(a: NeuronGroup, b: NeuronGroup) -> NeuronOverlap:
    one, other = set(a.neurons), set(b.neurons)
    return NeuronOverlap(
        common=tuple(sorted(one & other)),
        only_a=tuple(sorted(one - other)),
        only_b=tuple(sorted(other - one)),
    )


def _layer(
    a: Circuit,
    b: Circuit,
    name: str,
    matched: _Matched,
    below: str | None,
    counterparts: Mapping[GroupId, GroupId],
) -> LayerComparison:
    pairs, only_a, only_b = matched
    edges: tuple[EdgePair, ...] = ()
    carried: tuple[float | None, float | None] = (None, None)
    if below is not None:
        own, others = _edges_into(a, name), _edges_into(b, name)
        edges = _edge_pairs(own, others, counterparts)
        known = set(counterparts), set(counterparts.values())
        carried = _carried(own, known[0]), _carried(others, known[1])
    groups = len(a.layer(name).groups), len(b.layer(name).groups)
    weights = np.array([(e.weight_a or 0.0, e.weight_b or 0.0) for e in edges]).reshape(-1, 2)
    return LayerComparison(
        name=name,
        groups=groups,
        shared=2 * len(pairs) / sum(groups),
        pairs=pairs,
        only_a=only_a,
        only_b=only_b,
        similarity=sum(pair.similarity for pair in pairs) / len(pairs) if pairs else None,
        edges=edges,
        correlation=correlation(weights[:, 0], weights[:, 1], rank=True),
        carried=carried,
    )


_Edges = Mapping[tuple[GroupId, GroupId], float]
"""ids of the upper and the lower group → W(G, H)"""


def _edges_into(circuit: Circuit, layer: str) -> _Edges:
    return {
        (edge.upper, edge.lower): edge.weight for edge in circuit.edges if edge.upper.layer == layer
    }


def _edge_pairs(
    a: _Edges, b: _Edges, counterparts: Mapping[GroupId, GroupId]
) -> tuple[EdgePair, ...]:
    back = {other: own for own, other in counterparts.items()}
    ends = {(u, v) for u, v in a if u in counterparts and v in counterparts}
    ends |= {(back[u], back[v]) for u, v in b if u in back and v in back}
    found = []
    for u, v in sorted(ends):
        here, there = a.get((u, v)), b.get((counterparts[u], counterparts[v]))
        found.append(
            EdgePair(
                upper=(u, counterparts[u]),
                lower=(v, counterparts[v]),
                weight_a=here,
                weight_b=there,
                change=(there or 0.0) - (here or 0.0),
            )
        )
    return tuple(sorted(found, key=lambda edge: -abs(edge.change)))


def _carried(edges: _Edges, matched: Collection[GroupId]) -> float | None:
    total = sum(map(abs, edges.values()))
    between = sum(abs(w) for (u, v), w in edges.items() if u in matched and v in matched)
    return min(between / total, 1.0) if total else None


def _common_pictures(a: Circuit, b: Circuit) -> dict[str, int]:
    names = {image.name for image in a.images} & {image.name for image in b.images}
    return {name: i for i, name in enumerate(sorted(names))}


def _basis(a: Circuit, b: Circuit, by: str, pictures: Pictures) -> tuple[Basis, str]:
    same = a.model.digest == b.model.digest
    if by == "neurons":
        return "neurons", "as requested" + ("" if same else ", although the weights differ")
    if by == "crops":
        return "crops", "as requested"
    if by != "auto":
        raise RequestError(f"There is no basis {by!r}. Compare by auto, neurons or crops.")
    if same:
        return "neurons", "both circuits have the same weights"
    return "crops", "the weights differ, so neuron numbers need not correspond"


def _check(a: Circuit, b: Circuit, names: Sequence[str], basis: Basis, pictures: Pictures) -> None:
    if basis == "crops" and not pictures:
        raise RequestError(
            "Comparison by crops needs pictures with the same names, but these circuits have none in "
            "common. Discover both on the same pictures or, if one network was fine-tuned from the "
            "other, compare by neurons."
        )
    for name in names if basis == "neurons" else ():
        one, other = len(a.layer(name).means), len(b.layer(name).means)
        if one and other and one != other:
            raise RequestError(
                f"Layer {name!r} has {one} neurons in one network and {other} in the other, so they "
                "do not correspond. Compare by crops."
            )


def _both_targets(a: Circuit, b: Circuit, name: str) -> bool:
    """Return whether the layer has both targets."""
    return a.target.layer == b.target.layer == name


def _adjacent_layers(circuit: Circuit) -> set[tuple[str, str]]:
    """Return all pairs (layer, layer below)."""
    return {(upper.name, lower.name) for lower, upper in pairwise(circuit.layers)}


def _side(circuit: Circuit, names: Sequence[str]) -> Side:
    return Side(
        model=circuit.model,
        target=circuit.target,
        images=len(circuit.images),
        only=tuple(layer.name for layer in circuit.layers if layer.name not in names),
    )


def _notes(a: Circuit, b: Circuit, basis: Basis, pictures: Pictures) -> tuple[str, ...]:
    notes = []
    if basis == "neurons" and a.model.digest != b.model.digest:
        notes.append(
            "The weights of the two networks differ. Their neurons correspond only if one network was "
            "fine-tuned from the other. This is not checked."
        )
    if pictures and _pictures_differ(a, b, pictures):
        notes.append(
            "Pictures with the same name differ between the two circuits: either the networks "
            "preprocess them differently, or they are different pictures. Boxes may then not "
            "correspond, so similarities by crops are unreliable."
        )
    if basis == "crops" and 2 * len(pictures) < min(len(a.images), len(b.images)):
        notes.append(
            f"The circuits have only {len(pictures)} of {len(a.images)} and {len(b.images)} pictures "
            "in common. Crops of other pictures are ignored."
        )
    shape = a.config.sharing, a.config.aggregation
    if shape != (b.config.sharing, b.config.aggregation):
        notes.append(
            "The two circuits compute edge weights differently (sharing or aggregation), so changes of "
            "weights are not meaningful."
        )
    return tuple(notes)


def _pictures_differ(a: Circuit, b: Circuit, pictures: Pictures) -> bool:
    """Return whether none of the pictures that both circuits store is byte-identical."""

    def stored(circuit: Circuit) -> dict[str, bytes]:
        return {circuit.images[i].name: data for i, data in circuit.pictures.items()}

    one, other = stored(a), stored(b)
    both = [name for name in pictures if name in one and name in other]
    return bool(both) and not any(one[name] == other[name] for name in both)


def _listed(circuit: Circuit) -> str:
    return ", ".join(layer.name for layer in circuit.layers)
