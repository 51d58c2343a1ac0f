"""The jobs of the campaigns. Each is a function of a folder, on a small network and pictures of noise.

A job that was interrupted resumes in its folder, and its result does not depend on interruptions.
``prepare`` makes the initial folder of a job. ``kept`` returns the finished parts; a finished part
never changes.
"""

from __future__ import annotations

import functools
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import neurflow
from neurflow.atlas import Atlas
from neurflow.atlas.files import contents
from neurflow.atlas.schema import TABLES
from neurflow.atlas.tables import add_circuit, renew, up_to_date
from neurflow.circuit import LabelStore, change_edits, load_edits
from neurflow.circuit.edits import Edits, apply, merge, split
from neurflow.labels.manual import set_label

CLASSES = ("ant", "bee", "fly", "wasp")
EDITS = 8
CIRCUITS = 4
"""number of circuits in the atlas that is packed"""
CONFIG = neurflow.Config(tau=4, k=6, steps=4, granularities=(1.0, 0.5), groups=3, concept_set="all")


def model() -> neurflow.Model:
    """Return a network of three convolutions and a head, with random weights from a seed."""
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
    small = np.asarray(picture.convert("RGB").resize((32, 32)), dtype=np.float32)
    return torch.from_numpy(small.transpose(2, 0, 1) / 255)


def pictures() -> Tensor:
    """Return pictures of noise, ``[8, 3, 32, 32]``."""
    return torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def discover(folder: Path) -> None:
    """Find one circuit."""
    neurflow.discover(model(), pictures(), "bee", config=CONFIG, out=folder / "circuits" / "bee")


def sweep(folder: Path) -> None:
    """Find the circuits of two classes, and make their atlas."""
    neurflow.sweep(model(), pictures(), list(CLASSES[:2]), folder, config=CONFIG)


def label(folder: Path) -> None:
    """Set a label for each group."""
    store = LabelStore(folder / "circuits" / "bee")
    for layer in store.circuit.layers:
        for group in layer.groups:
            change = functools.partial(set_label, label=f"thing {group.id}", author="fire")
            store.update(group.id, change)


def edit(folder: Path) -> None:
    """Merge and split groups, and store each edit at once."""
    for step in range(EDITS):
        change_edits(folder / "circuits" / "bee", functools.partial(_edited, step))


def _edited(step: int, circuit: neurflow.Circuit, edits: Edits) -> Edits:
    """Merge two groups or split one, unless this step is already done; return all edits."""
    if len(edits.done) > step:
        return edits
    for layer in apply(circuit, edits).layers:
        large = next((group for group in layer.groups if len(group.members) > 1), None)
        if step % 2 == 0 and large:
            return split(circuit, edits, large.id, large.members[:1])
        if step % 2 and len(layer.groups) > 1:
            return merge(circuit, edits, [group.id for group in layer.groups[:2]])
    raise AssertionError("there is nothing to edit")


def pack(folder: Path) -> None:
    """Add circuits to an atlas one by one, and pack it in between."""
    for place in sorted((folder / "circuits").iterdir()):
        if place.name not in up_to_date(folder / "atlas"):
            add_circuit(folder / "atlas", place.name, neurflow.load_circuit(place))
        if int(place.name[-1]) % 2 == 0:
            renew(folder)
    renew(folder)


JOBS: dict[str, Callable[[Path], None]] = {
    "discover": discover,
    "label": label,
    "edit": edit,
    "sweep": sweep,
    "pack": pack,
}


def prepare(job: str, folder: Path) -> None:
    """Make the initial folder of a job."""
    folder.mkdir(parents=True, exist_ok=True)
    if job in ("label", "edit", "pack") and not (folder / "circuits").exists():
        discover(folder)
    if job == "pack":
        found = folder / "circuits" / "bee"
        for number in range(CIRCUITS):
            circuit = neurflow.load_circuit(found)
            circuit.save(folder / "circuits" / f"bee{number}")
        shutil.rmtree(found)


def kept(folder: Path) -> dict[str, bytes]:
    """Return the finished parts in a folder: circuits, labels, edits, and the circuits in the atlas."""
    found: dict[str, bytes] = {}
    for file in sorted(folder.glob("circuits/*/circuit.json")):
        name = file.parent.name
        found[f"circuit {name}"] = file.read_bytes()
        circuit = neurflow.load_circuit(file.parent)
        groups = [group for layer in circuit.layers for group in layer.groups]
        found |= {f"label {name} {g.id}": g.label.encode() for g in groups if g.label}
        done = load_edits(file.parent).done
        found |= {f"edit {name} {i}": repr(each).encode() for i, each in enumerate(done)}
    found |= {f"atlas {name}": b"" for name in contents(folder / "atlas").entered}
    return found


def result(folder: Path) -> dict[str, bytes]:
    """Return the result of a finished job; only the text of a label is compared, as its time varies."""
    made = kept(folder)
    if (folder / "atlas").is_dir():
        atlas = Atlas(folder)
        rows = {table: atlas.query(f"SELECT * FROM {table} ORDER BY ALL") for table in TABLES}
        made |= {f"table {name}": repr(rows[name].to_dict("list")).encode() for name in rows}
    return made
