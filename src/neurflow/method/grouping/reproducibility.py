"""Measures which branches of a layer's tree recur on other images, and chooses the number of groups.

1. The images are split at random into two halves, several times. The vectors of the pairs over the
   crops of each half give a separate tree. This needs no further pass through the network.
2. The reproducibility of a *branch* is the Jaccard index of its pairs with those of the most similar
   branch of a half's tree. It is corrected for chance with the pairs of that tree permuted, and
   averaged over all halves.
3. The reproducibility of a *cut* into c groups is the agreement of the two halves of a split on which
   pairs of different neurons belong together: Cohen's kappa, averaged over the splits.
4. The layer is cut where kappa times the entropy of the group sizes is largest. Of two cuts with equal
   kappa, the one with more distinctions is chosen, and splitting off a single pair has little effect.
   Cuts with a kappa below ``least_agreement`` are not considered. Cuts into more groups than two
   fifths of the pairs need a kappa of at least ``sure_agreement``, because groups of one or two pairs
   arise by chance.
5. Very dissimilar branches (``UNRELATED``) are never joined into one group. If no cut is reproducible,
   the layer has the smallest number of groups that keeps them apart, which is often one. In a small
   layer, every pair may be a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from neurflow.circuit.trees import Merges, branches, joined, labels
from neurflow.method.grouping.features import Pairs

UNRELATED = 1.15
"""mean cosine distance from which two branches are not joined; unrelated branches have 1"""
MANY_GROUPS = 0.4
"""share of the pairs; cuts into more groups need a kappa of at least ``sure_agreement``"""


@dataclass(frozen=True)
class Reproducibility:
    """Reproducibility of a layer's tree on halves of the images.

    Attributes:
        branches: ``[branch]`` 1 for a branch that recurs on every half, 0 for chance; NaN for single
            pairs and for the whole layer, which are in every tree.
        cuts: ``[count]`` kappa of the cut into 1, 2, … groups; 0 for one group.
        entropies: ``[count]`` entropy of the sizes of these groups, in pairs.
    """

    branches: np.ndarray
    cuts: np.ndarray
    entropies: np.ndarray

    def best(self, least: float, sure: float, fewest: int = 1) -> int | None:
        """Return the number of groups to cut into; None if no cut is reproducible.

        Args:
            least: smallest kappa of a cut that is considered.
            sure: smallest kappa of cuts into more groups than ``MANY_GROUPS`` of the pairs.
            fewest: smallest number of groups.
        """
        pairs = (len(self.branches) + 1) // 2
        numbers = np.arange(1, len(self.cuts) + 1)
        counts = (self.cuts >= np.where(numbers > MANY_GROUPS * pairs, sure, least)) & (
            numbers >= fewest
        )
        found = np.where(counts, self.cuts * self.entropies, 0.0)
        return int(found.argmax()) + 1 if found.any() else None


def fewest_groups(heights: Sequence[float]) -> int:
    """Return the smallest number of groups without very dissimilar branches, from the merge heights."""
    return 1 + sum(height > UNRELATED for height in heights)


def measure_reproducibility(
    pairs: Pairs, merges: Merges, largest: int, splits: int, seed: int
) -> Reproducibility:
    """Measure the reproducibility of the branches and cuts of a tree.

    Args:
        pairs: the pairs of the layer.
        merges: the tree over all images.
        largest: largest number of groups to try.
        splits: number of splits into halves. With fewer than two images, all results are 0.
        seed: seed of the splits.
    """
    rng = np.random.default_rng(seed)
    images = np.unique(pairs.images)
    own = branches(merges)
    similar: list[np.ndarray] = []
    kappas: list[np.ndarray] = []
    for _ in range(splits if len(images) > 1 else 0):
        halves = np.array_split(rng.permutation(images), 2)
        trees = [joined(pairs.vectors(half))[0] for half in halves]
        for tree in trees:
            other = branches(tree)
            chance = _nearest(own, other[:, rng.permutation(other.shape[1])])
            similar.append((_nearest(own, other) - chance) / np.maximum(1 - chance, 1e-12))
        one, two = (labels(tree, largest) for tree in trees)
        found = [agreement(pairs.neurons, a, b) or 0.0 for a, b in zip(one, two, strict=True)]
        kappas.append(np.array(found))
    if not similar:
        similar, kappas = [np.zeros(len(own))], [np.zeros(largest)]
    sizes = own.sum(1)
    trivial = (sizes == 1) | (sizes == own.shape[1])
    found = np.clip(np.mean(similar, axis=0), 0, 1)
    entropies = np.array([_entropy(row) for row in labels(merges, largest)])
    return Reproducibility(np.where(trivial, np.nan, found), np.mean(kappas, axis=0), entropies)


def _entropy(groups: Int[np.ndarray, " pair"]) -> float:
    """Return the entropy of the group sizes, given the group of each pair."""
    shares = np.bincount(groups) / len(groups)
    return float(-(shares * np.log(np.maximum(shares, 1e-300))).sum())


def _nearest(
    own: Bool[np.ndarray, "branch pair"], other: Bool[np.ndarray, "other_branch pair"]
) -> Float[np.ndarray, " branch"]:
    """Return the Jaccard index of each branch of ``own`` and the most similar branch of ``other``."""
    both = own.astype(np.float32) @ other.T.astype(np.float32)
    sizes = own.sum(1)[:, None] + other.sum(1)[None]
    return np.asarray((both / (sizes - both)).max(1), dtype=np.float64)


def agreement(
    neurons: Int[np.ndarray, " item"],
    one: Int[np.ndarray, " item"],
    other: Int[np.ndarray, " item"],
) -> float | None:
    """Return Cohen's kappa of two groupings, over the question whether two items are in one group.

    Only pairs of items of different neurons are counted.

    Args:
        neurons: ``[item]`` neuron of each item.
        one: ``[item]`` group in the first grouping.
        other: ``[item]`` group in the second grouping.

    Returns:
        Kappa, or None if the agreement is fully explained by chance, for example if both groupings have
        one group.
    """
    owner = np.unique(neurons, return_inverse=True)[1]
    total = _together(owner, np.zeros_like(owner))
    if not total:
        return None
    first = np.unique(one, return_inverse=True)[1]
    second = np.unique(other, return_inverse=True)[1]
    a, b = _together(owner, first) / total, _together(owner, second) / total
    both = _together(owner, first * (second.max() + 1) + second) / total
    observed, chance = 1 - a - b + 2 * both, a * b + (1 - a) * (1 - b)
    return None if chance >= 1 - 1e-12 else float((observed - chance) / (1 - chance))


def _together(owner: Int[np.ndarray, " item"], group: Int[np.ndarray, " item"]) -> float:
    """Count the pairs of items of different neurons that are in one group."""

    def pairs(keys: np.ndarray) -> float:
        counts = np.unique(keys, return_counts=True)[1].astype(np.float64)
        return float((counts * (counts - 1) / 2).sum())

    return pairs(group) - pairs(group * (owner.max(initial=0) + 1) + owner)
