"""The score of a neuron group on a crop, and its calibration on the concept set.

1. On a crop ``v``, the score of group ``G`` with neurons ``s`` is
   ``exp(mean_s log(max(φ_s(v), 0) / (|mean of φ_s over the group's crops| + ε) + ε))``:
   the geometric mean of the neurons' activations, relative to those on the group's own crops, where the
   score is about 1. One silent neuron lowers a geometric mean much more than an arithmetic mean. If the
   mean on the group's crops is negative, the neuron's sign is reversed. This happens if the target is a
   difference of two classes, on crops of the second class.
2. The score on an image is the largest score of its crops.
3. Both are calibrated on the concept set. The scores on the group's own crops give the threshold above
   which it *fires*. The scores on the images show how *frequent* that is for the target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from neurflow.circuit.types import Calibration

EPSILON = 1e-6
"""ε: keeps the logarithm of a silent neuron finite"""


def group_scores(
    phi: Float[np.ndarray, "crop neuron"], means: Float[np.ndarray, " neuron"]
) -> Float[np.ndarray, " crop"]:
    """Return the scores of a group on crops (METHOD: image debugging).

    Args:
        phi: ``[crop, neuron]`` activations of the group's neurons.
        means: ``[neuron]`` their means over the group's own crops.

    Returns:
        ``[crop]``, 0 and up; about 1 on the group's own crops.
    """
    same = np.asarray(phi, dtype=np.float64) * np.where(means < 0, -1, 1)
    excited = np.maximum(same, 0) / (np.abs(means) + EPSILON)
    return np.exp(np.log(excited + EPSILON).mean(axis=1))


def calibrate(
    phi: Float[np.ndarray, "crop neuron"], own: Sequence[int] | np.ndarray, per_image: int
) -> Calibration:
    """Return the calibration of a group on the concept set.

    Args:
        phi: ``[crop, neuron]`` activations of the group's neurons on all crops, image by image.
        own: indices of the group's own crops.
        per_image: number of crops of each image.
    """
    means = np.asarray(phi[own], dtype=np.float64).mean(axis=0)
    scores = group_scores(phi, means)
    return Calibration(
        means=tuple(means.tolist()),
        crop_scores=tuple(scores[own].tolist()),
        image_scores=tuple(scores.reshape(-1, per_image).max(axis=1).tolist()),
    )
