"""The start of the path of integrated gradients.

``zero``
    Published. In a network of convolutions and ReLUs, zero is the value of a neuron that does not fire.
``mean``
    The layer's mean output over D, for each position. Before a layer norm or attention, zero is not
    neutral: values are signed and have a large offset that is the same on all pictures, and a norm
    amplifies values near zero. Scores from zero explain this offset, and most of them cancel. Scores
    from the mean explain how the crops of ``V_a`` differ from the others.
``auto``
    ``mean`` if there is a layer norm, an RMS norm or attention anywhere between the picture and the
    upper layer, otherwise ``zero``.

The scores sum to ``φ_a(x) − φ_a(baseline)``.
"""

from __future__ import annotations

from typing import Literal

from neurflow.config import BaselineName
from neurflow.model import Segment


def baseline_name(segment: Segment, wanted: BaselineName) -> Literal["zero", "mean"]:
    """Return ``wanted``, or for ``auto`` the baseline that suits the segment's network."""
    if wanted == "auto":
        return "mean" if segment.normalises else "zero"
    return wanted
