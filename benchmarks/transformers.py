"""Time for one neuron of a transformer block, captum's and ours, at the same true error.

The limit ``T`` is computed with many points of a rule that converges exponentially. Both methods use
the smallest N of a list for which ``Σ |T_N − T| / Σ |T|`` is at most 1 %. captum uses plain
Gauss-Legendre points; ours are graded towards the beginning of paths from zero. Times are processor
seconds of one call at this N, on the same crops; ours include the check of completeness. The
baselines zero and mean are both measured.

    python -m benchmarks.transformers [--real FOLDER] [--only NAME] [--crops 2] [--write]

``--real`` also measures a trained ViT on photographs. The others have random weights and noise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from benchmarks.attribution import pixels
from benchmarks.networks import PICTURES, in_default_layout, load, vision_transformer
from benchmarks.page import arguments, machine, publish, table
from neurflow import Model, load_images
from neurflow.attribution import integrated_gradients
from neurflow.attribution.integrated_gradients import Attribution, Rule, gauss_legendre, sinh
from neurflow.attribution.score_error import SMOOTH_STEPS
from neurflow.pictures.crops import CropSet

TOLERANCE = 0.01
LIMIT = 80
CAPTUM_STEPS = (3, 4, 6, 8, 12, 25, 50, 100, 200, 400, 800)
AT_ONCE = 16
"""samples that captum runs at once"""
TRAINED = "trained ViT-S/14"
BLOCKS = [
    ("vit_b_32", "encoder.layers.encoder_layer_9", "encoder.layers.encoder_layer_10"),
    ("convnext_tiny", "features.5.7", "features.5.8"),
    (TRAINED, "blocks.9", "blocks.10"),
    (TRAINED, "blocks.10", "blocks.11"),
]
NEURON = 100
AVERAGED = 8
"""smallest number of crops that the mean is taken over"""
Rows = list[list[object]]
Ours = Callable[..., Attribution]


@dataclass(frozen=True)
class Measured:
    """The smallest N within the tolerance, its error, and the processor seconds."""

    steps: int
    error: float
    seconds: float


def crops_of(model: Model, count: int, real: Path) -> Tensor:
    """Return crops of several photographs."""
    images = load_images(real / PICTURES, model)
    crops = CropSet(images, range(count), model.input_size[1:], (0.5,))
    return crops.pixels(np.arange(count) * len(crops.boxes) + 4)


def smallest(
    run: Callable[[int], Tensor], steps: Sequence[int], limit: Tensor, tolerance: float
) -> Measured:
    """Try one N after the other until the error is within the tolerance."""
    for n in steps:
        start = time.process_time()
        found = run(n)
        seconds = time.process_time() - start
        error = float((found - limit).abs().sum() / limit.abs().sum())
        if error <= tolerance:
            break
    return Measured(n, error, seconds)


def rows_of(model: Model, name: str, ends: tuple[str, str], images: Tensor, count: int) -> Rows:
    """Return a row for each baseline, on ``count`` of the images; the mean is that of all of them."""
    lower, upper = ends
    segment = model.segment(lower, upper)
    with torch.inference_mode():
        x, *bypass = model.outputs([model.node(lower), *segment.bypass])(model.feed(images))
    mean = x.mean(0, keepdim=True).clone()
    x, bypass = x[:count].clone(), [value[:count].clone() for value in bypass]
    plain = in_default_layout(segment)

    def phi(z: Tensor, *held: Tensor) -> Tensor:
        return segment.upper.pool(plain(z, len(z), *held))[:, NEURON]

    rows: Rows = []
    for baseline, start, rule in (("zero", None, sinh), ("mean", mean, gauss_legendre)):
        ours = partial(integrated_gradients, segment, NEURON, x, bypass, baseline=start)

        def scores(steps: int, ours: Ours = ours, rule: Rule = rule) -> Tensor:
            return ours(steps=steps, rule=rule).scores

        def captum(steps: int, start: Tensor | None = start) -> Tensor:
            found = IntegratedGradients(phi).attribute(
                x.contiguous(),
                baselines=None if start is None else start.expand_as(x[:1]).contiguous(),
                n_steps=steps,
                internal_batch_size=AT_ONCE,
                additional_forward_args=tuple(v.contiguous() for v in bypass) or None,
            )
            return segment.lower.total(found)

        scores(2)  # graphs are made at first use
        limit = scores(LIMIT)
        fast = smallest(scores, SMOOTH_STEPS, limit, TOLERANCE)
        slow = smallest(captum, CAPTUM_STEPS, limit, max(TOLERANCE, fast.error))
        rows.append(
            [
                f"{name} {lower} → {upper}, {baseline}",
                slow.steps,
                f"{slow.error:.2%}",
                f"{slow.seconds:.2f}",
                fast.steps,
                f"{fast.error:.2%}",
                f"{fast.seconds:.3f}",
                f"{slow.seconds / fast.seconds:.1f}×",
            ]
        )
        print(*rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure all blocks."""
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="blocks whose network contains this")
    parser.add_argument("--crops", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    head = ["block, baseline", "captum N", "error", "s", "ours N", "error", "s", "ratio"]
    rows: Rows = []
    for name, lower, upper in BLOCKS:
        if options.only not in f"{name} {upper}" or (name == TRAINED and not options.real):
            continue
        is_trained, count = name == TRAINED, max(options.crops, AVERAGED)
        real = options.real
        model = Model(vision_transformer(real)) if is_trained else load(name, real)
        images = (crops_of if is_trained else pixels)(model, count, real)
        rows += rows_of(model, name, (lower, upper), images, options.crops)
    text = f"{machine()} {options.crops} crops, neuron {NEURON}.\n\n{table(head, rows)}"
    publish("transformers", text, write=options.write)


if __name__ == "__main__":
    main()
