"""Groups on the demo's drawn pictures, in which the parts of every crop are known.

    python -m benchmarks.groups [--pictures 30] [--classes bee,taxi] [--seed 0] [--write]

The circuit of each class is found with the default grouping and with the earlier one (concept vectors,
Ward, silhouette; Gaussian meanings; no limit of crops per image). For each layer below the logits, the
table has the adjusted mutual information of an item's group with the part that covers most of its crop.
Items are (neuron, crop) pairs; 0 is chance. ``--write`` puts the table into ``docs/groups.md``.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score

from benchmarks.page import publish, table
from neurflow import Config, discover, load_images
from neurflow.circuit import Circuit, CircuitLayer
from neurflow.demo.network import LAYERS, demo_model
from neurflow.demo.pictures import CLASSES, Picture, picture
from neurflow.refs import Crop

PAGE = Path(__file__).parents[1] / "docs" / "groups.md"
RULES: Mapping[str, Config] = {
    "earlier": Config(grouping="silhouette", meanings="gaussian", crops_per_image=None),
    "default": Config(),
}
FIRST = 10**6
"""first seed of pictures that the demo's network was not trained on"""


def shown(drawn: Picture, crop: Crop) -> str:
    """Return the part that covers most of a crop; "nothing" if there is none."""
    left, top, right, bottom = crop.box

    def area(box: Sequence[int]) -> int:
        width = min(right, box[2]) - max(left, box[0])
        height = min(bottom, box[3]) - max(top, box[1])
        return max(width, 0) * max(height, 0)

    found = {part.name: area(part.box) for part in (*drawn.parts, *drawn.distractors)}
    return max(found, key=found.__getitem__) if any(found.values()) else "nothing"


def information(circuit: Circuit, layer: CircuitLayer, drawn: Mapping[str, Picture]) -> float:
    """Return the adjusted mutual information of group and part over a layer's (neuron, crop) pairs."""
    group_of = {m: g for g, group in enumerate(layer.groups) for m in group.members}
    groups, parts = [], []
    for a, neuron in layer.neurons.items():
        for i, meaning in enumerate(neuron.semantic_groups):
            for position in meaning.crops:
                crop = neuron.crops[position]
                groups.append(group_of[a, i])  # type: ignore[index]
                parts.append(shown(drawn[circuit.images[crop.image].name], crop))
    return float(adjusted_mutual_info_score(parts, groups))


def measure(name: str, pictures: int, seed: int) -> dict[str, dict[str, tuple[float, int, float]]]:
    """Return rule → layer → (information, groups, share of the pairs in the largest) for a class."""
    model = demo_model()
    drawn = [picture(name, FIRST + 2 * (seed * pictures + i) + 1) for i in range(pictures)]
    images = load_images([p.image for p in drawn], model)
    by_name = {ref.name: p for ref, p in zip(images.refs, drawn, strict=True)}
    found = {}
    for rule, config in RULES.items():
        circuit = discover(model, images, name, LAYERS, config)
        found[rule] = {
            layer.name: (
                information(circuit, layer, by_name),
                len(layer.groups),
                len(layer.groups[0].members) / sum(len(g.members) for g in layer.groups),
            )
            for layer in circuit.layers[:-1]
        }
    return found


def main() -> None:
    """Measure, print, and write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=30)
    parser.add_argument("--classes", default=",".join(CLASSES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    names = given.classes.split(",")
    results = {name: measure(name, given.pictures, given.seed) for name in names}
    rows = []
    for layer in next(iter(results.values()))["default"]:
        row = [layer]
        for rule in RULES:
            values = np.array([results[name][rule][layer] for name in names])
            row += [f"{values[:, 0].mean():.3f}", f"{values[:, 1].mean():.1f}"]
            row += [f"{values[:, 2].mean():.2f}"]
        rows.append(row)
    heads = [f"{rule}: {what}" for rule in RULES for what in ("AMI", "groups", "largest")]
    publish("drawn", table(["layer", *heads], rows), write=given.write, page=PAGE)


if __name__ == "__main__":
    main()
