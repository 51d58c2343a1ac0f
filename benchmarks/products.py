"""Time of attribution with products in bfloat16, and their effect on scores and core neurons.

The same neurons of a block are attributed together on the same crops, in float32 and with products in
bfloat16, in turn, at N = 8. The table has the smallest processor seconds a neuron.

    python -m benchmarks.products --real FOLDER [--only NAME] [--write]
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import torch

from benchmarks.attribution import BLOCKS, Block, observed, pixels, task_on, timed
from benchmarks.networks import load
from benchmarks.page import arguments, machine, publish, table
from neurflow import Model
from neurflow.attribution.streaming import attribute
from neurflow.attribution.task import Scores

STEPS = 8
TAU = 16
NETWORKS = ("resnet18", "resnet50", "mobilenet_v2")
"""networks with trained weights"""
PRODUCTS: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")


def measure(block: Block, model: Model, images: torch.Tensor, repeats: int) -> list[object]:
    """Return a row of the table."""
    segment, values, neurons = observed(block, model, images)
    seconds: dict[str, list[float]] = {name: [] for name in PRODUCTS}
    found: dict[str, dict[int, Scores]] = {}
    for turn in range(repeats + 1):
        for name in PRODUCTS:
            task = task_on(model, segment, values, neurons, name)
            spent, scores = timed(partial(attribute, task, steps=STEPS))
            found[name] = scores  # type: ignore[assignment]
            if turn:  # graphs are made in the first turn
                seconds[name].append(spent / len(neurons))
    exact, rounded = (np.array([found[name][a].importance for a in neurons]) for name in PRODUCTS)
    changes = np.abs(exact - rounded).sum(1) / exact.sum(1)
    first = (np.argsort(-each, axis=1)[:, :TAU] for each in (exact, rounded))
    same = [len(np.intersect1d(*pair)) for pair in zip(*first, strict=True)]
    before, after = (min(seconds[name]) for name in PRODUCTS)
    return [
        f"{block.network} {block.lower} → {block.upper}",
        f"{1000 * before:.0f}",
        f"{1000 * after:.0f}",
        f"{before / after:.2f}×",
        f"{changes.mean():.2%}",
        f"{changes.max():.2%}",
        f"{np.mean(same):.2f}",
    ]


def main() -> None:
    """Measure the blocks of the networks with trained weights."""
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="blocks whose network contains this")
    parser.add_argument("--crops", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows: list[list[object]] = []
    for block in BLOCKS:
        if block.network in NETWORKS and options.only in block.network:
            model = load(block.network, options.real)
            images = pixels(model, options.crops, options.real)
            rows.append(measure(block, model, images, options.repeats))
            print(*rows[-1], flush=True)
    head = ["block", "float32", "bfloat16", "ratio", "change", "largest", f"same of {TAU}"]
    text = (
        f"{machine()} Milliseconds a neuron, of neurons attributed together on {options.crops} crops "
        f"at N = {STEPS}; smallest of {options.repeats} runs in turn.\n\n{table(head, rows)}"
    )
    publish("products", text, write=options.write)


if __name__ == "__main__":
    main()
