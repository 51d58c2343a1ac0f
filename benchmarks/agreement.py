"""Measure whether groups are found again on other photographs, and whether each shows one thing.

    python -m benchmarks.agreement --real FOLDER [--network NAME] [--classes CLASS,…] [--save FILE]

The neurons of each layer are those that a circuit would have, but chosen by a cheap score: from the
target down, the τ lower neurons with the largest mean of |input × gradient| on the ``CROPS`` strongest
crops of each. The photographs are those that the network recognises, or all of the class if it
recognises fewer than ``ENOUGH``. For each layer below the target's:

1. *agreement*: Cohen's kappa of the groups on disjoint halves of the photographs, as in
   ``neurflow evaluate RUN groups``. The neurons are the same. Mean and standard error over the splits;
2. *purity* by the class token of the vision transformer in FOLDER, relative to that of single pairs.
   It is not measured for the transformer itself;
3. *largest*: the largest share of the (neuron, crop) items in one group.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.networks import load, vision_transformer
from benchmarks.page import arguments, machine, table
from neurflow import Config, Model, load_images
from neurflow.attribution import AttributionTask, score_neurons
from neurflow.evaluation.groups import Items, agreement_of_halves, groups_on, purity
from neurflow.evaluation.settings import Settings
from neurflow.method.clustering import unit
from neurflow.method.concepts import Concept, find_concepts
from neurflow.method.core_neurons import core_neurons
from neurflow.pictures.crops import CropSet
from neurflow.refs import Member
from neurflow.runtime.float32 import full_float32
from neurflow.runtime.memory import Budget
from neurflow.runtime.progress import Silent
from neurflow.runtime.workspace import Workspace
from neurflow.study.activations import ModelOnImages, concept_images
from neurflow.study.study import Study, segments_of

CROPS = 16
"""number of strongest crops on which the lower neurons of a target are scored"""
ENOUGH = 30
"""number of recognised photographs that is sufficient"""
LAYERS = {
    "resnet18": ("layer3.1", "layer4.0", "layer4.1", "fc"),
    "mobilenet_v2": ("features.16", "features.17", "features.18", "classifier.1"),
    "vit": ("blocks.9", "blocks.10", "blocks.11", "head"),
}


def network(name: str, real: Path, device: str) -> Model:
    """Load one of the networks that are measured."""
    if name != "vit":
        return load(name, real, device)
    folders = sorted(folder.name for folder in (real / "images" / "imagenet20").iterdir())
    names = [folder.split("_", 1)[1].replace("_", " ") for folder in folders]
    return Model(vision_transformer(real).to(device), class_names=names)


def study_of(
    model: Model, folder: Path, work: Path, layers: Sequence[str], config: Config
) -> Study:
    """Make the study of a folder's class, on the photographs that the network recognises."""
    images = load_images(folder, model)
    target = model.target(folder.name.split("_", 1)[1].replace("_", " "))
    budget = Budget("2GB", Silent())
    runner = ModelOnImages(model, images, model.batch(budget), Silent())
    chosen: Sequence[int] = concept_images(runner, target, config).chosen
    if len(chosen) < ENOUGH:
        chosen = range(len(images))
    crops = CropSet(images, chosen, model.input_size[1:], config.granularities)
    segments = segments_of(model, layers)
    return Study(model, target, segments, crops, Workspace(work), budget, Silent())


def neurons_of(study: Study, config: Config) -> dict[str, set[int]]:
    """Return layer → the neurons that a circuit would have, by input × gradient."""
    found: dict[str, set[int]] = {}
    targets = {study.target.neuron}
    for pair in study.pairs():
        concepts = find_concepts(study, pair.upper, targets, config)
        brief = {a: strongest(concept) for a, concept in concepts.items()}
        scores = score_neurons("input_x_gradient", AttributionTask(study, pair, brief, config))
        targets = {
            int(s) for each in scores.values() for s in core_neurons(each.importance, config.tau)
        }
        found[pair.lower] = targets
    return found


def strongest(concept: Concept) -> Concept:
    """Return the strongest crops of a concept, as one meaning."""
    meaning = np.zeros(CROPS, dtype=np.int64)
    return Concept(concept.crops[:CROPS], concept.phi[:CROPS], meaning, concept.vectors[:1])


