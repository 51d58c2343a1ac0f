"""Where the path of integrated gradients begins.

``zero``
    Published. In a network of convolutions and ReLUs it is the value of a neuron that does not fire.
``mean``
    Each neuron's mean ``φ`` over D, at every position. Where a layer norm or attention follows, zero is
    not neutral: the values are signed, share a large offset on all pictures, and a norm enlarges
    whatever is close to zero. Scores from zero explain that offset, and cancel many times over. Scores
    from the mean explain how the crops of ``V_a`` differ from the others.
``auto``
    ``mean`` if a layer norm, an RMS norm or attention lies anywhere between the picture and the
    upper layer, ``zero`` otherwise.

The scores add up to ``φ_a(x) − φ_a(baseline)``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from neurflow.config import BaselineName
from neurflow.model import Layer, Segment


def baseline_name(segment: Segment, wanted: BaselineName) -> Literal["zero", "mean"]:
    """The baseline of a segment: the one that is wanted, or the one that suits the network."""
    if wanted == "auto":
        return "mean" if segment.normalises else "zero"
    return wanted


def everywhere(layer: Layer, values: np.ndarray) -> Float[Tensor, "1 ..."]:
    """One value for each neuron ``[neuron]`` at every position of a layer's output."""
    shape = [1] * (len(layer.shape) + 1)
    shape[layer.axis] = layer.neurons
    return torch.from_numpy(np.asarray(values, dtype=np.float64)).reshape(shape)
