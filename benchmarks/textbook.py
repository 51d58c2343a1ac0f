"""Compare the whole method with a plain textbook implementation, on a small case.

The textbook implementation runs the network on all crops again for every pair of layers and stores
the outputs by hooks. For every target neuron it applies captum's ``IntegratedGradients`` (N = 50) to
the block between the layers, on the neuron's top crops. It computes only the core neurons: no groups,
no thumbnails.

    python -m benchmarks.textbook --real FOLDER [--write]
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from benchmarks.attribution import AT_ONCE, STEPS
from benchmarks.networks import PICTURES, TARGET, load
from benchmarks.page import arguments, machine, publish, table
from neurflow import Config, discover, load_images
from neurflow.model import Model
from neurflow.pictures.crops import CropSet

LAYERS = ["layer3.1", "layer4.0", "layer4.1"]
TAU, K = 16, 50

Cores = dict[str, dict[int, set[int]]]


def outputs(module: nn.Module, layer: str, pixels: Tensor) -> Tensor:
    """Return a layer's output on all crops, by a hook, from the pixels."""
    kept: list[Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(
        lambda _, __, output: kept.append(output.detach())
    )
    try:
        with torch.no_grad():
            for part in torch.split(pixels, 64):
                module(part)
    finally:
        handle.remove()
    return torch.cat(kept)


def textbook(module: nn.Module, pixels: Tensor, target: int) -> Cores:
    """Return core neurons of every target, layer by layer from the class down."""
    head = nn.Sequential(module.get_submodule("avgpool"), nn.Flatten(), module.get_submodule("fc"))
    found: Cores = {}
    targets: Sequence[int] = [target]
    names = [*LAYERS, "fc"]
    for lower, upper in reversed(list(pairwise(names))):
        block = head if upper == "fc" else module.get_submodule(upper)
        below, above = outputs(module, lower, pixels), outputs(module, upper, pixels)
        phi = above.flatten(2).mean(2) if above.ndim > 2 else above
        found[upper] = {}
        for a in targets:
            crops = phi[:, a].argsort(descending=True, stable=True)[:K]

            def pooled(x: Tensor, a: int = a, block: nn.Module = block) -> Tensor:
                y = block(x)[:, a]
                return y.flatten(1).mean(1) if y.ndim > 1 else y

            scores = IntegratedGradients(pooled).attribute(
                below[crops], n_steps=STEPS, internal_batch_size=AT_ONCE
            )
            importance = scores.sum((2, 3)).abs().mean(0)
            found[upper][a] = set(importance.argsort(descending=True)[:TAU].tolist())
        targets = sorted(set().union(*found[upper].values()))
    return found


def ours(model: Model, folder: str, images: int) -> Cores:
    """Return the same by ``discover``, with published settings and this τ and k."""
    circuit = discover(
        model,
        folder,
        TARGET,
        [*LAYERS, "fc"],
        Config.published(tau=TAU, k=K),
        max_images=images,
    )
    return {
        layer.name: {a: set(neuron.core_neurons) for a, neuron in layer.neurons.items()}
        for layer in circuit.layers[1:]
    }


def main() -> None:
    """Run both implementations in turn."""
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=2)
    options = parser.parse_args()
    if options.real is None:
        parser.error("--real FOLDER is needed")
    torch.set_num_threads(options.threads)
    model = load("resnet18", options.real)
    folder = options.real / PICTURES
    start = time.process_time()
    found = ours(model, folder, options.images)
    fast = time.process_time() - start

    images = load_images(folder, model)
    start = time.process_time()
    chosen = []
    for index in range(len(images)):
        with torch.no_grad():
            if model.module(images.read(index)[None]).argmax() == 207:
                chosen.append(index)
        if len(chosen) == options.images:
            break
    crops = CropSet(images, chosen, model.input_size[1:], (1.0, 0.5, 0.25))
    expected = textbook(model.module, crops.pixels(np.arange(len(crops))), 207)
    slow = time.process_time() - start

    pairs = [
        (found[layer][a], cores)
        for layer, targets in expected.items()
        for a, cores in targets.items()
        if a in found[layer]
    ]
    equal = sum(mine == theirs for mine, theirs in pairs)
    total = sum(map(len, expected.values()))
    rows = [["textbook", f"{slow:.1f}", ""], ["neurflow", f"{fast:.1f}", f"{slow / fast:.1f}×"]]
    text = (
        f"{machine()} resnet18, golden retriever, {options.images} images, {len(crops)} crops, "
        f"layers {', '.join(LAYERS)}, fc, τ = {TAU}, k = {K}, {total} targets. "
        f"Identical core sets: {equal} of {total}.\n\n{table(['', 's', 'ratio'], rows)}"
    )
    publish("textbook", text, write=options.write)


if __name__ == "__main__":
    main()
