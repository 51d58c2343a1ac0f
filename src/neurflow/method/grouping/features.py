"""Features by which (neuron, semantic group) pairs are grouped.

1. The activations of the pair's own layer are standardised channel by channel over all crops of D, so
   that channels that are strong everywhere do not dominate.
2. The vector of a pair is the mean of these over its crops: what else fires where the pair fires.
3. Half of the mean of all pairs is subtracted (``Config.common``). If it is left in, one large group
   gathers everything that fires on the class as a whole; if all of it is subtracted, weak differences
   decide and the groups come back less often.
4. In a layer of many pairs, a pair is described by how alike it is to all pairs, and only by the
   strongest directions of these likenesses, one for each ``PAIRS_PER_DIRECTION`` pairs (``profiles``).
   What single pairs owe to chance is in the weak directions. In a layer of fewer than
   ``LEAST_DIRECTIONS`` × ``PAIRS_PER_DIRECTION`` pairs, too few directions would be left, and the
   vectors stay as they are.

The vector of a pair on some of the images is the mean over its crops from these images, so it needs no
further pass through the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurflow.method.clustering import unit
from neurflow.method.concepts import Concept
from neurflow.refs import Member

TINY = 1e-12
PAIRS_PER_DIRECTION = 12
LEAST_DIRECTIONS = 4
BLOCK = 8192
"""crops that are standardised at a time"""


@dataclass(frozen=True)
class Seen:
    """A layer on the crops of D.

    Attributes:
        phi: ``[crop, neuron]`` pooled activations of the whole layer.
        images: ``[crop]`` image of each crop.
        used: numbers of the crops that are studied; None for all.
    """

    phi: np.ndarray
    images: np.ndarray
    used: np.ndarray | None = None


@dataclass(frozen=True)
class Pairs:
    """The (neuron, semantic group) pairs of a layer, with all that grouping needs.

    Attributes:
        members: the pairs, neuron by neuron.
        standard: ``[crop, channel]`` standardised activations on the crops of all pairs.
        images: ``[crop]`` image of each of them.
        owns: ``[pair, crop]`` whether the crop belongs to the pair.
        common: share of the mean of all pairs that is subtracted from their vectors.
    """

    members: tuple[Member, ...]
    standard: np.ndarray
    images: np.ndarray
    owns: np.ndarray
    common: float

    @property
    def neurons(self) -> np.ndarray:
        """``[pair]`` neuron of each pair."""
        return np.array([member.neuron for member in self.members])

    def vectors(self, images: np.ndarray | None = None) -> np.ndarray:
        """Unit vectors ``[pair, feature]`` over the crops of some images, by default of all.

        The vector of a pair without a crop in these images is zero.
        """
        chosen = slice(None) if images is None else np.isin(self.images, images)
        owns = self.owns[:, chosen].astype(np.float64)
        sizes = owns.sum(1, keepdims=True)
        there = sizes[:, 0] > 0
        means = unit(owns @ self.standard[chosen] / np.maximum(sizes, 1))
        return profiles(
            unit(np.where(there[:, None], means - self.common * means[there].mean(0), 0.0))
        )


def profiles(vectors: np.ndarray) -> np.ndarray:
    """How alike each pair is to all pairs, by the strongest directions.

    Args:
        vectors: ``[pair, feature]`` of unit length, or zero.

    Returns:
        ``[pair, direction]`` of unit length, or zero: the rows of the best approximation of the pairs'
        cosines of that rank. The vectors themselves in a layer of few pairs.
    """
    directions = len(vectors) // PAIRS_PER_DIRECTION
    if directions < LEAST_DIRECTIONS:
        return vectors
    strengths, axes = np.linalg.eigh(vectors @ vectors.T)
    return unit(axes[:, -directions:] * strengths[-directions:])


def pairs_of(concepts: Mapping[int, Concept], seen: Seen, common: float) -> Pairs:
    """Collect the pairs of a layer's concepts; ``common`` as in ``Pairs``."""
    crops = np.unique(np.concatenate([concept.crops for concept in concepts.values()]))
    mean, spread = _moments(seen.phi if seen.used is None else seen.phi[seen.used])
    members, owns = [], []
    for a, concept in concepts.items():
        for i, part in enumerate(concept.parts):
            members.append(Member(a, i))
            owns.append(np.isin(crops, concept.crops[part]))
    standard = (np.asarray(seen.phi[crops], dtype=np.float64) - mean) / spread
    return Pairs(tuple(members), standard, seen.images[crops], np.array(owns), common)


def _moments(phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``[neuron]`` mean and standard deviation over all crops; that of a constant channel is 1."""
    blocks = [phi[start : start + BLOCK] for start in range(0, len(phi), BLOCK)]
    mean = sum(block.sum(0, dtype=np.float64) for block in blocks) / len(phi)
    square = sum(((block - mean) ** 2).sum(0, dtype=np.float64) for block in blocks) / len(phi)
    spread = np.sqrt(square)
    return np.asarray(mean), np.where(spread > TINY * (1 + np.abs(mean)), spread, 1.0)
