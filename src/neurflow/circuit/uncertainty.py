"""How certain the weights between groups are: the photographs are resampled, the groups are given.

1. Each photograph gets a random weight from an exponential distribution (the Bayesian bootstrap, Rubin
   1981). Unlike a draw with replacement, it leaves no pair without crops.
2. ``T(a, s, V_a^i)`` is the mean of the stored attributions of single crops, weighted by photograph.
   The weights w(a, s, V_a^i) and ``W(G, H)`` follow from it as in discovery. Groups, core neurons and
   the crops of each pair stay as they are.
3. The interval of an edge holds the middle 95 % of ``DRAWS`` resamples. Fewer than ``PHOTOGRAPHS``
   photographs tell nothing of others, so edges into such a group have none.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurflow.circuit.routes import routes
from neurflow.circuit.types import CircuitLayer, Neuron, SemanticGroup
from neurflow.config import Config
from neurflow.refs import GroupId, Member

DRAWS = 200
"""resamples of the photographs"""
PHOTOGRAPHS = 3
"""fewest photographs of an upper group whose edges get an interval"""


def intervals(
    upper: CircuitLayer, lower: CircuitLayer, config: Config
) -> dict[tuple[GroupId, GroupId], tuple[float, float]]:
    """95 % interval of ``W(G, H)`` for the groups of two neighbouring layers.

    Args:
        upper: a layer of a circuit.
        lower: the layer below.
        config: sharing, aggregation, seed.

    Returns:
        (upper group, lower group) → ends of the interval. Nothing where the circuit does not keep the
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
    """``W(G, H)`` ``[draw, upper group, lower group]`` on resamples of the photographs.

    None where the circuit does not keep the attributions of single crops.
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
    """``[draw, core neuron]`` weights of a pair, from weights of the photographs ``[draw, image]``."""
    assert part.attributions is not None
    each = part.attributions.reshape(len(part.crops), -1).astype(np.float64)
    signed = chance[:, [neuron.crops[position].image for position in part.crops]] @ each
    total = np.abs(signed).sum(1, keepdims=True)
    return np.divide(signed, total, out=np.zeros_like(signed), where=total > 0)


def _ways(
    part: SemanticGroup, group_of: Mapping[Member, int], groups: int, config: Config
) -> np.ndarray:
    """``[core neuron, lower group]`` share of the neuron's weight that goes to the group."""
    found = np.zeros((len(part.weights), groups))
    for row, s in enumerate(part.weights):
        for h, share in routes(s, part.shares, group_of, config).items():
            found[row, h] = share
    return found


def _photographs(layer: CircuitLayer, group: int) -> int:
    """Number of photographs of the crops of a group's members."""
    return len(
        {
            layer.neurons[a].crops[position].image
            for a, i in layer.groups[group].members
            for position in layer.neurons[a].semantic_groups[i].crops
        }
    )