def measure(
    study: Study, layer: str, neurons: set[int], splits: int, eyes: np.ndarray | None
) -> dict[str, Any]:
    """Measure one layer; ``eyes`` are the class tokens of the crops, or None."""
    config = Config()
    whole = groups_on(study, layer, neurons, config)
    owners = np.concatenate([np.full(len(c.crops), a) for a, c in whole.concepts.items()])
    crops = np.concatenate([c.crops for c in whole.concepts.values()])
    items = Items(owners, crops, study.image_of[crops])
    meanings = np.concatenate([c.meaning for c in whole.concepts.values()])
    pairs = [Member(a, i) for a, i in zip(owners.tolist(), meanings.tolist(), strict=True)]
    own = np.array([whole.group_of[pair] for pair in pairs])
    alone = np.unique(np.array(pairs), axis=0, return_inverse=True)[1]
    kappas, _ = agreement_of_halves(study, layer, items, config, Settings(splits=splits))
    return {
        "layer": layer,
        "photographs": len(study.crops.chosen),
        "pairs": len(whole.group_of),
        "groups": len(set(whole.group_of.values())),
        "agreement": kappas,
        "largest": float(np.bincount(own).max() / len(own)),
        "purity": None
        if eyes is None
        else purity(eyes, items, own) / max(purity(eyes, items, alone), 1e-12),
    }


def eyes_of(vit: nn.Module, crops: CropSet) -> np.ndarray:
    """Return the class token ``[crop, feature]`` of the transformer, centred and of unit length."""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    spread = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    device, blocks = next(vit.parameters()).device, []
    for start in range(0, len(crops), 16):
        pixels = crops.pixels(np.arange(start, min(start + 16, len(crops))))
        with torch.inference_mode():
            fed = ((pixels - mean) / spread).to(device)
            blocks.append(vit.forward_features(fed)[:, 0].cpu())  # type: ignore[operator]
    seen = torch.cat(blocks).double().numpy()
    return unit(seen - seen.mean(0))


def row(record: Mapping[str, Any]) -> list[object]:
    """Return a row of the table."""
    kappas = record["agreement"]
    error = np.std(kappas) / len(kappas) ** 0.5
    return [
        record["class"],
        record["layer"],
        record["photographs"],
        f"{record['pairs']} → {record['groups']}",
        f"{np.mean(kappas):.2f} ± {error:.2f}",
        "–" if record["purity"] is None else f"{record['purity']:.2f}",
        f"{record['largest']:.2f}",
    ]


@full_float32()
def main() -> None:
    """Measure the classes of a network."""
    parser = arguments(__doc__)
    parser.add_argument("--network", choices=list(LAYERS), default="resnet18")
    parser.add_argument("--classes", default="", help="names; all by default")
    parser.add_argument("--splits", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--eyes", action="store_true", help="measure purity, which takes longer")
    parser.add_argument("--save", type=Path, help="file that records are added to, one JSON a line")
    options = parser.parse_args()
    if options.real is None:
        parser.error("--real FOLDER is needed: groups depend on trained weights and photographs")
    torch.set_num_threads(options.threads)
    model = network(options.network, options.real, options.device)
    judged = options.eyes and options.network != "vit"
    vit = vision_transformer(options.real).to(options.device) if judged else None
    config, rows = Config(), []
    for folder in sorted((options.real / "images" / "imagenet20").iterdir()):
        name = folder.name.split("_", 1)[1]
        if options.classes and name not in options.classes.split(","):
            continue
        with tempfile.TemporaryDirectory() as work:
            start = time.process_time()
            layers = LAYERS[options.network]
            study = study_of(model, folder, Path(work), layers, config)
            neurons = neurons_of(study, config)
            eyes = None if vit is None else eyes_of(vit, study.crops)
            for layer in reversed(layers[:-1]):
                found = measure(study, layer, neurons[layer], options.splits, eyes)
                record = {"network": options.network, "class": name, **found}
                rows.append(row(record))
                print(*rows[-1], flush=True)
                if options.save:
                    with options.save.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(record) + "\n")
            print(f"{name}: {time.process_time() - start:.0f} processor seconds", flush=True)
    head = ["class", "layer", "photographs", "pairs → groups", "agreement", "purity", "largest"]
    print(f"{machine(options.device)}\n\n{table(head, rows)}")


if __name__ == "__main__":
    main()
