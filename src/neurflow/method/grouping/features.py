"""What a (neuron, semantic group) pair is grouped by.

1. The activations of the pair's own layer are standardised, channel by channel, over all crops of D:
   a channel that is strong everywhere says nothing.
2. The pair's vector is the mean of these over its crops: what else fires where the pair fires.
3. Half of what all pairs have in common, their mean, is taken off. With all of it left, one large group
   gathers what fires on the class as a whole; without any, weak differences decide and return less.

A pair's vector on some of the images is that over its crops from these images; it needs no other pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurflow.method.clustering import unit
from neurflow.method.concepts import Concept
from neurflow.refs import Member

COMMON = 0.5
"""share of the pairs' mean that is taken off"""
TINY = 1e-12
BLOCK = 8192
"""crops standardised together"""


@dataclass(frozen=True)
class Seen:
    """A layer on the crops of D.

    Attributes:
        phi: ``[crop, neuron]`` pooled activations of the whole layer.
        images: ``[crop]`` image that each crop is of.
        used: numbers of the crops that are studied; None of all.
    """

    phi: np.ndarray
    images: np.ndarray
    used: np.ndarray | None = None


@dataclass(frozen=True)
class Pairs:
    """The (neuron, semantic group) pairs of a layer, with all that grouping asks of them.

    Attributes:
        members: the pairs, neuron by neuron.
        standard: ``[crop, channel]`` standardised activations of the crops that are a pair's.
        images: ``[crop]`` image of each of them.
        owns: ``[pair, crop]`` whether the crop is the pair's.
    """

    members: tuple[Member, ...]
    standard: np.ndarray
    images: np.ndarray
    owns: np.ndarray

    @property
    def neurons(self) -> np.ndarray:
        """``[pair]`` neuron of each pair."""
        return np.array([member.neuron for member in self.members])

    def vectors(self, images: np.ndarray | None = None) -> np.ndarray:
        """``[pair, channel]`` of unit length, over the crops of some images.

        A pair without a crop in them is zero.
        """
        chosen = slice(None) if images is None else np.isin(self.images, images)
        owns = self.owns[:, chosen].astype(np.float64)
        sizes = owns.sum(1, keepdims=True)
        there = sizes[:, 0] > 0
        means = unit(owns @ self.standard[chosen] / np.maximum(sizes, 1))
        return unit(np.where(there[:, None], means - COMMON * means[there].mean(0), 0.0))


def pairs_of(concepts: Mapping[int, Concept], seen: Seen) -> Pairs:
    """The pairs of a layer's concepts."""
    crops = np.unique(np.concatenate([concept.crops for concept in concepts.values()]))
    mean, spread = _moments(seen.phi if seen.used is None else seen.phi[seen.used])
    members, owns = [], []
    for a, concept in concepts.items():
        for i, part in enumerate(concept.parts):
            members.append(Member(a, i))
            owns.append(np.isin(crops, concept.crops[part]))
    standard = (np.asarray(seen.phi[crops], dtype=np.float64) - mean) / spread
    return Pairs(tuple(members), standard, seen.images[crops], np.array(owns))


def _moments(phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``[neuron]`` mean and spread over all crops; a channel that never changes has spread 1."""
    blocks = [phi[start : start + BLOCK] for start in range(0, len(phi), BLOCK)]
    mean = sum(block.sum(0, dtype=np.float64) for block in blocks) / len(phi)
    square = sum(((block - mean) ** 2).sum(0, dtype=np.float64) for block in blocks) / len(phi)
    spread = np.sqrt(square)
    return np.asarray(mean), np.where(spread > TINY * (1 + np.abs(mean)), spread, 1.0)
