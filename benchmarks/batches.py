"""Find the fastest number of images per forward pass on a CPU.

    python -m benchmarks.batches [--networks resnet50,vit_b_32] [--write]

Weights and pixels are random, because the time does not depend on them. Batch sizes are tried in turn,
several times. The table has the shortest time of each, in processor milliseconds per crop.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from benchmarks.networks import load
from benchmarks.page import arguments, machine, publish, table
from neurflow.runtime.memory import IMAGES

BATCHES = (1, 4, IMAGES, 16, 32, 64)
CROPS, ROUNDS = 64, 3


def least(module: nn.Module, pixels: Tensor) -> list[float]:
    """Return the milliseconds per crop of each batch size."""
    found = [float("inf")] * len(BATCHES)
    for _ in range(ROUNDS):
        for place, batch in enumerate(BATCHES):
            start = time.process_time()
            with torch.inference_mode():
                for part in torch.split(pixels, batch):
                    module(part)
            found[place] = min(found[place], time.process_time() - start)
    return [seconds * 1000 / len(pixels) for seconds in found]


def main() -> None:
    """Measure all networks."""
    parser = arguments(__doc__)
    parser.add_argument("--networks", default="resnet18,resnet50,mobilenet_v2,vit_b_32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for name in options.networks.split(","):
        model = load(name, None)
        module = model.module.eval().to(memory_format=torch.channels_last)
        pixels = torch.randn(CROPS, *model.input_size).contiguous(memory_format=torch.channels_last)
        rows.append([name, *(f"{ms:.1f}" for ms in least(module, pixels))])
        print(*rows[-1], flush=True)
    text = f"{machine()} Milliseconds a crop, the least of {ROUNDS} rounds.\n\n"
    publish(
        "batches", text + table(["images at once", *map(str, BATCHES)], rows), write=options.write
    )


if __name__ == "__main__":
    main()
