"""Notes on the effect of a precision below float32 on a circuit.

1. The attributions of a network in half precision are computed in half precision. A note is made if
   their completeness error is large.
2. With ``precision="bfloat16"``, the pass over all crops runs in bfloat16. The crops of one image are
   run in both precisions. A note is made if the activations differ by a large part of their deviation
   over crops, because the ranking of crops then differs as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from neurflow.circuit import CircuitLayer
from neurflow.config import Config
from neurflow.model import Model
from neurflow.pictures.crops import CropSet

INCOMPLETE = 0.05
"""completeness error above which a note is made"""
SHIFTED = 0.1
"""mean difference of activations above which a note is made, in standard deviations over crops"""
CROPS = 16
"""number of crops that are run in both precisions"""


def precision_notes(
    model: Model, crops: CropSet, layers: Sequence[CircuitLayer], config: Config
) -> Iterator[str]:
    """Yield notes on the precision of a circuit's numbers."""
    if model.half:
        found = {
            layer.name: max((n.completeness_error or 0 for n in layer.neurons.values()), default=0)
            for layer in layers
        }
        name = max(found, key=lambda each: found[each])
        if found[name] > INCOMPLETE:
            yield (
                f"The network computes in {str(model.half).removeprefix('torch.')}, so the "
                f"completeness error in {name} is up to {found[name]:.0%}. Use float32: "
                "module.float(), and no autocast in the forward pass."
            )
    if config.precision != "float32":
        names = [layer.name for layer in layers]
        shifts = _shifts(model, crops, names)
        worst = int(np.argmax(shifts))
        if shifts[worst] > SHIFTED:
            yield (
                f"In {config.precision}, activations of {names[worst]} differ from those in float32 "
                f"by {shifts[worst]:.0%} of their standard deviation over crops, so the weakest "
                "crops of a neuron may differ. Use --precision float32."
            )


def _shifts(model: Model, crops: CropSet, names: Sequence[str]) -> list[float]:
    """Return the mean difference of activations in bfloat16 over their deviation, layer by layer."""
    layers = [model.layer(name) for name in names]
    forward = model.outputs([model.node(name) for name in names])
    pixels = model.feed(crops.pixels(crops.of_image(0)[:CROPS]))
    with torch.inference_mode():
        full = forward(pixels)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            half = forward(pixels)
    shifts = []
    for layer, one, other in zip(layers, full, half, strict=True):
        phi, rounded = layer.pool(one).float(), layer.pool(other).float()
        spread = phi.std(0).mean().clamp_min(1e-12) if len(phi) > 1 else phi.abs().mean()
        shifts.append(float((rounded - phi).abs().mean() / spread))
    return shifts
