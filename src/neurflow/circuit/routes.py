"""Distributes the weight of a core neuron among the groups that contain its meanings.

*conserving*: the weight is split among the neuron's meanings by the share of the crops of ``V_a^i``
that is nearest to each, so the absolute weights into a pair still sum to 1;
*published*: every group that contains the neuron gets the whole weight, once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import count, takewhile

from neurflow.config import Config
from neurflow.refs import Member


def routes(
    s: int,
    shares: Mapping[int, tuple[float, ...]],
    group_of: Mapping[Member, int],
    config: Config,
) -> dict[int, float]:
    """Return the groups with meanings of neuron ``s``, each with its share of the neuron's weight.

    Args:
        s: a core neuron of some pair.
        shares: core neurons with several meanings → share of the pair's crops nearest to each meaning.
        group_of: group number of each pair of the layer of ``s``.
        config: sharing.
    """
    if config.sharing == "published":
        meanings = takewhile(group_of.__contains__, (Member(s, j) for j in count()))
        return {group_of[member]: 1.0 for member in meanings}
    found: dict[int, float] = defaultdict(float)
    for j, share in enumerate(shares.get(s, (1.0,))):
        found[group_of[Member(s, j)]] += share
    return found
