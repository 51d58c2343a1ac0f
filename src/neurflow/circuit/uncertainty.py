"""Intervals of the weights between groups, from resampled photographs.

1. Each photograph gets a random weight from an exponential distribution (the Bayesian bootstrap, Rubin
   1981). Unlike drawing with replacement, this leaves no pair without crops.
2. ``T(a, s, V_a^i)`` is the weighted mean of the stored attributions of single crops. The weights
   w(a, s, V_a^i) and ``W(G, H)`` follow from it as in discovery. Groups, core neurons and the crops of
   each pair do not change.
3. The interval of an edge contains the middle 95 % of ``DRAWS`` resamples. Fewer than ``PHOTOGRAPHS``
   photographs are not enough for an interval, so edges into a group with fewer have none.
4. Every pair of branches of the two layers' trees has an interval too, for other cuts
   (``branch_intervals``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from neurflow.circuit.routes import routes
from neurflow.circuit.trees import branches_of_cuts
from neurflow.circuit.types import CircuitLayer, Neuron, SemanticGroup
from neurflow.config import Config
from neurflow.refs import GroupId, Member

DRAWS = 200
"""number of resamples of the photographs"""
PHOTOGRAPHS = 3
"""smallest number of photographs of an upper group whose edges get an interval"""

Pairs = Sequence[Sequence[Member]]
"""sets of (neuron, semantic group) pairs: groups, or branches of a tree"""


def intervals(
    upper: CircuitLayer, lower: CircuitLayer, config: Config
) -> dict[tuple[GroupId, GroupId], tuple[float, float]]:
    """Return the 95 % intervals of ``W(G, H)`` for the groups of two neighbouring layers.

    Args:
        upper: a layer of a circuit.
        lower: the layer below.
        config: sharing, aggregation, seed.

    Returns:
        (upper group, lower group) → ends of the interval. Empty if the circuit does not store the
        attributions of single crops.
    """
    found = _intervals(upper, config, _members(upper), _members(lower))
    return {(upper.groups[g].id, lower.groups[h].id): ends for (g, h), ends in found.items()}


def branch_intervals(
    upper: CircuitLayer, lower: CircuitLayer, config: Config, most: int
) -> dict[tuple[GroupId, GroupId], tuple[float, float]]:
    """Return the 95 % intervals of ``W(G, H)`` for the branches of two neighbouring layers' trees.

    Args:
        upper: a layer of a circuit.
        lower: the layer below.
        config: sharing, aggregation, seed.
        most: largest number of groups of a cut whose branches are included.

    Returns:
        (upper branch, lower branch) → ends of the interval. A branch is named by its id as a group.
        Empty if the circuit does not store trees, or the attributions of single crops.
    """
    if upper.tree is None or lower.tree is None:
        return {}
    ids, sets = [], []
    for layer, tree in ((upper, upper.tree), (lower, lower.tree)):
        owns = branches_of_cuts(tree.merges, most)
        ids.append([GroupId(layer.name, tree.numbers[branch]) for branch in owns])
        sets.append([[tree.members[pair] for pair in pairs] for pairs in owns.values()])
    found = _intervals(upper, config, *sets)
    return {(ids[0][g], ids[1][h]): ends for (g, h), ends in found.items()}


def resampled(
    upper: CircuitLayer, lower: CircuitLayer, config: Config, draws: int = DRAWS
) -> np.ndarray | None:
    """Return ``W(G, H)`` ``[draw, upper group, lower group]`` on resamples of the photographs.

    None if the circuit does not store the attributions of single crops.
    """
    return _drawn(upper, config, _members(upper), _members(lower), draws)


def _members(layer: CircuitLayer) -> Pairs:
    return [group.members for group in layer.groups]


def _intervals(
    upper: CircuitLayer, config: Config, above: Pairs, below: Pairs
) -> dict[tuple[int, int], tuple[float, float]]:
    """Return (number in ``above``, number in ``below``) → ends of the interval of its weight."""
    drawn = _drawn(upper, config, above, below, DRAWS)
    if drawn is None:
        return {}
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return {
        (g, h): (float(low[g, h]), float(high[g, h]))
        for g, members in enumerate(above)
        if _photographs(upper, members) >= PHOTOGRAPHS
        for h in range(len(below))
    }


def _drawn(
    upper: CircuitLayer, config: Config, above: Pairs, below: Pairs, draws: int
) -> np.ndarray | None:
    """Return weights ``[draw, set of upper pairs, set of lower pairs]`` on resampled photographs."""
    parts = [part for neuron in upper.neurons.values() for part in neuron.semantic_groups]
    if any(part.weights and part.attributions is None for part in parts):
        return None
    images = 1 + max(crop.image for neuron in upper.neurons.values() for crop in neuron.crops)
    chance = np.random.default_rng(config.seed).exponential(size=(draws, images))
    position = {pair: p for p, pair in enumerate(sorted({m for each in below for m in each}))}
    holds = np.zeros((len(position), len(below)))
    for h, members in enumerate(below):
        holds[[position[member] for member in members], h] = 1
    sets = [frozenset(members) for members in above]
    found = np.zeros((draws, len(above), len(below)))
    for member in sorted(frozenset().union(*sets)):
        neuron = upper.neurons[member.neuron]
        part = neuron.semantic_groups[member.semantic_group]
        if part.attributions is None:
            continue
        # With published sharing, a set that holds several meanings of a neuron gets its weight once.
        ways = np.minimum(_ways(part, position, config) @ holds, 1)
        weights = _weights(neuron, part, chance) @ ways
        for g, own in enumerate(sets):
            if member in own:
                found[:, g] += weights
    if config.aggregation == "mean":
        found /= np.array([len(members) for members in above])[:, None]
    return found


def _weights(neuron: Neuron, part: SemanticGroup, chance: np.ndarray) -> np.ndarray:
    """Return the weights ``[draw, core neuron]`` of a pair, for photographs weighted by ``chance``."""
    assert part.attributions is not None
    each = part.attributions.reshape(len(part.crops), -1).astype(np.float64)
    signed = chance[:, [neuron.crops[position].image for position in part.crops]] @ each
    total = np.abs(signed).sum(1, keepdims=True)
    return np.divide(signed, total, out=np.zeros_like(signed), where=total > 0)


def _ways(part: SemanticGroup, position: Mapping[Member, int], config: Config) -> np.ndarray:
    """Return the share ``[core neuron, lower pair]`` of a neuron's weight for each of its meanings."""
    found = np.zeros((len(part.weights), len(position)))
    for row, s in enumerate(part.weights):
        for pair, share in routes(s, part.shares, position, config).items():
            found[row, pair] = share
    return found


def _photographs(layer: CircuitLayer, members: Sequence[Member]) -> int:
    """Count the photographs of the crops of some pairs."""
    return len(
        {
            layer.neurons[a].crops[position].image
            for a, i in members
            for position in layer.neurons[a].semantic_groups[i].crops
        }
    )
