"""Neuron concepts and their meanings.

1. ``V_a``: the ``k`` crops of ``D`` with the largest activation ``φ_a`` (``activations.top_crops``).
   The number of crops of one image is limited, because overlapping crops are near-duplicates.
2. ``V_a^i``: Ward clusters of these crops. By default (``Config.meanings="reproducible"``) crops are
   compared by the other neurons that fire on them (``co_activations``). They are divided only if the
   division is reproduced on other images (``meanings``). The published rules compare the pooled
   activations **at the previous layer**. At ``l_0``, the lowest studied layer, they compare those of
   ``l_0`` itself.
3. The target of a difference of two classes has two meanings: the crops with the largest difference,
   and up to as many crops with the smallest difference, which are evidence for the second class
   (``difference_concept``).
4. The concept vector of ``V_a^i`` is the mean of the pooled activations at the previous layer over its
   crops.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from threadpoolctl import threadpool_limits

from neurflow.config import Config
from neurflow.method.clustering import unit, ward_clusters
from neurflow.method.meanings import reproducible_clusters
from neurflow.study.activations import blocks, top_crops
from neurflow.study.study import Study

PER_IMAGE = 3
"""largest number of crops of one image in ``V_a``, if there are enough images"""


@dataclass(frozen=True)
class Concept:
    """The crops that excite a neuron most, divided into meanings.

    Attributes:
        crops: ``[k]`` crop numbers, strongest first.
        phi: ``[k]`` activations.
        meaning: ``[k]`` semantic group of each crop, numbered from the largest.
        vectors: ``[semantic group, neuron of the previous layer]`` concept vectors.
    """

    crops: np.ndarray
    phi: np.ndarray
    meaning: np.ndarray
    vectors: np.ndarray

    @property
    def parts(self) -> list[np.ndarray]:
        """Positions in ``crops`` of each semantic group."""
        return [np.flatnonzero(self.meaning == i) for i in range(len(self.vectors))]


def find_concepts(
    study: Study,
    layer: str,
    neurons: Iterable[int],
    config: Config,
    rows: np.ndarray | None = None,
) -> dict[int, Concept]:
    """Find the concepts of some neurons of a layer.

    Args:
        study: the network on the crops of D.
        layer: the layer of the neurons.
        neurons: their indices.
        config: k, largest number of semantic groups, crops per image, seed.
        rows: ``[crop]`` numbers of the crops to choose from, which may repeat; all crops by default.
    """
    neurons = sorted(set(neurons))
    phi, numbers = study.activations[layer], np.arange(len(study.crops))
    if rows is not None:
        phi, numbers = np.asarray(phi)[rows], rows
    images, minus = study.crops.image_of(numbers), study.minus(layer)

    def top(sign: int) -> tuple[np.ndarray, np.ndarray]:
        return top_crops(
            (sign * block for block in blocks(phi, neurons, minus)),
            config.k,
            images=images + (images.max() + 1) * _occurrence(numbers),  # copies count as images
            per_image=crops_limit(config, round(len(numbers) / len(study.crops.boxes))),
        )

    chosen, values = top(1)
    previous = study.activations[study.below(layer)]
    if minus is not None:
        against, opposite = top(-1)
        ranked = zip(neurons, chosen, against, values, opposite, strict=True)
        return {
            a: difference_concept((numbers[most], numbers[least]), (high, -low), previous)
            for a, most, least, high, low in ranked
        }
    mean = phi.mean(axis=0, dtype=np.float64)
    # the matrices are so small that several threads are slower than one
    with threadpool_limits(1, user_api="blas"):
        return {
            a: concept(
                numbers[row],
                active,
                previous,
                config,
                images[row],
                co_activations(phi[row], mean, config),
            )
            for a, row, active in zip(neurons, chosen, values, strict=True)
        }


def _occurrence(numbers: Int[np.ndarray, " place"]) -> Int[np.ndarray, " place"]:
    """Count how often each number occurs before its place: 0, 0, 1 for 4, 7, 4."""
    order = np.argsort(numbers, kind="stable")
    found = np.empty(len(numbers), dtype=np.int64)
    found[order] = np.arange(len(numbers)) - np.searchsorted(numbers[order], numbers[order])
    return found


def crops_limit(config: Config, images: int) -> int | None:
    """Return the largest number of crops of one image in ``V_a``, or None if there is no limit.

    "auto" stands for ``PER_IMAGE``, or for more if D has too few images to fill ``V_a``.

    Args:
        config: the hyperparameters ``crops_per_image`` and ``k``.
        images: number of images in D.
    """
    if config.crops_per_image != "auto":
        return config.crops_per_image
    return max(PER_IMAGE, -(-config.k // images))


def co_activations(
    phi: Float[np.ndarray, "crop neuron"], mean: Float[np.ndarray, " neuron"], config: Config
) -> Float[np.ndarray, "crop neuron"]:
    """Return the direction of the activations of a neuron's own layer on the neuron's crops.

    It describes which other neurons fire together with the neuron.

    Args:
        phi: ``[crop, neuron]`` pooled activations of the whole layer on the neuron's crops.
        mean: ``[neuron]`` mean over all crops of D.
        config: the share ``common`` of the mean that is subtracted.

    Returns:
        ``[crop, neuron]`` vectors of unit length.
    """
    return unit(np.asarray(phi, dtype=np.float64) - config.common * mean)


def concept(
    crops: Int[np.ndarray, " k"],
    phi: Float[np.ndarray, " k"],
    previous: np.ndarray,
    config: Config,
    images: Int[np.ndarray, " k"] | None = None,
    features: Float[np.ndarray, "k feature"] | None = None,
) -> Concept:
    """Split one neuron's crops into meanings.

    Args:
        crops: ``[k]`` crop numbers, strongest first.
        phi: ``[k]`` activations.
        previous: ``[crop, neuron]`` activations of the layer below on all crops. Concept vectors are
            means of its rows.
        config: the rule that divides the crops.
        images: ``[k]`` image of each of ``crops``; by default, each crop is from another image.
        features: ``[k, feature]`` features for finding reproducible meanings; by default ``previous``.
    """
    points = np.asarray(previous[crops], dtype=np.float64)
    images = np.arange(len(crops)) if images is None else images
    compared = features if config.meanings == "reproducible" and features is not None else points
    meaning = divide(compared, images, config)
    vectors = [points[meaning == i].mean(axis=0) for i in range(meaning.max() + 1)]
    return Concept(crops, phi, meaning, np.array(vectors, dtype=np.float32))


def difference_concept(
    crops: tuple[np.ndarray, np.ndarray], phi: tuple[np.ndarray, np.ndarray], previous: np.ndarray
) -> Concept:
    """Return the concept of a difference of two classes, with a meaning for each class.

    Args:
        crops: ``[k]`` crops with the largest and ``[k]`` with the smallest difference, strongest first.
        phi: their differences.
        previous: ``[crop, neuron]`` activations of the layer below on all crops. Concept vectors are
            means of its rows.

    Returns:
        The concept. Its second meaning has at most half of the crops, all with a negative difference.
        If there are no such crops, it has one meaning.
    """
    k = len(crops[0])
    second = np.flatnonzero(phi[1] < 0)[: k // 2]
    first = np.flatnonzero(~np.isin(crops[0], crops[1][second]))[: k - len(second)]
    parts = [crops[0][first], crops[1][second]]
    kept = [part for part in parts if len(part)]
    vectors = [np.asarray(previous[part], dtype=np.float64).mean(axis=0) for part in kept]
    return Concept(
        np.concatenate(parts),
        np.concatenate([phi[0][first], phi[1][second]]),
        np.repeat(np.arange(len(kept)), list(map(len, kept))),
        np.array(vectors, dtype=np.float32),
    )


def divide(
    points: Real[np.ndarray, "crop feature"], images: Int[np.ndarray, " crop"], config: Config
) -> Int[np.ndarray, " crop"]:
    """Return the meaning of each crop, given its features and its image."""
    if config.meanings == "reproducible":
        return reproducible_clusters(points, images, config)
    gaussian = config.meanings == "gaussian"
    return ward_clusters(points, config.max_semantic_groups, seed=config.seed, null=gaussian)
