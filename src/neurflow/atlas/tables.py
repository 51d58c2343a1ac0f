"""The atlas's tables, as Parquet: a file a table and circuit, written when a circuit is found.

| table | a row is |
| --- | --- |
| ``targets`` | a circuit: its target, sizes, model |
| ``neurons`` | a neuron of a circuit |
| ``semantic_groups`` | a meaning of a neuron, with the group that holds it |
| ``groups`` | a group, with its label and the label's evidence |
| ``neuron_edges`` | weight of a core neuron for a meaning |
| ``group_edges`` | weight between groups |
| ``group_crops`` | a crop that a group is shown by: picture and box |

Columns are those of ``Circuit.to_frames``, after ``circuit``: the name of the job.
``DIR/atlas/TABLE/NAME.parquet`` is whole or not there; ``schema.json`` says the version.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from neurflow.circuit import Circuit
from neurflow.errors import RequestError
from neurflow.workspace import guard_disk, write_atomically

SCHEMA_VERSION = 1
TABLES = (
    "targets",
    "neurons",
    "semantic_groups",
    "groups",
    "neuron_edges",
    "group_edges",
    "group_crops",
)
SCHEMA = "schema.json"


def frames_of(name: str, circuit: Circuit) -> dict[str, pd.DataFrame]:
    """All tables of one circuit."""
    found = circuit.to_frames()
    found["targets"] = pd.DataFrame(
        [
            (
                circuit.target.name,
                circuit.target.layer,
                circuit.target.neuron,
                circuit.target.minus,
                circuit.model.reference,
                circuit.model.digest,
                len(circuit.images),
                circuit.crop_count,
                sum(len(layer.neurons) for layer in circuit.layers),
                sum(len(layer.groups) for layer in circuit.layers),
                len(circuit.edges),
            )
        ],
        columns=[
            "target",
            "layer",
            "neuron",
            "minus",
            "model",
            "digest",
            "images",
            "crops",
            "neurons",
            "groups",
            "edges",
        ],
    ).astype({"minus": "Int64"})
    found["group_crops"] = pd.DataFrame(
        [
            (group.id, place, circuit.images[crop.image].name, *crop.box)
            for layer in circuit.layers
            for group in layer.groups
            for place, crop in enumerate(group.crops)
        ],
        columns=["group", "place", "image", "left", "top", "right", "bottom"],
    )
    for frame in found.values():
        frame.insert(0, "circuit", name)
    return found


def keep_tables(atlas: Path, name: str, circuit: Circuit) -> None:
    """Enter a circuit in the atlas; what it said of that circuit before is replaced.

    Raises:
        WorkError: it cannot be written.
    """
    write_tables(atlas, name, frames_of(name, circuit))


def write_tables(atlas: Path, name: str, frames: Mapping[str, pd.DataFrame]) -> None:
    """Write one circuit's tables, ``targets`` last: what it lists is complete."""
    _pyarrow()
    with guard_disk(atlas):
        atlas.mkdir(parents=True, exist_ok=True)
    write_atomically(atlas / SCHEMA, json.dumps({"schema_version": SCHEMA_VERSION}).encode())
    for table in reversed(TABLES):
        data = io.BytesIO()
        _typed(frames[table]).to_parquet(data, engine="pyarrow", compression="zstd", index=False)
        file = _file(atlas, table, name)
        with guard_disk(file):
            file.parent.mkdir(exist_ok=True)
        write_atomically(file, data.getvalue())


def tables_there(atlas: Path, name: str) -> bool:
    """Whether a circuit is entered."""
    return _file(atlas, TABLES[0], name).exists()


def _file(atlas: Path, table: str, name: str) -> Path:
    return atlas / table / f"{name}.parquet"


TEXT = {"label", "caption", "label_source", "label_author", "label_time"}
TRUTH = {"label_pinned", "label_beats_chance"}


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of which nothing is known in one circuit have the type that they have in others."""
    types = {}
    for column in frame.columns:
        if column in TEXT:
            types[column] = "string"
        elif column in TRUTH:
            types[column] = "boolean"
        elif column == "steps":
            types[column] = "Int64"
        elif frame[column].dtype == object and frame[column].isna().all():
            types[column] = "Float64"
    return frame.astype(types)


def _pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise RequestError("The atlas needs pyarrow: pip install 'neurflow[atlas]'") from None
