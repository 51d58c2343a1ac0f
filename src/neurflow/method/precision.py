"""Whether fewer digits than float32 have harmed a circuit, and by how much.

1. A network of half precision computes its attributions in it: where they no longer add up to what they
   explain (the completeness error), it is told.
2. ``precision="bfloat16"`` runs the pass over all crops in fewer digits. On the crops of one image both
   are run: where activations differ by more than a share of how they vary from crop to crop, the
   ranking of crops does too, and it is told.
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
"""completeness error from which on it is told"""
SHIFTED = 0.1
"""mean difference of activations, in standard deviations over crops, from which on it is told"""
CROPS = 16
"""crops that both precisions are compared on"""


def low_precision(
    model: Model, crops: CropSet, layers: Sequence[CircuitLayer], config: Config
) -> Iterator[str]:
    """What the user should know of the precision of a circuit's numbers, a line each."""
    if model.half:
        found = {
            layer.name: max((n.completeness_error or 0 for n in layer.neurons.values()), default=0)
            for layer in layers
        }
        name = max(found, key=lambda each: found[each])
        if found[name] > INCOMPLETE:
            yield (
                f"The network computes in {str(model.half).removeprefix('torch.')}, and "
                f"attributions of {name} miss what they explain by up to {found[name]:.0%}. "
                "Give it in float32: module.float(), and without autocast in its forward pass."
            )
    if config.precision != "float32":
        names = [layer.name for layer in layers]
        shifts = _shifts(model, crops, names)
        worst = int(np.argmax(shifts))
        if shifts[worst] > SHIFTED:
            yield (
                f"In {config.precision}, activations of {names[worst]} differ from those in float32 "
                f"by {shifts[worst]:.0%} of how they vary from crop to crop: crops near the end of "
                "a neuron's ranking may be others. Use --precision float32."
            )


def _shifts(model: Model, crops: CropSet, names: Sequence[str]) -> list[float]:
    """By layer, the mean difference of activations in bfloat16 over their deviation."""
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
