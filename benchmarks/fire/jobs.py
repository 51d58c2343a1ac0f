"""The work that is done under fire: each a function of a folder, on a small network and drawn noise.

    python -m benchmarks.fire.jobs JOB FOLDER

A job resumes in its folder, and its result is the same however often it was stopped before. ``kept``
gives the bytes of a result by name; a part that is finished never changes.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import neurflow
from neurflow.circuit import LabelStore, change_edits
from neurflow.circuit.edits import Edits, merge
from neurflow.labels.manual import set_label

CLASSES = ("ant", "bee", "fly", "wasp")
MERGES = 3
CONFIG = neurflow.Config(tau=4, k=6, steps=4, granularities=(1.0, 0.5), groups=3, concept_set="all")


def model() -> neurflow.Model:
    """Three convolutions and a head, with seeded weights."""
    torch.manual_seed(0)
    widths = (3, 8, 12, 16)
    blocks = [
        nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        for a, b in itertools.pairwise(widths)
    ]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], len(CLASSES)))
    return neurflow.Model(
        nn.Sequential(*blocks, head).eval(), transform=_pixels, class_names=CLASSES
    )


def _pixels(picture: Image.Image) -> Tensor:
    small = np.asarray(picture.resize((32, 32)), dtype=np.float32)
    return torch.from_numpy(small.transpose(2, 0, 1) / 255)


def pictures() -> Tensor:
    """Noise ``[8, 3, 32, 32]``."""
    return torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def discover(folder: Path) -> None:
    """One circuit."""
    neurflow.discover(model(), pictures(), "bee", config=CONFIG, out=folder / "circuits" / "bee")


def sweep(folder: Path) -> None:
    """The circuits of all classes, and their atlas."""
    here = functools.partial(neurflow.sweep, model(), pictures(), list(CLASSES), folder)
    here(config=CONFIG)


def label(folder: Path) -> None:
    """A label for each group, by hand."""
    run = folder / "circuits" / "bee"
    if not (run / "circuit.json").exists():
        discover(folder)
    store = LabelStore(run)
    for layer in store.circuit.layers:
        for group in layer.groups:
            change = functools.partial(set_label, label=f"thing {group.id}", author="fire")
            store.update(group.id, change)


def edit(folder: Path) -> None:
    """Groups of one layer merged by hand, two by two, each merge an edit that is stored at once."""
    run = folder / "circuits" / "bee"
    if not (run / "circuit.json").exists():
        discover(folder)

    def merged(step: int, circuit: neurflow.Circuit, edits: Edits) -> Edits:
        groups = [group.id for group in circuit.layers[-2].groups]
        done = len(edits.done) > step
        return edits if done else merge(circuit, edits, groups[2 * step : 2 * step + 2])

    for step in range(MERGES):
        change_edits(run, functools.partial(merged, step))


JOBS: dict[str, Callable[[Path], None]] = {
    "discover": discover,
    "label": label,
    "edit": edit,
    "sweep": sweep,
}


def kept(folder: Path) -> dict[str, bytes]:
    """What is finished in a folder: each circuit with its arrays, labels and edits.

    Labels tell when they were given, so that of them only the words count.
    """
    found: dict[str, bytes] = {}
    for file in sorted(folder.glob("circuits/*/circuit.json")):
        name = file.parent.name
        found[name] = file.read_bytes()
        circuit = neurflow.load_circuit(file.parent)
        words = [(g.id, g.label) for layer in circuit.layers for g in layer.groups]
        found[f"{name}: words and groups"] = repr(words).encode()
    return found


if __name__ == "__main__":
    JOBS[sys.argv[1]](Path(sys.argv[2]))
