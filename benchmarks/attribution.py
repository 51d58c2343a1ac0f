"""Time of integrated gradients for one neuron: captum's implementation and ours.

For one block of each kind, both get the same crops, the same observed values and N = 50 points. Ours
is also measured with auto steps at a tolerance of 1 %, for a single neuron and for many neurons on the
same crops, as in a discovery. The variants run in turn, several times. The table has medians of
processor seconds.

    python -m benchmarks.attribution [--real FOLDER] [--only NAME] [--write]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Literal

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from benchmarks.networks import PICTURES, in_default_layout, load
from benchmarks.page import arguments, machine, publish, table
from neurflow import Config, Model, load_images
from neurflow.attribution import AttributionTask, integrated_gradients
from neurflow.attribution.integrated_gradients import SHARED, secants
from neurflow.attribution.streaming import attribute
from neurflow.attribution.task import Scores
from neurflow.model import Segment
from neurflow.model.network.protocols import Key
from neurflow.pictures.crops import CropSet
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Silent
from neurflow.study import features
from neurflow.study.study import LayerPair

STEPS = 50
LIMIT = 400
"""number of points of the reference"""
TOGETHER = 30
"""number of neurons that are attributed together on the same crops"""
AT_ONCE = 64
"""number of samples that captum runs at once; larger batches are slower here"""


@dataclass(frozen=True)
class Block:
    """A segment, its kind, and the range of upper neurons of which the most active one is measured."""

    kind: str
    network: str
    lower: str
    upper: str
    neurons: range


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


class Observed:
    """A replacement for ``SegmentMaps`` with all values of a few crops in memory."""

    def __init__(self, segment: Segment, values: Mapping[Key, Tensor]) -> None:
        self.segment, self.values = segment, values

    def blocks(self, needed: np.ndarray) -> Iterator[np.ndarray]:
        """Yield all crops as one block."""
        yield needed

    def take(self, numbers: np.ndarray) -> features.Observed:
        """Return the values of some crops."""
        rows = torch.from_numpy(numbers)
        values = {key: value.index_select(0, rows) for key, value in self.values.items()}
        return features.Observed.of(self.segment, values)


@dataclass(frozen=True)
class Exemplars:
    """The crops, all with one meaning."""

    crops: np.ndarray
    meaning: np.ndarray


def pixels(model: Model, count: int, real: Path | None) -> Tensor:
    """Return crops of real pictures, or noise."""
    if real is None:
        return torch.randn(count, *model.input_size, generator=torch.Generator().manual_seed(0))
    images = load_images(real / PICTURES, model)
    crops = CropSet(images, [0], model.input_size[1:], (1.0, 0.5, 0.25))
    return crops.pixels(np.arange(count))


def captum(segment: Segment, plain: nn.Module, neuron: int, values: Mapping[Key, Tensor]) -> Tensor:
    """Return captum's scores ``[crop, lower neuron]`` on the block in PyTorch's default layout."""
    x = next(iter(values.values())).contiguous()
    held = tuple(values[key].contiguous() for key in segment.bypass)

    def phi(z: Tensor, *others: Tensor) -> Tensor:
        return segment.upper.pool(plain(z, len(z), *others))[:, neuron]

    explainer = IntegratedGradients(phi)
    found = explainer.attribute(
        x, n_steps=STEPS, internal_batch_size=AT_ONCE, additional_forward_args=held or None
    )
    return segment.lower.total(found)


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Return (processor seconds, result)."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def task_on(
    model: Model,
    segment: Segment,
    values: Mapping[Key, Tensor],
    neurons: Sequence[int],
    products: Literal["float32", "bfloat16"] = "float32",
) -> AttributionTask:
    """Return the task of the neurons with all crops and the baseline zero, as in captum."""
    count = len(next(iter(values.values())))
    concept = Exemplars(np.arange(count), np.zeros(count, dtype=int))
    pair = LayerPair(segment, Observed(segment, values), Batch(64, Silent()))  # type: ignore[arg-type]
    study = SimpleNamespace(model=model, progress=Silent(), minus=lambda layer: None)
    config = Config(tolerance=0.01, baseline="zero", products=products)
    return AttributionTask(study, pair, dict.fromkeys(neurons, concept), config)  # type: ignore[arg-type]


def most_active(segment: Segment, block: Block, phi: Tensor) -> list[int]:
    """Return the block's neuron, then others that the same specialised segment serves."""
    active = phi.mean(0)
    first = block.neurons[int(active[list(block.neurons)].argmax())]
    serves = np.flatnonzero(segment.specialised(first).serves)
    others = [a for a in serves[np.argsort(-active[serves].numpy())].tolist() if a != first]
    return [first, *others[: TOGETHER - 1]]


