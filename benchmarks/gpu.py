"""Everything that is worth measuring on a GPU, within ten minutes: ``make gpu``.

1. The tests in ``tests/gpu``.
2. Forward passes of plain networks: crops a second.
3. Integrated gradients of a neuron, beside captum's.
4. Whole discoveries, stage by stage, with the memory that they took.
5. The same circuit on the processor and on the GPU, in float32 and in TF32.
6. What number of pairs at once, and of values at once, is fastest.

Each part has a time limit, and prints what it has when the limit is reached; a part that fails says
why, and the next one begins. What is printed is Markdown, for ``docs/performance.md`` and
``docs/scale.md``. Networks whose weights are not in the folder ``--real`` (or ``NEURFLOW_REAL_DATA``)
have random ones; without pictures there, noise is studied.

    python -m benchmarks.gpu [--real FOLDER] [--minutes 9.5] [--only PART,PART] [--smoke]

``--smoke`` tries all of it on a processor, with as little work as possible.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from benchmarks.discovery import LAYERS, Request, TooLong, clock, measure
from benchmarks.networks import TARGET, has_weights, load, noise, pictures
from benchmarks.page import machine, table
from neurflow import Circuit, Config, Images, Model, discover, load_images
from neurflow.attribution import AttributionTask, attribute
from neurflow.attribution import integrated_gradients as walking
from neurflow.attribution.streaming import RULES, by_rule
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
WHOLE = {
    "resnet50": (10, 150),
    "resnet18": (35, 60),
    "mobilenet_v2": (10, 60),
    "vit_b_32": (8, 60),
}
"""network of a whole discovery → pictures, and seconds that it may take"""
STEPS = 50
TOGETHER = 32
"""target neurons attributed together, as discovery does it"""
CAPTUM_AT_ONCE = 256
"""samples that captum runs at once"""


@dataclass(frozen=True)
class Bench:
    """Where and how much.

    Attributes:
        device: a torch device.
        real: folder of real weights and pictures.
        smoke: do as little as possible.
        end: wall-clock time at which everything is over, of ``time.monotonic``.
    """

    device: str
    real: Path | None
    smoke: bool
    end: float

    def limit(self, seconds: float) -> float:
        """Seconds that a piece of work may take."""
        return max(0.0, min(seconds, self.end - time.monotonic()))

    def sync(self) -> None:
        """Wait for the device."""
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)

    def timed(self, work: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
        """(median seconds, result); the first run is not counted."""
        result = work()
        seconds = []
        for _ in range(1 if self.smoke else repeats):
            start = clock(self.device)
            result = work()
            seconds.append(clock(self.device) - start)
        return median(seconds), result

    def model(self, network: str) -> Model:
        """A network on the device."""
        return load(network, self.real, self.device)

    def memory(self) -> int:
        """A budget of half the memory that is free."""
        if self.device == "cpu":
            return 10**9
        free, _ = torch.cuda.mem_get_info(self.device)
        return free // 2

    def fresh(self) -> int:
        """Forget the peak of the memory; bytes allocated now."""
        if self.device == "cpu":
            return 0
        self.sync()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        return torch.cuda.memory_allocated(self.device)

    def peak(self, before: int) -> str:
        """The most memory that was allocated since :meth:`fresh`, above what was there then."""
        if self.device == "cpu":
            return ""
        allocated = torch.cuda.max_memory_allocated(self.device) - before
        reserved = torch.cuda.max_memory_reserved(self.device)
        return (
            f"\n\nGPU memory above the model at the peak: {allocated / 1e9:.2f} GB allocated; "
            f"{reserved / 1e9:.2f} GB reserved in all."
        )


def gpu_tests(bench: Bench) -> None:
    """Run ``tests/gpu``, with nothing but pytest and the installed packages."""
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", ".", "--noconftest"]
    command += ["-p", "no:cacheprovider", "--import-mode=importlib", "-q", "-rs", "tests/gpu"]
    environment = {**os.environ, "NEURFLOW_TEST_DEVICE": bench.device}
    done = subprocess.run(command, env=environment, timeout=bench.limit(150), check=False)
    if done.returncode:
        raise RuntimeError(f"the tests ended with exit code {done.returncode}")


def forward_passes(bench: Bench) -> None:
    """Crops a second of plain networks, random pixels on the device."""
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
    """Crops a second."""
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
    """The most active neurons of a layer with their crops, ready to be attributed."""
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
    """One neuron's integrated gradients: ours alone, ours among others, and captum's."""
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
    """Cells of a block's row."""
    first, *_ = task.concepts
    own = AttributionTask(task.study, task.pair, {first: task.concepts[first]}, task.config)
    steps, gauss = task.config.steps, partial(by_rule, rule=RULES["gauss"])
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
    """``[lower neuron]`` mean |T| of captum's integrated gradients on the block."""
    from captum.attr import IntegratedGradients

    segment, numbers = task.segment, task.concepts[neuron].crops
    plain = copy.deepcopy(segment.module)  # type: ignore[attr-defined]
    for value in plain.buffers():
        value.data = value.contiguous()  # PyTorch's own layout; ours is channels last
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


