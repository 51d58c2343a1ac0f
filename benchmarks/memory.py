"""Measure the peak memory of a discovery beyond the loaded model, by kind of page and stage.

Each case is a separate process that loads the model, records its memory, and discovers a circuit.
Memory is read from ``/proc/self/status`` every 20 ms:

* *anonymous* and *shared* pages belong to the process. ``--memory`` limits these pages.
* *file* pages are parts of files in memory: libraries, and the pooled activations. The system
  reclaims them when it needs memory.

The first cases are a few networks, with few core neurons, because the peak does not depend on their
number. The others are one network on many pictures, with one crop each.

    python -m benchmarks.memory --real FOLDER [--only NETWORK] [--sizes 100,1000,10000] [--write]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.discovery import LAYERS
from benchmarks.networks import TARGET, load, pictures
from benchmarks.page import arguments, machine, publish, table
from neurflow import Config, discover, load_images
from neurflow.runtime.progress import Silent

KINDS = {"anonymous": "RssAnon", "shared": "RssShmem", "file": "RssFile"}
"""kind of page → its line in ``/proc/self/status``"""
FEW = ["layer3.1", "layer4.0", "layer4.1", "fc"]
"""layers of the runs on many pictures"""


@dataclass(frozen=True)
class Case:
    """A discovery.

    Attributes:
        network: name in torchvision.
        memory: memory budget.
        images: number of pictures; with ``many``, they have one crop each.
        tau: number of core neurons.
        many: whether pictures of many classes are used instead of one class.
    """

    network: str
    memory: str
    images: int
    tau: int = 4
    many: bool = False


CASES = (
    Case("resnet18", "2GB", 16),
    Case("resnet18", "512MB", 8),
    Case("resnet50", "2GB", 10),
    Case("resnet50", "512MB", 10),
    Case("mobilenet_v2", "1GB", 10),
    Case("vit_b_32", "1GB", 4, 2),
)


def resident() -> dict[str, float]:
    """Return the MiB of each kind of page of this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return {kind: int(lines[name].split()[0]) / 1024 for kind, name in KINDS.items()}


class Watch(Silent):
    """The largest :func:`resident` in each stage, sampled by a thread."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}
        self._stage = "start"
        threading.Thread(target=self._sample, daemon=True).start()

    def start(self, stage: str, total: int) -> None:
        """Begin a stage."""
        self._stage = stage.split(",")[0]

    def _sample(self) -> None:
        while True:
            now, stage = resident(), self._stage
            most = self.stages.setdefault(stage, now)
            self.stages[stage] = {kind: max(most[kind], now[kind]) for kind in KINDS}
            time.sleep(0.02)


def one(case: Case, real: Path, threads: int) -> dict[str, Any]:
    """Run a discovery; return the MiB of each kind with the model loaded, and of each stage."""
    torch.set_num_threads(threads)
    model = load(case.network, real)
    source = pictures(model, real, case.images)
    layers, config, target = LAYERS[case.network], Config(tau=case.tau), TARGET
    if case.many:
        found = sorted((real / "images" / "sample1000").rglob("*.*"))
        source = load_images([found[i % len(found)] for i in range(case.images)], model)
        layers, config = FEW, Config(concept_set="all", granularities=(1.0,))
    elif case.network == "vit_b_32":  # random weights, which predict one class
        config, target = config.model_copy(update={"concept_set": "all"}), "0"
    model.network.proposed()  # exports the network
    before, watch, start = resident(), Watch(), time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        discover(
            model,
            source,
            target,
            layers,
            config,
            out=Path(out) / "run",
            max_images=case.images,
            memory=case.memory,
            progress=watch,
        )
    above = {
        stage: {kind: value - before[kind] for kind, value in most.items()}
        for stage, most in watch.stages.items()
    }
    return {"before": before, "stages": above, "seconds": time.perf_counter() - start}


def row(case: Case, found: dict[str, Any]) -> list[object]:
    """Return a row of the table."""
    stages = found["stages"]
    own = {name: most["anonymous"] + most["shared"] for name, most in stages.items()}
    top = max(own, key=lambda name: own[name])
    files = max(most["file"] for most in stages.values())
    cells = [f"{sum(found['before'].values()):.0f}", f"**{own[top]:.0f}**", top, f"{files:.0f}"]
    return [case.network, case.images, case.memory, *cells, f"{found['seconds']:.0f}"]


def main() -> None:
    """Run each case in a new process."""
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument(
        "--sizes",
        default="",
        help="numbers of pictures, by comma",
    )
    parser.add_argument("--one", help="run this case in this process")
    options = parser.parse_args()
    if options.real is None:
        parser.error("--real FOLDER is needed")
    if options.one:
        found = one(Case(**json.loads(options.one)), options.real, options.threads)
        print(json.dumps(found))
        return
    sizes = [int(size) for size in options.sizes.split(",") if size]
    cases = [case for case in CASES if options.only in case.network]
    cases += [Case("resnet18", "512MB", size, many=True) for size in sizes]
    rows = []
    for case in cases:
        command = [sys.executable, "-m", "benchmarks.memory", *sys.argv[1:]]
        command += ["--one", json.dumps(asdict(case))]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append(row(case, found))
        print(*rows[-1], flush=True)
        for stage, most in found["stages"].items():
            print(" ", stage, *(f"{kind} {value:.0f}" for kind, value in most.items()), flush=True)
    head = ["network", "images", "--memory", "MiB with the model loaded"]
    head += ["own pages above it at the peak", "in", "file pages above it", "s"]
    publish("memory", f"{machine()}\n\n{table(head, rows)}", write=options.write)


if __name__ == "__main__":
    main()
