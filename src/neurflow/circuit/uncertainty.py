"""Intervals of the weights between groups, from resampled photographs.

1. Each photograph gets a random weight from an exponential distribution (the Bayesian bootstrap, Rubin
   1981). Unlike drawing with replacement, this leaves no pair without crops.
2. ``T(a, s, V_a^i)`` is the weighted mean of the stored attributions of single crops. The weights
   w(a, s, V_a^i) and ``W(G, H)`` follow from it as in discovery. Groups, core neurons and the crops of
   each pair do not change.
3. The interval of an edge contains the middle 95 % of ``DRAWS`` resamples. Fewer than ``PHOTOGRAPHS``
   photographs are not enough for an interval, so edges into a group with fewer have none.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurflow.circuit.routes import routes
from neurflow.circuit.types import CircuitLayer, Neuron, SemanticGroup
from neurflow.config import Config
from neurflow.refs import GroupId, Member

DRAWS = 200
"""number of resamples of the photographs"""
PHOTOGRAPHS = 3
"""smallest number of photographs of an upper group whose edges get an interval"""


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
    drawn = resampled(upper, lower, config)
    if drawn is None:
        return {}
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    known = [g for g, group in enumerate(upper.groups) if _photographs(upper, g) >= PHOTOGRAPHS]
    return {
        (upper.groups[g].id, below.id): (float(low[g, h]), float(high[g, h]))
        for g in known
        for h, below in enumerate(lower.groups)
    }


def resampled(
    upper: CircuitLayer, lower: CircuitLayer, config: Config, draws: int = DRAWS
) -> np.ndarray | None:
    """Return ``W(G, H)`` ``[draw, upper group, lower group]`` on resamples of the photographs.

    None if the circuit does not store the attributions of single crops.
    """
    parts = [part for neuron in upper.neurons.values() for part in neuron.semantic_groups]
    if any(part.weights and part.attributions is None for part in parts):
        return None
    images = 1 + max(crop.image for neuron in upper.neurons.values() for crop in neuron.crops)
    chance = np.random.default_rng(config.seed).exponential(size=(draws, images))
    group_of = {member: h for h, group in enumerate(lower.groups) for member in group.members}
    found = np.zeros((draws, len(upper.groups), len(lower.groups)))
    for g, group in enumerate(upper.groups):
        for a, i in group.members:
            neuron = upper.neurons[a]
            part = neuron.semantic_groups[i]
            if part.attributions is not None:
                ways = _ways(part, group_of, len(lower.groups), config)
                found[:, g] += _weights(neuron, part, chance) @ ways
        if config.aggregation == "mean":
            found[:, g] /= len(group.members)
    return found


def _weights(neuron: Neuron, part: SemanticGroup, chance: np.ndarray) -> np.ndarray:
    """Return the weights ``[draw, core neuron]`` of a pair; photographs have weights ``[draw,
    image]``.
    """
    assert part.attributions is not None
    each = part.attributions.reshape(len(part.crops), -1).astype(np.float64)
    signed = chance[:, [neuron.crops[position].image for position in part.crops]] @ each
    total = np.abs(signed).sum(1, keepdims=True)
    return np.divide(signed, total, out=np.zeros_like(signed), where=total > 0)


def _ways(
    part: SemanticGroup, group_of: Mapping[Member, int], groups: int, config: Config
) -> np.ndarray:
    """Return the share ``[core neuron, lower group]`` of each neuron's weight that goes to each
    group.
    """
    found = np.zeros((len(part.weights), groups))
    for row, s in enumerate(part.weights):
        for h, share in routes(s, part.shares, group_of, config).items():
            found[row, h] = share
    return found


def _photographs(layer: CircuitLayer, group: int) -> int:
    """Count the photographs of the crops of a group's members."""
    return len(
        {
            layer.neurons[a].crops[position].image
            for a, i in layer.groups[group].members
            for position in layer.neurons[a].semantic_groups[i].crops
        }
    )
