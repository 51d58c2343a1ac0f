"""Integrated gradients of one neuron: captum's implementation and ours, side by side.

Both get the same crops, the same observed values and N = 50 points, for one block of each kind. Auto
steps at 1 % follow. Each is run several times in turn; the table has medians of processor seconds.

    python -m benchmarks.attribution [--real FOLDER] [--only NAME] [--write]
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from benchmarks.page import arguments, machine, publish, table
from neurflow import Model, load_images, load_model
from neurflow.attribution import integrated_gradients
from neurflow.attribution.streaming import Scores, attribute
from neurflow.model import Segment
from neurflow.model.network.protocols import Key
from neurflow.pictures.crops import CropSet
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Silent

STEPS = 50
LIMIT = 400
"""number of points that stands for the limit"""
AT_ONCE = 64
"""samples that captum runs at once; larger batches are slower here"""


@dataclass(frozen=True)
class Block:
    """A segment of a kind, and one upper neuron of it: the most active of a range."""

    kind: str
    network: str
    lower: str
    upper: str
    neurons: range


ENCODER = "encoder.layers.encoder_layer"
BLOCKS = [
    Block("basic", "resnet18", "layer4.0", "layer4.1", range(185, 186)),
    Block("basic", "resnet18", "layer3.0", "layer3.1", range(100, 101)),
    Block("basic, strided", "resnet18", "layer3.1", "layer4.0", range(300, 301)),
    Block("bottleneck", "resnet50", "layer4.1", "layer4.2", range(700, 701)),
    Block("bottleneck", "resnet50", "layer3.4", "layer3.5", range(100, 101)),
    Block("bottleneck, strided", "resnet50", "layer3.5", "layer4.0", range(300, 301)),
    Block("branch 1×1", "googlenet", "inception4d", "inception4e", range(256)),
    Block("branch 3×3", "googlenet", "inception4d", "inception4e", range(256, 576)),
    Block("branch 3×3 of pooling", "googlenet", "inception4d", "inception4e", range(704, 832)),
    Block("inverted residual", "mobilenet_v2", "features.12", "features.13", range(40, 41)),
    Block(
        "inverted residual, strided", "mobilenet_v2", "features.13", "features.14", range(40, 41)
    ),
    Block(
        "dense layers",
        "densenet121",
        "features.transition3",
        "features.denseblock4",
        range(900, 901),
    ),
    Block("ConvNeXt", "convnext_tiny", "features.5.7", "features.5.8", range(100, 101)),
    Block(
        "transformer",
        "vit_b_32",
        "encoder.layers.encoder_layer_9",
        "encoder.layers.encoder_layer_10",
        range(100, 101),
    ),
]
WEIGHTS = {
    "resnet18": ("resnet18.pth", {}),
    "resnet50": ("resnet50.pth", {}),
    "mobilenet_v2": ("mobilenet_v2.safetensors", {"mean": 0.5, "std": 0.5}),
}


class Observed:
    """Stands for ``FeatureMaps``, with all values of a few crops in memory."""

    def __init__(self, values: Mapping[Key, Tensor]) -> None:
        self.values = values

    def blocks(self, place: int, needed: np.ndarray) -> Iterator[np.ndarray]:
        """All at once."""
        yield needed

    def take(self, place: int, numbers: np.ndarray) -> dict[Key, Tensor]:
        """Some crops' values."""
        return {key: value[torch.from_numpy(numbers)] for key, value in self.values.items()}


@dataclass(frozen=True)
class Exemplars:
    """The crops, all of one meaning."""

    crops: np.ndarray
    meaning: np.ndarray


def load(network: str, real: Path | None, device: str = "cpu") -> Model:
    """A model with real weights where the folder has them, else with random ones."""
    torch.manual_seed(0)
    name, options = WEIGHTS.get(network, ("", {}))
    weights = real / "weights" / name if real and name else "random"
    return load_model(f"torchvision:{network}", weights, device=device, **(options if real else {}))


def pixels(model: Model, count: int, real: Path | None) -> Tensor:
    """Crops of real pictures, or noise."""
    if real is None:
        return torch.randn(count, *model.input_size, generator=torch.Generator().manual_seed(0))
    images = load_images(real / "images" / "imagenet20" / "n02099601_golden_retriever", model)
    crops = CropSet(images, [0], model.input_size[1:], (1.0, 0.5, 0.25))
    return crops.pixels(np.arange(count))


