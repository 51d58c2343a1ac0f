"""Speed on a GPU: forward passes, attributions compared with captum, and batch sizes."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu_bench import Bench
from benchmarks.networks import in_default_layout, noise, pictures
from benchmarks.page import machine, table
from neurflow import Config, load_images
from neurflow.attribution import AttributionTask, attribute
from neurflow.attribution import integrated_gradients as walking
from neurflow.attribution.streaming import RULES, integrate
from neurflow.method.concepts import find_concepts
from neurflow.pictures.crops import CropSet
from neurflow.runtime.float32 import full_float32
from neurflow.runtime.memory import Batch, Budget
from neurflow.runtime.progress import Silent
from neurflow.runtime.workspace import Workspace
from neurflow.study.study import LayerPair, Study, segments_of

NETWORKS = ("resnet18", "resnet50", "mobilenet_v2", "vit_b_32", "convnext_tiny")
BLOCKS = (
    ("basic", "resnet18", "layer4.0", "layer4.1"),
    ("basic", "resnet18", "layer3.0", "layer3.1"),
    ("bottleneck", "resnet50", "layer3.4", "layer3.5"),
    ("bottleneck", "resnet50", "layer4.1", "layer4.2"),
    ("inverted residual", "mobilenet_v2", "features.12", "features.13"),
    ("ConvNeXt", "convnext_tiny", "features.5.7", "features.5.8"),
    (
        "transformer",
        "vit_b_32",
        "encoder.layers.encoder_layer_9",
        "encoder.layers.encoder_layer_10",
    ),
)
"""kind, network, lower and upper layer"""
STEPS = 50
TOGETHER = 32
"""number of target neurons that are attributed together, as in discovery"""
CAPTUM_AT_ONCE = 256
"""number of samples that captum runs at once"""


def forward_passes(bench: Bench) -> None:
    """Measure crops per second of plain networks, with random pixels on the device."""
    batch, repeats = (2, 1) if bench.smoke else (64, 10)
    rows = []
    for name in NETWORKS:
        model = bench.model(name)
        pixels = model.feed(torch.randn(batch, *model.input_size))
        module = model.module.eval().to(memory_format=torch.channels_last)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        found = [
            _speed(bench, module, pixels, repeats, kind) for kind in ("float32", "TF32", "bf16")
        ]
        rows.append([name, *(f"{speed:.0f}" for speed in found)])
        print(*rows[-1], flush=True)
    print(f"\n{machine(bench.device)} {batch} crops at once.\n")
    print(table(["crops a second", "float32", "TF32", "bfloat16"], rows), flush=True)


def _speed(bench: Bench, module: torch.nn.Module, pixels: Tensor, repeats: int, kind: str) -> float:
    """Return crops per second."""
    exact = full_float32() if kind == "float32" else contextlib.nullcontext()
    half = torch.autocast(pixels.device.type, torch.bfloat16, enabled=kind == "bf16")

    def run() -> None:
        for _ in range(repeats):
            module(pixels)

    with torch.inference_mode(), exact, half:
        seconds, _ = bench.timed(run)
    return len(pixels) * repeats / seconds


@contextlib.contextmanager
def task_on(
    bench: Bench, network: str, lower: str, upper: str, targets: int
) -> Iterator[AttributionTask]:
    """Yield the task of the most active neurons of a layer with their crops."""
    model = bench.model(network)
    images = load_images([noise(seed) for seed in range(1 if bench.smoke else 2)], model)
    if bench.real and (bench.real / "images").is_dir():
        images = pictures(model, bench.real, 0)
    count = 1 if bench.smoke else 2
    granularities = (1.0,) if bench.smoke else (1.0, 0.5, 0.25)
    config = Config(k=1 if bench.smoke else 24, steps=2 if bench.smoke else STEPS)
    config = config.model_copy(update={"crops_per_image": None, "max_semantic_groups": 1})
    crops = CropSet(images, tuple(range(count)), model.input_size[1:], granularities)
    with tempfile.TemporaryDirectory() as folder, full_float32():
        study = Study(
            model,
            model.target(0),
            segments_of(model, [lower, upper]),
            crops,
            Workspace(Path(folder) / "work"),
            Budget(bench.memory(), Silent()),
            Silent(),
        )
        active = np.argsort(-study.means(upper), kind="stable")[:targets].tolist()
        concepts = find_concepts(study, upper, active, config)
        yield AttributionTask(study, study.pair(upper), concepts, config)


def attributions(bench: Bench) -> None:
    """Measure integrated gradients of one neuron: captum's, ours alone, and ours with other neurons."""
    rows = []
    for kind, network, lower, upper in BLOCKS:
        together = 2 if bench.smoke else TOGETHER
        with task_on(bench, network, lower, upper, together) as task:
            rows.append([f"{kind}: {network} {lower} → {upper}", *_compared(bench, task)])
        print(*rows[-1], flush=True)
        if not bench.limit(5):
            break
    head = ["block", "captum ms", "ours ms, alone", "ratio", f"of {TOGETHER}, each", "ratio"]
    head += ["difference", "auto, each", "ratio", "N", "stated"]
    print(f"\n{machine(bench.device)} 24 crops a neuron, N = {STEPS}, medians of 3.\n")
    print(table(head, rows), flush=True)


