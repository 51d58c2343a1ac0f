"""Compare the core-neuron rules on a real network by overlap and time.

    python -m benchmarks.selection --real FOLDER [--network resnet18] [--layers layer4.1,layer3.1]
        [--targets 10] [--cache FILE] [--write]

1. Golden retriever, ten images, τ = 16, k = 50. From the logit down, each layer's targets are drawn at
   random from the published core neurons of the targets above.
2. *Overlap:* the share of a target's top-50 crops that are still among its top-50 of all crops when its
   core neurons are zeroed. Lower is better. A random set of 16 neurons is the control.
3. *Time:* of the selection, relative to the published rule in the same process.

``--cache`` stores each (layer, target) as a line, so that the benchmark can be resumed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.networks import TARGET, load
from benchmarks.page import arguments, publish, table
from benchmarks.planted_circuits import interval
from neurflow import Config, load_images
from neurflow.attribution import AttributionTask
from neurflow.method.concepts import find_concepts
from neurflow.method.core_neurons import Core, select_cores
from neurflow.model import Model
from neurflow.pictures.crops import CropSet
from neurflow.runtime.memory import Budget
from neurflow.runtime.progress import Silent
from neurflow.runtime.workspace import Workspace, open_workspace
from neurflow.study.activations import ModelOnImages, concept_images
from neurflow.study.study import Study, segments_of

PAGE = Path(__file__).parents[1] / "docs" / "selection.md"
LAYERS = {
    "resnet18": ["layer2.1", "layer3.0", "layer3.1", "layer4.0", "layer4.1", "fc"],
    "mobilenet_v2": ["features.12", "features.13", "features.14", "features.16", "classifier.1"],
}
RULES = ("published", "signed", "contrast", "stepwise")
IMAGES, MEMORY = 10, "3GB"


class Bench:
    """A network with its concept set, to select core neurons and zero them.

    Args:
        model: the network.
        folder: folder of pictures.
        layers: names of layers, input side first.
        work: folder for intermediate results.
    """

    def __init__(self, model: Model, folder: Path, layers: Sequence[str], work: Workspace) -> None:
        self.config, budget = Config.published(), Budget(MEMORY, Silent())
        images, goal = load_images(folder, model), model.target(TARGET)
        runner = ModelOnImages(model, images, model.batch(budget), Silent())
        found = concept_images(runner, goal, self.config, max_images=IMAGES)
        crops = CropSet(images, found.chosen, model.input_size[1:], self.config.granularities)
        self.goal = goal.neuron
        self.study = Study(model, goal, segments_of(model, layers), crops, work, budget, Silent())
        self.pairs = list(self.study.pairs())

    def cores(self, place: int, targets: Sequence[int]) -> dict[str, tuple[dict[int, Core], float]]:
        """Return rule → (core neurons of each target, seconds per target)."""
        pair, found = self.pairs[place], {}
        concepts = find_concepts(self.study, pair.upper, targets, self.config)
        task = AttributionTask(self.study, pair, concepts, self.config)
        for rule in RULES:
            start = time.perf_counter()
            cores = select_cores(task, rule)
            found[rule] = cores, (time.perf_counter() - start) / len(targets)
        return found

    def overlap(self, place: int, target: int, chosen: Sequence[int]) -> float:
        """Return the share of a target's top-k crops that remain so when ``chosen`` are zeroed."""
        pair, k = self.pairs[place], self.config.k
        segment = pair.segment
        phi = np.asarray(self.study.activations[pair.upper][:, target])

        def work(part: np.ndarray) -> np.ndarray:
            observed = pair.maps.take(part)
            x = observed.x.clone()
            x.index_fill_(segment.lower.axis, torch.tensor(chosen, device=x.device), 0)
            fast, neurons = segment.specialised(target), torch.full((len(part),), target)
            with torch.no_grad():
                path = fast.path(neurons, x, observed.bypass)
                return fast.tail(len(part), *path.end, *path.fixed)[0].cpu().numpy()

        after = np.empty(len(phi))
        for block in pair.maps.blocks(np.arange(len(phi))):
            for part, values in self.study.batch.map(work, block):
                after[part] = values
        before, now = (np.argsort(-values, kind="stable")[:k] for values in (phi, after))
        return len(np.intersect1d(before, now)) / k


def text_of(rows: Sequence[dict[str, Any]]) -> str:
    """Return two tables: overlap with intervals over targets, and time relative to published."""
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    overlaps, times = [], []
    for layer in layers:
        own = [row for row in rows if row["layer"] == layer]
        names = [f"{layer} ({len(own)})"]
        overlaps.append(
            names + [interval([row["overlap"][name] for row in own]) for name in (*RULES, "random")]
        )
        seconds = {rule: np.mean([row["seconds"][rule] for row in own]) for rule in RULES}
        times.append(
            [*names, f"{seconds['published']:.2f} s"]
            + [f"{seconds[rule] / seconds['published']:.2f}" for rule in RULES[1:]]
        )
    head = ["layer (targets)"]
    return (
        f"**Overlap of the top 50**\n\n{table([*head, *RULES, 'random'], overlaps)}\n\n"
        f"**Time per target; other rules relative to it**\n\n{table([*head, *RULES], times)}"
    )


def main() -> None:
    """Run the missing measurements, then print or write the tables."""
    parser = arguments(__doc__)
    parser.add_argument("--network", default="resnet18", choices=LAYERS)
    parser.add_argument("--layers", help="measure only these")
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    layers = LAYERS[options.network]
    wanted = options.layers.split(",") if options.layers else layers
    kept = options.cache and options.cache.exists()
    rows = [json.loads(line) for line in options.cache.open()] if kept else []
    done = {(row["layer"], row["target"]) for row in rows}
    rng = np.random.default_rng(0)
    with open_workspace(None, {}) as work:
        bench = Bench(
            load(options.network, options.real), options.real / "images/imagenet20", layers, work
        )
        targets = [bench.goal]
        for place, segment in enumerate(bench.study.segments):
            upper = segment.upper.name
            cores = bench.cores(place, targets)
            for a in targets if upper in wanted else ():
                if (upper, a) in done:
                    continue
                sets = {rule: list(found[a].importance) for rule, (found, _) in cores.items()}
                neurons = segment.lower.neurons
                sets["random"] = rng.choice(neurons, bench.config.tau, replace=False).tolist()
                found = {name: bench.overlap(place, a, chosen) for name, chosen in sets.items()}
                seconds = {rule: spent for rule, (_, spent) in cores.items()}
                rows.append({"layer": upper, "target": a, "overlap": found, "seconds": seconds})
                print(rows[-1], flush=True)
                if options.cache:
                    with options.cache.open("a") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
            below = {s for core in cores["published"][0].values() for s in core.importance}
            count = min(options.targets, len(below))
            targets = np.sort(rng.choice(sorted(below), count, replace=False)).tolist()
    publish(f"selection {options.network}", text_of(rows), write=options.write, page=PAGE)


if __name__ == "__main__":
    main()