def discoveries(bench: Bench) -> None:
    """Whole discoveries: published layers and configuration, auto steps."""
    for network in WHOLE:
        with _told(f"discovery {network}"):
            whole(bench, network)
    with _told("discovery resnet18, default memory"):
        _discovery(bench, "resnet18", 35, bench.limit(60), "2GB")
    with _told("discovery of a real ViT"):
        _real_vit(bench, bench.limit(60))


def whole(bench: Bench, network: str) -> None:
    """The discovery of one network."""
    count, seconds = WHOLE[network]
    _discovery(bench, network, count, bench.limit(seconds), f"{bench.memory()}")


def _discovery(bench: Bench, network: str, count: int, limit: float, memory: str) -> None:
    model = bench.model(network)
    real = has_weights(network, bench.real)
    found = pictures(model, bench.real if real else None, count)
    print(f"{network}: {'trained' if real else 'random'} weights", flush=True)
    target = TARGET if real and bench.real and (bench.real / "images").is_dir() else 0
    _run(bench, model, found, target, LAYERS[network], _config(bench, target), count, limit, memory)


def _real_vit(bench: Bench, limit: float) -> None:
    """The trained ViT of the folder of real data, if timm is installed."""
    file = bench.real / "weights" / "vit_small_dinov2.safetensors" if bench.real else None
    if file is None or not file.is_file():
        print("skipped: no weights of a real ViT")
        return
    import timm
    from safetensors.torch import load_file

    module = timm.create_model("vit_small_patch14_dinov2", img_size=224, num_classes=10)
    module.load_state_dict({k: v.float() for k, v in load_file(file).items()}, strict=True)
    model = Model(module.eval().to(bench.device))
    found = pictures(model, bench.real, 8)
    layers = [*(f"blocks.{i}" for i in (9, 10, 11)), "head"]
    config = _config(bench, 0).model_copy(update={"tau": 8, "k": 2 if bench.smoke else 30})
    _run(bench, model, found, 0, layers, config, 8, limit, f"{bench.memory()}")


def _config(bench: Bench, target: str | int) -> Config:
    less = {"tau": 2, "k": 2, "granularities": (1.0,), "steps": 4} if bench.smoke else {}
    which = "predicted" if isinstance(target, str) else "all"
    return Config.published(**{"steps": "auto", "concept_set": which, **less})


def _run(
    bench: Bench,
    model: Model,
    images: Images,
    target: str | int,
    layers: Sequence[str],
    config: Config,
    count: int,
    limit: float,
    memory: str,
) -> None:
    """Measure one discovery and print its table."""
    if limit < 5:
        print("skipped: no time left")
        return
    model.network.proposed()  # exported
    layers = list(layers)[-3:] if bench.smoke else layers
    asked = Request(
        model, images, target, layers, config, 2 if bench.smoke else count, memory, bench.device
    )
    before = bench.fresh()
    try:
        print(f"\n{measure(asked, limit)}{bench.peak(before)}\n", flush=True)
    except TooLong as error:
        print(f"{error}, after {limit:.0f} s{bench.peak(before)}\n", flush=True)


