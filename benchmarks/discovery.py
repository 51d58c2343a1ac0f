"""Time of a discovery, compared with one forward pass over the same crops.

The forward pass cuts out the crops and runs the plain module on them, in batches of the fastest size.
It is measured in the same process. Times are processor seconds, of one thread unless ``--threads`` is
given, so other work on the machine does not count. With ``--device cuda`` they are wall-clock seconds.

    python -m benchmarks.discovery --real FOLDER [--network resnet50] [--images 10] [--write]
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import torch

from benchmarks.attribution import load
from benchmarks.page import arguments, machine, publish, table
from neurflow import Config, discover, load_images
from neurflow.circuit import Circuit
from neurflow.model import Model
from neurflow.pictures.crops import CropSet
from neurflow.pictures.images import Images
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
}


def clock(device: str) -> float:
    """Processor seconds; on a GPU, the wall-clock time after all submitted work is done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


class Stages:
    """Seconds of each stage."""

    def __init__(self, device: str) -> None:
        self.seconds: dict[str, float] = {}
        self._device, self._now, self._since = device, "start", clock(device)

    def start(self, stage: str, total: int) -> None:
        """End the stage before and begin the next."""
        print(f"{time.strftime('%H:%M')}  {stage}, {total}", flush=True)
        now = clock(self._device)
        self.seconds[self._now] = self.seconds.get(self._now, 0) + now - self._since
        self._now, self._since = stage.split(",")[0], now

    def advance(self, count: int = 1) -> None:
        """Nothing to do."""

    def note(self, text: str) -> None:
        """Print a note."""
        print(text)


def forward(model: Model, images: Images, circuit: Circuit, device: str) -> float:
    """Seconds of one plain forward pass over the circuit's crops."""
    wanted = [image.name for image in circuit.images]
    chosen = [i for i, ref in enumerate(images.refs) if ref.name in wanted]
    crops = CropSet(images, chosen, model.input_size[1:], circuit.config.granularities)
    batch = model.batch(
        Budget(MEMORY, Silent())
    )  # as many at once as discovery takes: the quickest

    def run(numbers: np.ndarray) -> None:
        model.module(model.feed(crops.pixels(numbers)))

    start = clock(device)
    with torch.inference_mode():
        for image in range(len(chosen)):
            for _ in batch.map(run, crops.of_image(image)):
                pass
    return clock(device) - start


def main() -> None:
    """Discover and compare."""
    parser = arguments(__doc__)
    parser.add_argument("--network", choices=LAYERS, default="resnet18")
    parser.add_argument("--images", type=int, help="at most so many; default all correct ones")
    parser.add_argument("--steps", default="auto")
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.real is None:
        parser.error("--real FOLDER is needed: the ratio depends on trained weights and pictures")
    torch.set_num_threads(options.threads)
    model = load(options.network, options.real, options.device)
    folder = options.real / "images" / "imagenet20" / "n02099601_golden_retriever"
    images = load_images(folder, model)
    steps = options.steps if options.steps == "auto" else int(options.steps)
    stages = Stages(options.device)
    start = clock(options.device)
    circuit = discover(
        model,
        images,
        "golden retriever",
        LAYERS[options.network],
        Config.published(steps=steps),
        max_images=options.images,
        memory=options.memory,
        progress=stages,
    )
    seconds = clock(options.device) - start
    stages.start("", 0)
    floor = median(forward(model, images, circuit, options.device) for _ in range(3))
    targets = sum(len(layer.neurons) for layer in circuit.layers[1:])
    errors = [n.score_error or 0 for layer in circuit.layers for n in layer.neurons.values()]
    rows = [[name, f"{s:.1f}", f"{s / floor:.2f}×"] for name, s in stages.seconds.items()]
    rows.append(["**whole discovery**", f"{seconds:.1f}", f"**{seconds / floor:.2f}×**"])
    kind = "Processor seconds" if options.device == "cpu" else "Seconds"
    text = (
        f"{machine(options.device)} {options.network}, golden retriever, {len(circuit.images)} images, "
        f"{circuit.crop_count} crops, {targets} targets, steps {steps}, memory {options.memory}; "
        f"largest score error stated {max(errors):.2%}. One forward pass over the crops: {floor:.1f} s "
        f"(median of 3). {kind}.\n\n{table(['stage', 's', 'forward passes'], rows)}"
    )
    publish(f"discovery {options.network}", text, write=options.write)


if __name__ == "__main__":
    main()
