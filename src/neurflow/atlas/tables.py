"""The tables of an atlas; rows are added when a circuit is found.

| table | a row is |
| --- | --- |
| ``targets`` | a circuit: its target, sizes, model |
| ``layers`` | a layer of a circuit, with the mean of its groups' vectors |
| ``neurons`` | a neuron of a circuit |
| ``semantic_groups`` | a meaning of a neuron, with the group that it belongs to |
| ``groups`` | a group: the place of its crops in their pictures, and its weight to groups above |
| ``neuron_edges`` | the weight of a core neuron for a meaning |
| ``group_edges`` | the weight between two groups |
| ``group_crops`` | a crop of a group: picture and box |
| ``group_vectors`` | a group's mean concept vector: activations of the layer below on its crops |
| ``thumbnails`` | one of a group's first crops, as WebP |
| ``labels`` | a group's label, and its author |
| ``evidence`` | a measured value of a group or its label, with its interval |

``files`` defines the files, and ``schema.json`` has the version. Everything can be rebuilt from
``DIR/circuits`` (``renew``).
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neurflow.atlas.files import contents, drop, pack, write_new
from neurflow.atlas.schema import TABLES, VERSION, arrow_schema
from neurflow.circuit import Circuit, CircuitLayer, NeuronGroup, load_circuit
from neurflow.circuit.interactions import weights_are_shares
from neurflow.errors import MissingResult, ResultError
from neurflow.runtime.extras import require
from neurflow.runtime.files import guard_disk, lock, read_json, subfolder, write_atomically
from neurflow.runtime.progress import Progress, Silent
from neurflow.stats import Interval

SCHEMA = "schema.json"
SHOWN = 3
"""number of crops of a group that are stored as thumbnails"""
MANTISSA_MASK = 0xFFFFE000
"""bits of a float32 that are kept: 11 bits of precision, which halves the compressed size"""


def frames_of(name: str, circuit: Circuit) -> dict[str, pd.DataFrame]:
    """Return all tables of one circuit, with the columns of ``TABLES``."""
    plain, outgoing = circuit.to_frames(), defaultdict[str, float](float)
    for edge in circuit.edges:
        outgoing[edge.lower] += abs(edge.weight)
    rows = {
        "targets": [_target(circuit)],
        "layers": [
            (
                layer.name,
                place,
                len(layer.neurons),
                len(layer.groups),
                shortened(np.mean([_vector(layer, group) for group in layer.groups], axis=0)),
            )
            for place, layer in enumerate(circuit.layers)
        ],
        "groups": [
            (group.id, layer.name, *_place(group), outgoing[group.id])
            for layer, group in _groups(circuit)
        ],
        "group_crops": [
            (group.id, place, circuit.images[crop.image].name, *crop.box)
            for _, group in _groups(circuit)
            for place, crop in enumerate(group.crops)
        ],
        "group_vectors": [
            (group.id, layer.name, shortened(_vector(layer, group)))
            for layer, group in _groups(circuit)
        ],
        "thumbnails": [
            (group.id, place, circuit.thumbnails[crop])
            for _, group in _groups(circuit)
            for place, crop in enumerate(group.crops[:SHOWN])
            if crop in circuit.thumbnails
        ],
        "labels": [row for _, group in _groups(circuit) for row in _label(group)],
        "evidence": [(group.id, *row) for _, group in _groups(circuit) for row in _figures(group)],
    }
    made = {table: pd.DataFrame(rows[table], columns=list(TABLES[table])) for table in rows}
    found = {table: (plain | made)[table] for table in TABLES}
    for frame in found.values():
        frame.insert(0, "circuit", name)
    return found


def _groups(circuit: Circuit) -> Iterator[tuple[CircuitLayer, NeuronGroup]]:
    return ((layer, group) for layer in circuit.layers for group in layer.groups)


def _target(circuit: Circuit) -> tuple[Any, ...]:
    return (
        circuit.target.name,
        circuit.target.layer,
        circuit.target.neuron,
        circuit.target.minus,
        circuit.model.reference,
        circuit.model.digest,
        weights_are_shares(circuit.config),
        len(circuit.images),
        circuit.crop_count,
        sum(len(layer.neurons) for layer in circuit.layers),
        sum(len(layer.groups) for layer in circuit.layers),
        len(circuit.edges),
    )


def _place(group: NeuronGroup) -> tuple[Any, ...]:
    """Return a group's sizes, the mean centre of its crops, and their RMS distance from it."""
    boxes = np.array([crop.box for crop in group.crops], dtype=float).reshape(-1, 4)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    x, y = centres.mean(axis=0)
    return (
        len(group.members),
        len(group.crops),
        len({crop.image for crop in group.crops}),
        x,
        y,
        float(np.sqrt(centres.var(axis=0).sum())),
    )


def _vector(layer: CircuitLayer, group: NeuronGroup) -> np.ndarray:
    """Return ``[neuron of the layer below]``: the mean concept vector of a group's members."""
    parts = [layer.neurons[a].semantic_groups[i].concept_vector for a, i in group.members]
    return np.asarray(np.mean(parts, axis=0, dtype=np.float32))


def shortened(vector: np.ndarray) -> np.ndarray:
    """Return a float32 vector rounded towards 0, to three significant digits."""
    bits = np.ascontiguousarray(vector, dtype=np.float32).view(np.uint32)
    return (bits & np.uint32(MANTISSA_MASK)).view(np.float32)


