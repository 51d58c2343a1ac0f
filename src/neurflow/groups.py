"""Neuron groups of a layer, and how groups act on groups.

1. The (neuron, semantic group) pairs of a layer are clustered by their concept vectors: Ward, the
   number of groups by silhouette or given. Over hundreds of pairs the silhouette is nearly flat, and
   its very maximum is often at two; so the most groups within ``silhouette_slack`` of it are taken.
   One neuron can be in several groups.
2. ``W(G, H)``: over the pairs ``(a, i)`` of ``G`` and the neurons ``s`` of ``H`` in the layer below,
   the sum (or mean over the pairs) of ``w(a, s, V_a^i)``.
   *conserving*: a lower neuron's weight is split among its meanings by the share of the crops of
   ``V_a^i`` that fall nearest to each meaning's concept vector, so that what flows into a pair adds
   up to 1 in absolute value;
   *published*: every group that holds the neuron gets the whole weight, once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from neurflow.circuit import Member
from neurflow.clustering import ward_clusters
from neurflow.concepts import Concept
from neurflow.config import Config
from neurflow.core_neurons import Core

Groups = Sequence[Sequence[Member]]
"""members of each group of a layer, the largest group first"""


def neuron_groups(concepts: Mapping[int, Concept], config: Config) -> list[list[Member]]:
    """Divide a layer's (neuron, semantic group) pairs into groups."""
    pairs = [Member(a, i) for a, concept in concepts.items() for i in range(len(concept.vectors))]
    vectors = np.concatenate([concept.vectors for concept in concepts.values()])
    count = None if config.groups == "auto" else config.groups
    labels = ward_clusters(
        vectors,
        config.max_groups,
        count=count,
        seed=config.seed,
        null=False,
        slack=config.silhouette_slack,
    )
    groups: list[list[Member]] = [[] for _ in range(labels.max() + 1)]
    for pair, label in zip(pairs, labels, strict=True):
        groups[label].append(pair)
    return groups


def meaning_shares(points: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Share of crops nearest to each meaning.

    Args:
        points: ``[crop, feature]`` pooled activations of the crops.
        vectors: ``[meaning, feature]`` concept vectors of one lower neuron.

    Returns:
        ``[meaning]``, adding up to 1; a crop as near to two counts for the first.
    """
    distances = np.linalg.norm(points[:, None, :] - vectors[None], axis=2)
    return np.bincount(distances.argmin(1), minlength=len(vectors)) / len(points)


def group_interactions(
    upper: Groups,
    lower: Groups,
    concepts: tuple[Mapping[int, Concept], Mapping[int, Concept]],
    cores: Mapping[int, Core],
    previous: np.ndarray,
    config: Config,
) -> dict[tuple[int, int], float]:
    """``W(G, H)`` for every pair of groups with any weight between them.

    Args:
        upper: groups of the upper layer.
        lower: groups of the layer below.
        concepts: of the upper and of the lower layer's neurons.
        cores: of the upper layer's neurons.
        previous: ``[crop, neuron]`` activations in which the lower concept vectors live.
        config: sharing and aggregation.

    Returns:
        (number of G, number of H) → signed weight.
    """
    group_of = {member: number for number, group in enumerate(lower) for member in group}
    total: dict[tuple[int, int], float] = defaultdict(float)
    for number, group in enumerate(upper):
        scale = 1 / len(group) if config.aggregation == "mean" else 1.0
        for a, i in group:
            concept = concepts[0][a]
            points = np.asarray(previous[concept.crops[concept.parts[i]]])
            for s, weight in cores[a].weights[i].items():
                vectors = concepts[1][s].vectors
                if config.sharing == "published":
                    shares = dict.fromkeys(
                        {group_of[Member(s, j)] for j in range(len(vectors))}, 1.0
                    )
                else:
                    shares = defaultdict(float)
                    for j, share in enumerate(meaning_shares(points, vectors).tolist()):
                        shares[group_of[Member(s, j)]] += share
                for below, share in shares.items():
                    if share:
                        total[number, below] += scale * weight * share
    return dict(total)