def observed(
    block: Block, model: Model, images: Tensor
) -> tuple[Segment, dict[Key, Tensor], list[int]]:
    """Return (segment, observed values, target neurons) of a block."""
    segment = model.segment(block.lower, block.upper)
    keys = list(segment.observed)
    with torch.inference_mode():
        *seen, upper = model.outputs([*keys, model.node(block.upper)])(model.feed(images))
        neurons = most_active(segment, block, segment.upper.pool(upper))
    return segment, {key: value.clone() for key, value in zip(keys, seen, strict=True)}, neurons


def measure(block: Block, model: Model, images: Tensor, repeats: int) -> list[object]:
    """Return a row of the table."""
    segment, values, neurons = observed(block, model, images)
    neuron = neurons[0]
    x = next(iter(values.values()))
    fast = segment.specialised(neuron)
    kept = [values[key] for key in fast.trunk] if values.keys() >= set(fast.trunk) else []
    held = [values[key] for key in segment.bypass]
    ours = partial(integrated_gradients, segment, neuron, x, held, trunk=kept)
    works: dict[str, Callable[[], object]] = {
        "captum": partial(captum, segment, in_default_layout(segment), neuron, values),
        "ours": partial(ours, steps=STEPS),
        "alone": partial(attribute, task_on(model, segment, values, [neuron]), steps="auto"),
        "together": partial(attribute, task_on(model, segment, values, neurons), steps="auto"),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    found: dict[str, object] = {}
    for name in ("ours", "alone"):
        works[name]()  # graphs are made at first use
    for _ in range(repeats):
        for name, work in works.items():
            seconds, found[name] = timed(work)
            times[name].append(seconds)
    expected: Tensor = found["captum"]  # type: ignore[assignment]
    chosen: Scores = found["alone"][neuron]  # type: ignore[index]
    difference = (found["ours"].scores - expected).abs().max() / expected.abs().max()  # type: ignore[attr-defined]
    limit = ours(steps=SHARED, rule=secants, modes=SHARED) if fast.secants else ours(steps=LIMIT)
    goal = limit.scores.abs().mean(0).double().numpy()
    errors = [
        float(np.abs(importance - goal).sum() / goal.sum())
        for importance in (expected.abs().mean(0).double().numpy(), chosen.importance)
    ]
    each = {name: median(values) for name, values in times.items()}
    each["together"] /= len(neurons)
    return [
        f"{block.kind}: {block.network} {block.lower} → {block.upper}",
        f"{each['captum']:.2f}",
        f"{errors[0]:.2%}",
        *(
            cell
            for name in ("ours", "alone", "together")
            for cell in (f"{each[name]:.3f}", f"{each['captum'] / each[name]:.1f}×")
        ),
        f"{float(difference):.0e}",
        chosen.steps,
        f"{chosen.score_error:.2%}",
        f"{errors[1]:.2%}",
    ]


def main() -> None:
    """Measure all blocks."""
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="blocks whose kind or network contains this")
    parser.add_argument("--crops", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    head = ["block", "captum s", "error", "ours s", "ratio", "auto s", "ratio"]
    head += [f"of {TOGETHER}, each", "ratio", "difference", "N", "stated", "error"]
    rows: list[list[object]] = []
    for block in BLOCKS:
        if options.only in f"{block.kind} {block.network}":
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