def _label(group: NeuronGroup) -> Iterator[tuple[Any, ...]]:
    found = group.evidence
    if group.label is None:
        return
    yield (
        group.id,
        group.label,
        group.caption,
        *(
            (None,) * 6
            if found is None
            else (
                found.source,
                found.author,
                found.time.isoformat(),
                found.pinned,
                found.confidence,
                found.doubt,
            )
        ),
    )


def _figures(group: NeuronGroup) -> Iterator[tuple[str, float, float, float]]:
    """Yield the measured values of a group: name, value, and interval."""
    validation = group.evidence.validation if group.evidence else None
    concept = group.evidence.concept if group.evidence else None
    known: dict[str, Interval | None] = {
        "label_auprc": validation.auprc if validation else None,
        "label_chance": validation.chance if validation else None,
        "label_concept_auprc": concept.auprc if concept else None,
        "stability": group.stability,
    }
    yield from ((name, *found) for name, found in known.items() if found is not None)


def add_circuit(atlas: Path, name: str, circuit: Circuit) -> None:
    """Add a circuit to the atlas, or replace it.

    Raises:
        WorkError: the tables cannot be written.
    """
    write_tables(atlas, name, frames_of(name, circuit))


def write_tables(atlas: Path, name: str, frames: Mapping[str, pd.DataFrame]) -> None:
    """Write the tables of one circuit."""
    require("atlas")
    import pyarrow as pa

    subfolder(atlas.parent, atlas.name)
    write_atomically(atlas / SCHEMA, json.dumps({"schema_version": VERSION}).encode())
    tables = {
        table: pa.Table.from_pandas(
            frames[table], arrow_schema(table), preserve_index=False
        ).replace_schema_metadata()
        for table in TABLES
    }
    write_new(atlas, name, tables)


def up_to_date(atlas: Path) -> set[str]:
    """Return the circuits of the atlas that have not changed since they were added."""
    circuits = atlas.parent / "circuits"  # labels, edits and robustness are added later
    return {
        name
        for name, entered in contents(atlas).entered.items()
        if all(file.stat().st_mtime_ns <= entered for file in (circuits / name).glob("*.json"))
    }


def version_of(atlas: Path) -> int | None:
    """Return the schema version of an atlas; None if there is no atlas or it is damaged."""
    try:
        return int(read_json(atlas / SCHEMA)["schema_version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def renew(sweep: str | Path, *, whole: bool = False, progress: Progress | None = None) -> None:
    """Add circuits that the atlas lacks, or that were labelled, edited or measured since.

    Args:
        sweep: folder of the sweep.
        whole: whether the atlas is deleted and all circuits are added again. An atlas of another
            version is always rebuilt in this way.
        progress: receives steps, and notes on damaged circuits, which are left out.

    Raises:
        ResultError: there are no circuits, or the atlas is damaged.
        WorkError: the atlas cannot be written.
    """
    sweep, progress = Path(sweep), progress or Silent()
    atlas = sweep / "atlas"
    folders = [file.parent for file in (sweep / "circuits").glob("*/circuit.json")]
    if not folders:
        raise MissingResult(
            f"{sweep} has no circuits for an atlas. Find them first: neurflow sweep run"
        )
    if not whole and _is_fresh(atlas, folders):
        return
    subfolder(sweep, atlas.name)
    with guard_disk(atlas), lock(sweep / ".atlas.lock"):
        if whole or version_of(atlas) != VERSION:
            for old in atlas.iterdir():
                plain = old.is_dir() and not old.is_symlink()
                shutil.rmtree(old) if plain else old.unlink()
        current = up_to_date(atlas)
        missing = [folder for folder in sorted(folders) if folder.name not in current]
        if damaged := _add(missing, atlas, progress):
            drop(atlas, damaged)
        pack(atlas, progress=progress)


def add_newer(sweep: Path, atlas: Path, progress: Progress) -> frozenset[str]:
    """Add the circuits that the atlas of a sweep lacks, or that have changed since, to another atlas.

    Returns:
        Their names, including those of damaged circuits, which are left out.

    Raises:
        ResultError: all of them are damaged, and the sweep's own atlas is empty.
    """
    own = sweep / "atlas"
    current = up_to_date(own) if version_of(own) == VERSION else set()
    folders = [file.parent for file in (sweep / "circuits").glob("*/circuit.json")]
    newer = sorted(folder for folder in folders if folder.name not in current)
    if not newer:
        return frozenset()
    progress.note(
        f"{len(newer)} of {len(folders)} circuits are newer than the atlas and are read one by one. "
        f"Add them permanently: neurflow atlas query {sweep} --renew"
    )
    _add(newer, atlas, progress)
    if not (current or contents(atlas).new):
        raise ResultError(
            f"All circuits of {sweep} are damaged. Find them again: neurflow sweep run"
        )
    return frozenset(folder.name for folder in newer)


def _add(folders: Sequence[Path], atlas: Path, progress: Progress) -> list[str]:
    """Add circuits; return the names of damaged ones, which are reported and left out."""
    damaged = []
    progress.start("atlas", len(folders))
    for folder in folders:
        try:
            add_circuit(atlas, folder.name, load_circuit(folder))
        except ResultError as error:
            damaged.append(folder.name)
            progress.note(f"{folder.name} is left out of the atlas: {error}")
        progress.advance()
    return damaged


def _is_fresh(atlas: Path, folders: Sequence[Path]) -> bool:
    """Return whether nothing is to do, or only packing in a folder that is not writable."""
    if version_of(atlas) != VERSION or not {f.name for f in folders} <= up_to_date(atlas):
        return False
    return not contents(atlas).worth_packing or not os.access(atlas, os.W_OK)