def _compared(bench: Bench, task: AttributionTask) -> list[object]:
    """Return the cells of a block's row."""
    first, *_ = task.concepts
    own = AttributionTask(task.study, task.pair, {first: task.concepts[first]}, task.config)
    steps, gauss = task.config.steps, partial(integrate, rule=RULES["gauss"])
    alone, found = bench.timed(lambda: attribute(own, steps=steps, measure=gauss))
    together, _ = bench.timed(lambda: attribute(task, steps=steps, measure=gauss))
    auto, chosen = bench.timed(lambda: attribute(task, steps="auto"))
    count = len(task.concepts)
    chosen_steps = [scores.steps for scores in chosen.values()]
    stated = max(scores.score_error or 0 for scores in chosen.values())
    try:
        theirs, expected = bench.timed(lambda: _captum(own, first))
        off = np.abs(found[first].importance - expected).max() / expected.max()
        ratios = [theirs / alone, theirs / together * count, theirs / auto * count]
        times = [f"{theirs * 1000:.1f}", *(f"{ratio:.1f}×" for ratio in ratios), f"{off:.0e}"]
    except ImportError:
        times = ["captum is missing", "", "", "", ""]
    return [
        times[0],
        f"{alone * 1000:.1f}",
        times[1],
        f"{together / count * 1000:.2f}",
        times[2],
        times[4],
        f"{auto / count * 1000:.2f}",
        times[3],
        f"{median(chosen_steps):.0f}",
        f"{stated:.2%}",
    ]


def _captum(task: AttributionTask, neuron: int) -> np.ndarray:
    """Return captum's mean |T| ``[lower neuron]`` on the block."""
    from captum.attr import IntegratedGradients

    segment, numbers = task.segment, task.concepts[neuron].crops
    plain = in_default_layout(segment)
    for _ in task.pair.maps.blocks(np.unique(numbers)):
        observed = task.pair.maps.take(numbers)

    def phi(z: Tensor, *others: Tensor) -> Tensor:
        return segment.upper.pool(plain(z, len(z), *others))[:, neuron]

    found = IntegratedGradients(phi).attribute(
        observed.x.contiguous(),
        n_steps=task.config.steps,
        internal_batch_size=max(CAPTUM_AT_ONCE, len(numbers)),
        additional_forward_args=tuple(v.contiguous() for v in observed.bypass) or None,
    )
    return segment.lower.total(found).abs().double().mean(0).cpu().numpy()


def at_once(bench: Bench) -> None:
    """Measure milliseconds per pair of a bottleneck, by the numbers of pairs and values at once."""
    pairs = (1, 2) if bench.smoke else (16, 64, 256, 768)
    values = (1_250_000, 10_000_000, 80_000_000, 640_000_000)
    secants = partial(integrate, rule=RULES["secants"])
    rows = []
    with task_on(bench, "resnet50", "layer3.4", "layer3.5", 2 if bench.smoke else TOGETHER) as task:
        count = sum(len(concept.crops) for concept in task.concepts.values())
        for size in pairs:
            cells = [str(size)]
            for chunk in values[: 1 if bench.smoke else None]:
                pair = LayerPair(task.segment, task.pair.maps, Batch(size, Silent()))
                own = AttributionTask(task.study, pair, task.concepts, task.config)
                module = sys.modules[walking.__module__]
                with mock.patch.object(module, "GPU_CHUNK_ELEMENTS", chunk):
                    seconds, _ = bench.timed(partial(attribute, own, steps=8, measure=secants), 1)
                cells.append(f"{seconds / count * 1000:.3f}")
            rows.append(cells)
            print(*cells, flush=True)
            if not bench.limit(5):
                break
    print(f"\n{machine(bench.device)} resnet50 layer3.4 → layer3.5, N = 8, milliseconds a pair.\n")
    print(table(["pairs at once", *(f"{n:.0e} values" for n in values)], rows), flush=True)
