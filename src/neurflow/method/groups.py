"""Neuron groups of a layer, and what drives their members.

1. The (neuron, semantic group) pairs of a layer are joined into a tree by the other neurons that fire
   on their crops (``grouping.features``). The tree is cut where the groups are most reproducible on
   halves of the images (``grouping.reproducibility``), or into a given number of groups. A neuron with
   several meanings can be in several groups.
2. The published rule (``grouping="silhouette"``) is Ward's clustering of the concept vectors, with the
   number of groups chosen by silhouette. With hundreds of pairs the silhouette is nearly flat, and its
   maximum is often at two groups. Therefore the finest cut within ``silhouette_slack`` of the maximum
   is chosen.
3. What drives a pair: its weights, and how the weight of a lower neuron is shared among its meanings,
   by the share of the crops of ``V_a^i`` that is nearest to each meaning's concept vector.
   ``interactions`` computes ``W(G, H)`` from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist

from neurflow.circuit import GroupTree
from neurflow.circuit.interactions import Drive
from neurflow.circuit.trees import Merges, branches, cut, joined, merges_of, numbered
from neurflow.config import Config
from neurflow.method.clustering import best_cut_of
from neurflow.method.concepts import Concept
from neurflow.method.core_neurons import Core
from neurflow.method.grouping.features import LayerOnCrops, pairs_of
from neurflow.method.grouping.reproducibility import (
    Reproducibility,
    fewest_groups,
    measure_reproducibility,
)
from neurflow.refs import Member


@dataclass(frozen=True)
class Grouping:
    """A layer's groups, and the tree of which they are a cut.

    Attributes:
        groups: members of each group, the largest first; group i is the tree's branch number i.
        tree: the tree of all pairs of the layer.
        note: a warning about the groups for the reader; None if there is none.
    """

    groups: list[list[Member]]
    tree: GroupTree
    note: str | None = None


def neuron_groups(concepts: Mapping[int, Concept], seen: LayerOnCrops, config: Config) -> Grouping:
    """Divide a layer's (neuron, semantic group) pairs into groups.

    Args:
        concepts: concepts of the layer's neurons.
        seen: the layer's activations on the crops of D.
        config: the rule, the number of groups, thresholds, seed.
    """
    if config.grouping == "silhouette":
        return _by_silhouette(concepts, config)
    pairs = pairs_of(concepts, seen, config.common)
    merges, heights = joined(pairs.vectors())
    count = len(pairs.members)
    largest = max(min(count // 2, max(count // config.pairs_per_group, config.max_groups)), 1)
    given = None if config.groups == "auto" else min(config.groups, count)
    found = measure_reproducibility(
        pairs, merges, max(largest, given or 1), config.group_splits, config.seed
    )
    fewest = fewest_groups(heights)
    best = given or found.best(config.least_agreement, config.sure_agreement, fewest)
    note = None
    if best is None and fewest < count:
        what = "one group" if fewest == 1 else "only those groups that have nothing in common"
        note = (
            "No grouping of this layer recurs on halves of the images (best kappa "
            f"{found.cuts.max(initial=0):.2f}), so the layer has {what}."
        )
    chosen = best or fewest
    return _grouping(pairs.members, merges, heights, chosen, found, note)


def _by_silhouette(concepts: Mapping[int, Concept], config: Config) -> Grouping:
    """Group by the published rule."""
    members = [Member(a, i) for a, concept in concepts.items() for i in range(len(concept.vectors))]
    vectors = np.concatenate([concept.vectors for concept in concepts.values()])
    if len(members) < 2:
        return _grouping(members, [], [], 1)
    distances = pdist(vectors.astype(np.float64))
    tree = linkage(distances, "ward")
    if config.groups != "auto":
        count = min(config.groups, len(members))
    elif min(config.max_groups, len(tree)) < 2 or not distances.any():
        count = 1
    else:
        slack = config.silhouette_slack
        count = int(best_cut_of(tree, distances, config.max_groups, slack)[1].max()) + 1
    return _grouping(members, *merges_of(tree), count)


def _grouping(
    members: Sequence[Member],
    merges: Merges,
    heights: Sequence[float],
    count: int,
    found: Reproducibility | None = None,
    note: str | None = None,
) -> Grouping:
    """Cut a tree into ``count`` groups."""
    numbers, owns = numbered(merges, count), branches(merges)
    back = np.full(len(owns), np.nan) if found is None else found.branches
    tree = GroupTree(
        members=tuple(members),
        merges=tuple(merges),
        heights=tuple(round(height, 6) for height in heights),
        numbers=tuple(numbers),
        returns=tuple(None if np.isnan(value) else round(float(value), 4) for value in back),
        agreement=() if found is None else tuple(round(float(kappa), 4) for kappa in found.cuts),
        default=count,
    )
    groups = [
        [members[pair] for pair in np.flatnonzero(owns[branch]).tolist()]
        for branch in sorted(cut(merges, count), key=numbers.__getitem__)
    ]
    return Grouping(groups, tree, note)


def meaning_shares(
    points: Float[np.ndarray, "crop feature"], meanings: Sequence[np.ndarray]
) -> list[Float[np.ndarray, " meaning"]]:
    """Return the share of the crops that is nearest to each meaning, for some lower neurons.

    Args:
        points: ``[crop, feature]`` pooled activations of the crops.
        meanings: ``[meaning, feature]`` concept vectors of each lower neuron.

    Returns:
        ``[meaning]`` of each lower neuron, sums to 1; a crop at equal distance from two counts for the
        first.
    """
    if not meanings:
        return []
    vectors = np.concatenate(meanings).astype(np.float64)
    # squared distances, halved and without the part that depends only on the crop
    distances = (vectors**2).sum(1) / 2 - points.astype(np.float64) @ vectors.T
    ends = np.cumsum([len(each) for each in meanings])[:-1]
    return [
        np.bincount(each.argmin(1), minlength=each.shape[1]) / len(points)
        for each in np.split(distances, ends, axis=1)
    ]


def drives(
    upper: Mapping[int, Concept],
    lower: Mapping[int, Concept],
    cores: Mapping[int, Core],
    previous: np.ndarray,
) -> dict[Member, Drive]:
    """Return the inputs of each pair of the upper layer.

    Args:
        upper: concepts of its neurons.
        lower: concepts of the neurons below.
        cores: core neurons of the upper layer's neurons, with weights.
        previous: ``[crop, neuron]`` activations from which the lower concept vectors were computed.
    """
    found = {}
    for a, concept in upper.items():
        for i, part in enumerate(concept.parts):
            weights = cores[a].weights[i]
            several = [s for s in weights if len(lower[s].vectors) > 1]
            points = np.asarray(previous[concept.crops[part]]) if several else previous[:0]
            shares = meaning_shares(points, [lower[s].vectors for s in several])
            of_neuron = {s: tuple(each.tolist()) for s, each in zip(several, shares, strict=True)}
            found[Member(a, i)] = Drive(weights, of_neuron)
    return found
