"""Peak memory of a discovery against the number of images.

Each size is a process of its own that loads the model, notes what it takes, and discovers a circuit of
all images (one crop each, so that the images count). What is told is the largest anonymous memory,
sampled, above that of the loaded model: mapped files are the system's to take back.

    python -m benchmarks.memory --real FOLDER [--sizes 100,1000,10000] [--write]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch

from benchmarks.attribution import load
from benchmarks.page import arguments, machine, publish, table
from neurflow import Config, discover

LAYERS = ["layer3.1", "layer4.0", "layer4.1", "fc"]


def anonymous() -> float:
    """MiB of memory that is this process's own."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if "RssAnon" in line) / 1024


class Peak:
    """The largest :func:`anonymous` seen, sampled by a thread."""

    def __init__(self) -> None:
        self.value = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.value = max(self.value, anonymous())
            time.sleep(0.02)


def one(real: Path, size: int, memory: str, threads: int) -> dict[str, float]:
    """Discover with so many images; MiB of the model and of the peak above it, and seconds."""
    torch.set_num_threads(threads)
    model = load("resnet18", real)
    pictures = sorted((real / "images" / "sample1000").rglob("*.*"))
    images = [pictures[i % len(pictures)] for i in range(size)]
    model.network.proposed()  # exported
    before, peak, start = anonymous(), Peak(), time.perf_counter()
    config = Config(concept_set="all", granularities=(1.0,))
    with tempfile.TemporaryDirectory() as out:
        discover(
            model, images, "golden retriever", LAYERS, config, memory=memory, out=Path(out) / "run"
        )
    return {
        "model": before,
        "peak": peak.value - before,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    """A process for each size."""
    parser = arguments(__doc__)
    parser.add_argument("--sizes", default="100,1000,10000")
    parser.add_argument("--memory", default="512MB")
    parser.add_argument("--one", type=int, help="this size, in this process")
    options = parser.parse_args()
    if options.real is None:
        parser.error("--real FOLDER is needed")
    if options.one:
        print(json.dumps(one(options.real, options.one, options.memory, options.threads)))
        return
    rows = []
    for size in map(int, options.sizes.split(",")):
        command = [sys.executable, "-m", "benchmarks.memory", *sys.argv[1:], "--one", str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append([size, *(f"{found[key]:.0f}" for key in ("model", "peak", "seconds"))])
        print(*rows[-1], flush=True)
    text = (
        f"{machine()} resnet18, layers {', '.join(LAYERS)}, one crop an image, "
        f"memory {options.memory}.\n\n"
        + table(["images", "MiB with the model loaded", "MiB above it at the peak", "s"], rows)
    )
    publish("memory", text, write=options.write)


if __name__ == "__main__":
    main()
