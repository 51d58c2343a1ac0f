"""Neuron groups of a layer, and what drives their members.

1. The (neuron, semantic group) pairs of a layer are clustered by their concept vectors: Ward, the
   number of groups by silhouette or given. Over hundreds of pairs the silhouette is nearly flat, and
   its very maximum is often at two; so the most groups within ``silhouette_slack`` of it are taken.
   One neuron can be in several groups.
2. What drives a pair: its weights, and how a lower neuron's weight is shared among its meanings, by the
   share of the crops of ``V_a^i`` that fall nearest to each meaning's concept vector.
   ``interactions`` makes ``W(G, H)`` of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurflow.circuit import Member
from neurflow.clustering import ward_clusters
from neurflow.concepts import Concept
from neurflow.config import Config
from neurflow.core_neurons import Core
from neurflow.interactions import Drive


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


def drives(
    upper: Mapping[int, Concept],
    lower: Mapping[int, Concept],
    cores: Mapping[int, Core],
    previous: np.ndarray,
) -> dict[Member, Drive]:
    """What drives each pair of the upper layer.

    Args:
        upper: concepts of its neurons.
        lower: concepts of the neurons below.
        cores: core neurons of the upper layer's neurons, with weights.
        previous: ``[crop, neuron]`` activations in which the lower concept vectors live.
    """
    found = {}
    for a, concept in upper.items():
        for i, part in enumerate(concept.parts):
            weights = cores[a].weights[i]
            several = [s for s in weights if len(lower[s].vectors) > 1]
            points = np.asarray(previous[concept.crops[part]]) if several else previous[:0]
            shares = {s: tuple(meaning_shares(points, lower[s].vectors).tolist()) for s in several}
            found[Member(a, i)] = Drive(weights, shares)
    return found