def same_circuit(bench: Bench) -> None:
    """Core neurons on the GPU against those on the processor, in float32 and in TF32."""
    layers = LAYERS["resnet18"][-2:] if bench.smoke else LAYERS["resnet18"][-4:]

    def circuit(device: str) -> Circuit:
        model = load("resnet18", bench.real, device)
        found = pictures(model, bench.real if has_weights("resnet18", bench.real) else None, 5)
        config = _config(bench, 0)
        return discover(model, found, 0, layers, config, max_images=2 if bench.smoke else 5)

    expected = circuit("cpu")
    exact = circuit(bench.device)
    with mock.patch("neurflow.method.discover.full_float32", contextlib.nullcontext):
        rounded = circuit(bench.device)
    rows = [
        ["float32", *_alike(exact, expected)],
        ["TF32", *_alike(rounded, expected)],
    ]
    print(f"\n{machine(bench.device)} resnet18, 5 images, {', '.join(layers)}.\n")
    head = [
        "on the GPU in",
        "targets of both",
        "core sets identical",
        "members",
        "largest difference",
    ]
    print(table(head, rows), flush=True)


def _alike(found: Circuit, expected: Circuit) -> list[str]:
    """Cells of a row: how far two circuits agree."""
    pairs = [
        (upper.neurons[a], neuron)
        for upper, other in zip(found.layers, expected.layers, strict=True)
        for a, neuron in other.neurons.items()
        if a in upper.neurons and neuron.importance
    ]
    same = [set(mine.importance) == set(its.importance) for mine, its in pairs]
    shared = sum(len(set(mine.importance) & set(its.importance)) for mine, its in pairs)
    members = sum(len(its.importance) for _, its in pairs)
    off = max(
        abs(mine.importance[s] - value) / max(its.importance.values())
        for mine, its in pairs
        for s, value in its.importance.items()
        if s in mine.importance
    )
    return [str(len(pairs)), f"{sum(same)}", f"{shared / members:.2%}", f"{off:.0e}"]


def at_once(bench: Bench) -> None:
    """Milliseconds a pair of a bottleneck, by pairs and by frontier values at once."""
    pairs = (1, 2) if bench.smoke else (16, 64, 256, 768)
    values = (1_250_000, 10_000_000, 80_000_000, 640_000_000)
    secants = partial(by_rule, rule=RULES["secants"])
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


PARTS: dict[str, Callable[[Bench], None]] = {
    "tests": gpu_tests,
    "forward": forward_passes,
    "discovery": discoveries,
    "attribution": attributions,
    "at-once": at_once,
    "same": same_circuit,
}


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """A part under its heading; a failure is told, and the rest goes on."""
    start = time.monotonic()
    print(f"\n## {name}\n", flush=True)
    try:
        yield
    except Exception:
        traceback.print_exc(file=sys.stdout)
        SEEN.failed.append(name)
    print(f"\n({name}: {time.monotonic() - start:.0f} s)", flush=True)


SEEN = SimpleNamespace(failed=[])
"""names of the parts that failed"""


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    given = os.environ.get("NEURFLOW_REAL_DATA")
    parser.add_argument("--real", type=Path, default=Path(given) if given else None)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=9.5)
    parser.add_argument(
        "--only",
        default="",
        help=f"parts, with commas: {', '.join(PARTS)}; or of the discoveries {', '.join(WHOLE)}",
    )
    parser.add_argument(
        "--smoke", action="store_true", help="on a processor, as little as possible"
    )
    options = parser.parse_args()
    device = "cpu" if options.smoke else options.device
    if device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here; --smoke tries everything on the processor")
    bench = Bench(device, options.real, options.smoke, time.monotonic() + 60 * options.minutes)
    print(f"{machine(device)} Python {platform.python_version()}, real data: {options.real}")
    for name in options.only.split(",") if options.only else PARTS:
        with _told(name):
            PARTS[name](bench) if name in PARTS else whole(bench, name)
    print("failed: " + (", ".join(SEEN.failed) or "nothing"))
    sys.exit(bool(SEEN.failed))


if __name__ == "__main__":
    main()
