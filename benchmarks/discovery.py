"""Compare the time of a discovery with that of one forward pass over the same crops.

The forward pass cuts out the crops and runs the plain module on them, in batches of the fastest size.
It is measured in the same process. Times are processor seconds, of one thread unless ``--threads`` is
given, so other work on the machine does not count. With ``--device cuda`` they are wall-clock seconds.

    python -m benchmarks.discovery --real FOLDER [--network resnet50] [--images 10] [--write]
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import median

import numpy as np
import torch

from benchmarks.networks import TARGET, load, pictures
from benchmarks.page import arguments, machine, publish, table
from neurflow import Circuit, Config, Images, Model, discover
from neurflow.pictures.crops import CropSet
from neurflow.runtime.memory import MEMORY, Budget
from neurflow.runtime.progress import Silent

LAYERS = {
    "resnet18": ["layer2.1", "layer3.0", "layer3.1", "layer4.0", "layer4.1", "fc"],
    "resnet50": [
        "layer2.3",
        *(f"layer3.{i}" for i in range(6)),
        *(f"layer4.{i}" for i in range(3)),
        "fc",
    ],
    "mobilenet_v2": [*(f"features.{i}" for i in range(11, 19)), "classifier.1"],
    "vit_b_32": [*(f"encoder.layers.encoder_layer_{i}" for i in (9, 10, 11)), "heads.head"],
}
"""network → the layers that are studied"""


class TooLong(Exception):
    """A discovery exceeded its time limit."""


def clock(device: str) -> float:
    """Return processor seconds; on a GPU, the wall-clock time after all submitted work is done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


class Stages:
    """Measures the seconds of each stage.

    Args:
        device: device of the work.
        limit: wall-clock seconds after which the work is aborted.
    """

    def __init__(self, device: str, limit: float = inf) -> None:
        self.seconds: dict[str, float] = {}
        self.done = self.total = 0
        self._device, self._now, self._since = device, "start", clock(device)
        self._end = time.monotonic() + limit

    def start(self, stage: str, total: int) -> None:
        """End the previous stage and begin the next."""
        print(f"{time.strftime('%H:%M:%S')}  {stage}, {total}", flush=True)
        self.stop()
        self._now, self.done, self.total = stage.split(",")[0], 0, total

    def stop(self) -> None:
        """Count the time up to now."""
        now = clock(self._device)
        self.seconds[self._now] = self.seconds.get(self._now, 0) + now - self._since
        self._since = now

    def advance(self, count: int = 1) -> None:
        """Raise ``TooLong`` if the time limit is exceeded."""
        self.done += count
        if time.monotonic() > self._end:
            self.stop()
            raise TooLong(f"given up at {self._now}, {self.done} of {self.total}")

    def note(self, text: str) -> None:
        """Print a note."""
        print(text, flush=True)


@dataclass(frozen=True)
class Request:
    """A discovery to measure.

    Attributes:
        model: the network.
        pictures: pictures to study.
        target: class name or number.
        layers: studied layers.
        config: hyperparameters.
        images: largest number of pictures.
        memory: memory budget.
        device: device of the model.
    """

    model: Model
    pictures: Images
    target: str | int
    layers: Sequence[str]
    config: Config
    images: int | None
    memory: str
    device: str


def forward(model: Model, images: Images, circuit: Circuit, device: str) -> float:
    """Return the seconds of one plain forward pass over the circuit's crops."""
    wanted = {image.name for image in circuit.images}
    chosen = [i for i, ref in enumerate(images.refs) if ref.name in wanted]
    crops = CropSet(images, chosen, model.input_size[1:], circuit.config.granularities)
    # the batch size of a discovery, which is the fastest
    batch = model.batch(Budget(MEMORY, Silent()))

    def run(numbers: np.ndarray) -> None:
        model.module(model.feed(crops.pixels(numbers)))

    start = clock(device)
    with torch.inference_mode():
        for image in range(len(chosen)):
            for _ in batch.map(run, crops.of_image(image)):
                pass
    return clock(device) - start


def measure(asked: Request, limit: float = inf) -> str:
    """Return a paragraph and a table with the seconds of each stage, also relative to a forward pass.

    Raises:
        TooLong: the discovery took longer than the limit; the table so far is printed.
    """
    device = asked.device
    stages = Stages(device, limit)
    start = clock(device)
    try:
        circuit = discover(
            asked.model,
            asked.pictures,
            asked.target,
            asked.layers,
            asked.config,
            max_images=asked.images,
            memory=asked.memory,
            progress=stages,
        )
    except TooLong:
        rows = [[name, f"{s:.1f}"] for name, s in stages.seconds.items()]
        print(table(["stage", "s"], rows), flush=True)
        raise
    seconds = clock(device) - start
    stages.stop()
    floor = median(forward(asked.model, asked.pictures, circuit, device) for _ in range(3))
    rows = [[name, f"{s:.1f}", f"{s / floor:.2f}×"] for name, s in stages.seconds.items()]
    rows.append(["**whole discovery**", f"{seconds:.1f}", f"**{seconds / floor:.2f}×**"])
    kind = "Processor seconds" if device == "cpu" else "Seconds"
    return (
        f"{machine(device)} {asked.model.info.reference}, {circuit.target.name}, "
        f"{_size(circuit)}, steps {asked.config.steps}, products in {asked.config.products}, "
        f"memory {asked.memory}; largest score error {_worst(circuit):.2%}. One forward pass "
        f"over the crops: {floor:.1f} s (median of 3). {kind}.\n\n"
        f"{table(['stage', 's', 'forward passes'], rows)}"
    )


def _size(circuit: Circuit) -> str:
    targets = sum(len(layer.neurons) for layer in circuit.layers[1:])
    return f"{len(circuit.images)} images, {circuit.crop_count} crops, {targets} targets"


def _worst(circuit: Circuit) -> float:
    """Return the largest stored score error."""
    return max(n.score_error or 0 for layer in circuit.layers for n in layer.neurons.values())


def main() -> None:
    """Discover and compare."""
    parser = arguments(__doc__)
    parser.add_argument("--network", choices=LAYERS, default="resnet18")
    parser.add_argument(
        "--images",
        type=int,
        help="largest number of images; all by default",
    )
    parser.add_argument("--steps", default="auto")
    parser.add_argument("--preset", default="published")
    parser.add_argument("--products", default="float32")
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.real is None:
        parser.error("--real FOLDER is needed: the ratio depends on trained weights and pictures")
    torch.set_num_threads(options.threads)
    model = load(options.network, options.real, options.device)
    steps = options.steps if options.steps == "auto" else int(options.steps)
    config = Config.preset(options.preset, steps=steps, products=options.products)
    layers = LAYERS[options.network]
    asked = Request(
        model,
        pictures(model, options.real, 0),
        TARGET,
        layers if config.depth is None else layers[-config.depth - 1 :],
        config,
        options.images,
        options.memory,
        options.device,
    )
    quick = " quick" if config.depth else ""
    publish(f"discovery {options.network}{quick}", measure(asked), write=options.write)


if __name__ == "__main__":
    main()
