"""Measure the true score error of auto steps: the distance of scores from integrated gradients.

For a sample of target neurons of each network, drawn at random from those that fire, the scores with
auto steps at a tolerance of 1 % are compared with those of 400 Gauss-Legendre points on all crops of
``V_a``. The error is ``Σ_s |T_N − T| / Σ_s |T|`` of the mean |T|. The table also has the processor
time of choosing N, relative to that of the attribution itself.

    python -m benchmarks.score_error --real FOLDER [--only NETWORK] [--save FILE] [--write]
"""

from __future__ import annotations

import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.attribution import Exemplars
from benchmarks.networks import load
from benchmarks.page import arguments, machine, publish, table
from neurflow import Config, Model, load_images
from neurflow.attribution import AttributionTask
from neurflow.attribution.streaming import RULES, attribute, integrate
from neurflow.pictures.crops import CropSet
from neurflow.runtime.float32 import full_float32
from neurflow.runtime.memory import Budget
from neurflow.runtime.progress import Silent
from neurflow.runtime.workspace import Workspace
from neurflow.study.study import Study, segments_of

LIMIT = 400
"""Gauss-Legendre points of the limit"""
TOLERANCE = 0.01
K = 50
CLASSES = ("n02099601_golden_retriever", "n03445777_golf_ball")
SAMPLES = {
    "resnet18": (
        9,
        [
            ("layer2.1", "layer3.0"),
            ("layer3.0", "layer3.1"),
            ("layer3.1", "layer4.0"),
            ("layer4.0", "layer4.1"),
        ],
    ),
    "googlenet": (
        8,
        [
            ("inception3b", "inception4a"),
            ("inception4c", "inception4d"),
            ("inception4d", "inception4e"),
            ("inception5a", "inception5b"),
        ],
    ),
    "mobilenet_v2": (
        6,
        [
            ("features.10", "features.11"),
            ("features.12", "features.13"),
            ("features.13", "features.14"),
        ],
    ),
    "resnet50": (2, [("layer3.4", "layer3.5"), ("layer3.5", "layer4.0"), ("layer4.1", "layer4.2")]),
}
"""network → targets of each pair of layers, and the pairs"""


class Clock(Silent):
    """Processor seconds of the choice of N, and of the rest of the attribution."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Reset the counters."""
        self.seconds = {True: 0.0, False: 0.0}
        self._choosing, self._since = True, time.process_time()

    def start(self, stage: str, total: int) -> None:
        """End the previous stage."""
        self.stop()
        self._choosing = stage.endswith("choosing N")

    def stop(self) -> None:
        """Count the time up to now."""
        now = time.process_time()
        self.seconds[self._choosing] += now - self._since
        self._since = now


def crops_of(model: Model, real: Path, images: int) -> CropSet:
    """Return crops of a few pictures of two classes."""
    folder = real / "images" / "imagenet20"
    files = [file for name in CLASSES for file in sorted((folder / name).iterdir())[:images]]
    pictures = load_images(files, model)
    return CropSet(pictures, tuple(range(len(files))), model.input_size[1:], (1.0, 0.5, 0.25))


class Sample(NamedTuple):
    """Targets of each pair of layers, and crops of each target."""

    targets: int
    crops: int


def measure(
    model: Model, network: str, pair: tuple[str, str], sample: Sample, crops: CropSet, memory: str
) -> list[dict[str, Any]]:
    """Return a record for each target of a pair of layers."""
    count, k = sample
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        study = Study(
            model,
            model.target(0),
            segments_of(model, pair),
            crops,
            Workspace(Path(folder)),
            Budget(memory, Silent()),
            clock,
        )
        phi = np.asarray(study.activations[pair[1]])
        firing = np.flatnonzero(phi.max(0) > 0)
        chosen = np.sort(np.random.default_rng(0).choice(firing, count, replace=False)).tolist()
        concepts = {
            a: Exemplars(np.argsort(-phi[:, a], kind="stable")[:k], np.zeros(k, dtype=int))
            for a in chosen
        }
        task = AttributionTask(study, study.pair(pair[1]), concepts, Config(tolerance=TOLERANCE))
        for a in chosen:  # graphs are made at first use
            task.segment.specialised(a)
        clock.reset()
        found = attribute(task)
        clock.stop()
        seconds = dict(clock.seconds)
        limits = attribute(task, steps=LIMIT, measure=partial(integrate, rule=RULES["gauss"]))
    records = []
    for a, scores in found.items():
        goal = limits[a].importance
        records.append(
            {
                "network": network,
                "pair": " → ".join(pair),
                "neuron": a,
                "rule": scores.rule,
                "steps": scores.steps,
                "told": scores.score_error,
                "true": float(np.abs(scores.importance - goal).sum() / goal.sum()),
                "choosing": seconds[True] / count,
                "attributing": seconds[False] / count,
            }
        )
    return records


def row(name: str, records: list[dict[str, Any]]) -> list[object]:
    """Return a row of the table."""
    true, told = (np.array([r[key] for r in records]) for key in ("true", "told"))
    choosing, attributing = (sum(r[key] for r in records) for key in ("choosing", "attributing"))
    steps = [r["steps"] for r in records]
    return [
        name,
        len(records),
        f"{(true <= TOLERANCE).mean():.1%}",
        f"{true.mean():.2%}",
        f"{true.max():.2%}",
        f"{told.mean():.2%}",
        f"{told.max():.2%}",
        f"{(true <= told).mean():.0%}",
        f"{np.median(steps):.0f} ({min(steps)}–{max(steps)})",
        f"{choosing / attributing:.0%}",
    ]


@full_float32()
def main() -> None:
    """Measure all networks."""
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--images", type=int, default=2, help="pictures of each class")
    parser.add_argument("--targets", type=int, help="targets of each pair of layers")
    parser.add_argument("--k", type=int, default=K, help="crops of each target")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", default="2GB", help="memory in addition to the model")
    parser.add_argument("--save", type=Path, help="file that records are added to, one JSON a line")
    options = parser.parse_args()
    if options.real is None:
        parser.error("--real FOLDER is needed: errors depend on trained weights and pictures")
    torch.set_num_threads(options.threads)
    records: list[dict[str, Any]] = []
    for network, (count, pairs) in SAMPLES.items():
        if options.only not in network:
            continue
        model = load(network, options.real, options.device)
        crops = crops_of(model, options.real, options.images)
        for pair in pairs:
            sample = Sample(options.targets or count, options.k)
            fresh = measure(model, network, pair, sample, crops, options.memory)
            print(*row(f"{network} {pair}", fresh), flush=True)
            records += fresh
            if options.save:
                with options.save.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(record) + "\n" for record in fresh)
    head = ["network", "targets", f"within {TOLERANCE:.0%}", "error, mean", "worst"]
    head += ["stated, mean", "largest", "error ≤ stated", "N (range)", "choice of N"]
    rows = [
        row(name, [r for r in records if r["network"] == name])
        for name in SAMPLES
        if any(r["network"] == name for r in records)
    ]
    settings = f"k = {options.k}, {LIMIT} Gauss-Legendre points as the limit."
    text = f"{machine(options.device)} {settings}\n\n{table(head, rows)}"
    publish("score error", text, write=options.write)


if __name__ == "__main__":
    main()