def captum(segment: Segment, plain: nn.Module, neuron: int, values: Mapping[Key, Tensor]) -> Tensor:
    """Scores ``[crop, lower neuron]`` by captum, on the block in PyTorch's own layout."""
    x = next(iter(values.values())).contiguous()
    held = tuple(values[key].contiguous() for key in segment.bypass)

    def phi(z: Tensor, *others: Tensor) -> Tensor:
        return segment.upper.pool(plain(z, len(z), *others))[:, neuron]

    explainer = IntegratedGradients(phi)
    found = explainer.attribute(
        x, n_steps=STEPS, internal_batch_size=AT_ONCE, additional_forward_args=held or None
    )
    return segment.lower.total(found)


def in_default_layout(segment: Segment) -> nn.Module:
    """The segment's module with weights in PyTorch's default layout; ours are channels last."""
    module = copy.deepcopy(segment.module)  # type: ignore[attr-defined]
    for value in module.buffers():
        value.data = value.contiguous()
    return module


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """(processor seconds, result)."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def measure(block: Block, model: Model, images: Tensor, repeats: int) -> list[object]:
    """A row of the table."""
    segment = model.segment(block.lower, block.upper)
    keys = list(segment.observed)
    with torch.inference_mode():
        *seen, upper = model.outputs([*keys, model.node(block.upper)])(model.feed(images))
        active = segment.upper.pool(upper).mean(0)[list(block.neurons)]
    neuron = block.neurons[int(active.argmax())]
    values = {key: value.clone() for key, value in zip(keys, seen, strict=True)}
    x, count = next(iter(values.values())), len(images)
    trunk = segment.specialised(neuron).trunk
    kept = [values[key] for key in trunk] if values.keys() >= set(trunk) else []
    held = [values[key] for key in segment.bypass]
    ours = partial(integrated_gradients, segment, neuron, x, held, steps=STEPS, trunk=kept)
    concept = {neuron: Exemplars(np.arange(count), np.zeros(count, dtype=int))}
    auto = partial(attribute, segment, 0, concept, Observed(values), steps="auto", tolerance=0.01)
    auto = partial(auto, batch=Batch(64, Silent()), progress=Silent())
    other = partial(captum, segment, in_default_layout(segment), neuron, values)
    ours(), auto()  # graphs are made at first use
    times: dict[str, list[float]] = {"captum": [], "ours": [], "auto": []}
    for _ in range(repeats):
        for name, work in (("captum", other), ("ours", ours), ("auto", auto)):
            seconds, result = timed(work)
            times[name].append(seconds)
            if name == "captum":
                expected = result
            elif name == "ours":
                scores = result.scores  # type: ignore[attr-defined]
                difference = float((scores - expected).abs().max() / expected.abs().max())
            else:
                chosen: Scores = result[neuron]  # type: ignore[index]
    limit = integrated_gradients(segment, neuron, x, held, steps=LIMIT, trunk=kept).scores
    goal = limit.abs().mean(0).double().numpy()
    off = np.abs(chosen.importance - goal).sum() / goal.sum()
    seconds = {name: median(values) for name, values in times.items()}
    return [
        f"{block.kind}: {block.network} {block.lower} → {block.upper}",
        f"{seconds['captum']:.2f}",
        f"{seconds['ours']:.3f}",
        f"{seconds['captum'] / seconds['ours']:.1f}×",
        f"{difference:.0e}",
        f"{seconds['auto']:.3f}",
        f"{seconds['captum'] / seconds['auto']:.1f}×",
        chosen.steps,
        f"{chosen.score_error:.2%}",
        f"{off:.2%}",
    ]


def main() -> None:
    """Measure all blocks."""
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="blocks whose network contains this")
    parser.add_argument("--crops", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    head = [
        "block",
        "captum s",
        "ours s",
        "ratio",
        "difference",
        "auto s",
        "ratio",
        "N",
        "stated",
        "error",
    ]
    rows: list[list[object]] = []
    for block in BLOCKS:
        if options.only in block.network:
            model = load(block.network, options.real)
            images = pixels(model, options.crops, options.real)
            rows.append(measure(block, model, images, options.repeats))
            print(*rows[-1], flush=True)
    weights = "ResNets and MobileNetV2 with trained weights" if options.real else "random weights"
    text = (
        f"{machine()} {options.crops} crops, N = {STEPS}, medians of {options.repeats} runs in turn; "
        f"{weights}.\n\n{table(head, rows)}"
    )
    publish("attribution", text, write=options.write)


if __name__ == "__main__":
    main()
