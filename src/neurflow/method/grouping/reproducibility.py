"""Which branches of a layer's tree come back on other images, and how many groups the layer has.

1. The images are split at random into two halves, several times. The vectors of the pairs over the
   crops of each half give a tree of their own. This takes no further pass through the network.
2. A *branch* comes back as far as the most similar branch of a half's tree resembles it: the Jaccard
   index of their pairs, corrected for chance by the same tree with its pairs permuted; mean over all
   halves.
3. A *cut* into c groups comes back as far as the two halves of a split agree on which pairs of
   different neurons belong together: Cohen's kappa, mean over the splits.
4. The layer is cut where kappa times the entropy of the group sizes is largest. Of two cuts with equal
   kappa, the one that distinguishes more is taken, and splitting off a single pair counts for little.
   Cuts with a kappa below ``least_agreement`` do not count. Nor do cuts into more groups than two
   fifths of the pairs with a kappa below ``sure_agreement``, because chance makes groups of one or two
   pairs.
5. Branches that are unlike each other (``UNLIKE``) are never one group. So if no cut is left, the layer
   is one group, or the few groups that are unlike; in a small layer, that can be every pair by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurflow.circuit.trees import Merges, branches, joined, labels
from neurflow.method.grouping.features import Pairs

UNLIKE = 1.15
"""mean cosine distance from which two branches are not joined; that of unrelated branches is 1"""
SINGLES = 0.4
"""share of the pairs above which so many groups need a sure kappa"""


@dataclass(frozen=True)
class Return:
    """How a layer's tree comes back on halves of the images.

    Attributes:
        branches: ``[branch]`` 1 for a branch that comes back on every half, 0 for chance; NaN for
            single pairs and for the whole layer, which are in every tree.
        cuts: ``[count]`` kappa of the cut into 1, 2, … groups; 0 for one group.
        entropies: ``[count]`` entropy of the sizes of these groups, in pairs.
    """

    branches: np.ndarray
    cuts: np.ndarray
    entropies: np.ndarray

    def best(self, least: float, sure: float, fewest: int = 1) -> int | None:
        """Number of groups to cut into; None if nothing comes back.

        Args:
            least: smallest kappa of a cut that counts.
            sure: the same for cuts into more groups than ``SINGLES`` of the pairs.
            fewest: smallest number of groups.
        """
        pairs = (len(self.branches) + 1) // 2
        numbers = np.arange(1, len(self.cuts) + 1)
        counts = (self.cuts >= np.where(numbers > SINGLES * pairs, sure, least)) & (
            numbers >= fewest
        )
        found = np.where(counts, self.cuts * self.entropies, 0.0)
        return int(found.argmax()) + 1 if found.any() else None


def fewest_groups(heights: Sequence[float]) -> int:
    """Number of groups in which no two branches are unlike, from the height of each merge."""
    return 1 + sum(height > UNLIKE for height in heights)


def returns(pairs: Pairs, merges: Merges, largest: int, splits: int, seed: int) -> Return:
    """Measure how far the branches and cuts of a tree come back.

    Args:
        pairs: the pairs of the layer.
        merges: the tree over all images.
        largest: largest number of groups to try.
        splits: number of splits into halves. With fewer than two images, nothing comes back.
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
    return Return(np.where(trivial, np.nan, found), np.mean(kappas, axis=0), entropies)


def _entropy(groups: np.ndarray) -> float:
    """Entropy of the group sizes, from the group of each pair ``[pair]``."""
    shares = np.bincount(groups) / len(groups)
    return float(-(shares * np.log(np.maximum(shares, 1e-300))).sum())


def _nearest(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``[branch]`` Jaccard index of each branch of ``own`` and the most similar one of ``other``."""
    both = own.astype(np.float32) @ other.T.astype(np.float32)
    sizes = own.sum(1)[:, None] + other.sum(1)[None]
    return np.asarray((both / (sizes - both)).max(1), dtype=np.float64)


def agreement(neurons: np.ndarray, one: np.ndarray, other: np.ndarray) -> float | None:
    """Cohen's kappa of two groupings: are two items in one group?

    Over all pairs of items of different neurons; items of one neuron agree by themselves.

    Args:
        neurons: ``[item]`` neuron of each.
        one: ``[item]`` group in one grouping.
        other: and in the other.

    Returns:
        None where chance alone explains all, as where both have one group.
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


def _together(owner: np.ndarray, group: np.ndarray) -> float:
    """Number of pairs of items of different neurons that are in one group."""

    def pairs(keys: np.ndarray) -> float:
        counts = np.unique(keys, return_counts=True)[1].astype(np.float64)
        return float((counts * (counts - 1) / 2).sum())

    return pairs(group) - pairs(group * (owner.max(initial=0) + 1) + owner)
