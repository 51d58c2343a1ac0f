"""Features by which (neuron, semantic group) pairs are grouped.

1. The activations of the pair's own layer are standardised for each channel over all crops of D, so
   that channels that are strong everywhere do not dominate.
2. The vector of a pair is the mean of these activations over its crops. It describes which other
   channels fire where the pair fires.
3. Half of the mean of all pairs is subtracted (``Config.common``). Without subtraction, one large group
   collects all pairs that fire on the class as a whole. If the whole mean is subtracted, small
   differences dominate, and the groups are less reproducible.
4. In a layer with many pairs, a pair is described by its similarities to all pairs, reduced to the
   strongest directions (``profiles``). There is one direction for ``PAIRS_PER_DIRECTION`` pairs; the
   weak directions contain mostly noise. In a layer with fewer than ``LEAST_DIRECTIONS`` ×
   ``PAIRS_PER_DIRECTION`` pairs, too few directions would remain, so the vectors are not changed.

The vector of a pair on a part of the images is the mean over its crops from these images. It needs no
further pass through the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from neurflow.method.clustering import unit
from neurflow.method.concepts import Concept
from neurflow.refs import Member

TINY = 1e-12
PAIRS_PER_DIRECTION = 12
LEAST_DIRECTIONS = 4
BLOCK = 8192
"""number of crops that are standardised at a time"""


@dataclass(frozen=True)
class LayerOnCrops:
    """A layer on the crops of D.

    Attributes:
        phi: ``[crop, neuron]`` pooled activations of the whole layer.
        images: ``[crop]`` image of each crop.
        used: numbers of the studied crops; None for all.
    """

    phi: np.ndarray
    images: np.ndarray
    used: np.ndarray | None = None


@dataclass(frozen=True)
class Pairs:
    """The (neuron, semantic group) pairs of a layer, with the data for grouping.

    Attributes:
        members: the pairs, neuron by neuron.
        standard: ``[crop, channel]`` standardised activations on the crops of all pairs.
        images: ``[crop]`` image of each of these crops.
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
        """Return unit vectors ``[pair, feature]`` over the crops of some images, by default of all.

        The vector of a pair without crops in these images is zero.
        """
        chosen = slice(None) if images is None else np.isin(self.images, images)
        owns = self.owns[:, chosen].astype(np.float64)
        sizes = owns.sum(1, keepdims=True)
        there = sizes[:, 0] > 0
        means = unit(owns @ self.standard[chosen] / np.maximum(sizes, 1))
        return profiles(
            unit(np.where(there[:, None], means - self.common * means[there].mean(0), 0.0))
        )


def profiles(
    vectors: Float[np.ndarray, "pair feature"],
) -> Float[np.ndarray, "pair direction"]:
    """Describe each pair by its similarity to all pairs, reduced to the strongest directions.

    Args:
        vectors: ``[pair, feature]`` of unit length, or zero.

    Returns:
        ``[pair, direction]`` of unit length, or zero. They are the rows of the best approximation of
        that rank of the matrix of cosines. If the layer has few pairs, the vectors are returned as
        they are.
    """
    directions = len(vectors) // PAIRS_PER_DIRECTION
    if directions < LEAST_DIRECTIONS:
        return vectors
    strengths, axes = np.linalg.eigh(vectors @ vectors.T)
    return unit(axes[:, -directions:] * strengths[-directions:])


def pairs_of(concepts: Mapping[int, Concept], seen: LayerOnCrops, common: float) -> Pairs:
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


def _moments(
    phi: Float[np.ndarray, "crop neuron"],
) -> tuple[Float[np.ndarray, " neuron"], Float[np.ndarray, " neuron"]]:
    """Return the mean and the standard deviation over all crops.

    The standard deviation of a constant neuron is set to 1.
    """
    blocks = [phi[start : start + BLOCK] for start in range(0, len(phi), BLOCK)]
    mean = sum(block.sum(0, dtype=np.float64) for block in blocks) / len(phi)
    square = sum(((block - mean) ** 2).sum(0, dtype=np.float64) for block in blocks) / len(phi)
    spread = np.sqrt(square)
    return np.asarray(mean), np.where(spread > TINY * (1 + np.abs(mean)), spread, 1.0)
