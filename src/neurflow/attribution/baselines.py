"""Where the path of integrated gradients begins.

``zero``
    Published. In a network of convolutions and ReLUs it is the value of a neuron that does not fire.
``mean``
    The layer's mean output over D, position by position. Where a layer norm or attention follows,
    zero is not neutral: the values are signed, share a large offset on all pictures, and a norm
    enlarges whatever is close to zero. Scores from zero explain that offset, and cancel many times
    over. Scores from the mean explain how the crops of ``V_a`` differ from the others.
``auto``
    ``mean`` if a layer norm, an RMS norm or attention lies anywhere between the picture and the
    upper layer, ``zero`` otherwise.

The scores add up to ``φ_a(x) − φ_a(baseline)``.
"""

from __future__ import annotations

from typing import Literal

from neurflow.config import BaselineName
from neurflow.model import Segment


def baseline_name(segment: Segment, wanted: BaselineName) -> Literal["zero", "mean"]:
    """The baseline of a segment: the one that is wanted, or the one that suits the network."""
    if wanted == "auto":
        return "mean" if segment.normalises else "zero"
    return wanted
