"""The files of an atlas: packed files with many circuits, and separate files for new circuits.

::

    DIR/atlas/
    ├── schema.json              version
    ├── TABLE.parquet            most circuits, packed
    ├── packed.json              the names of these circuits, and when each was added
    └── new/TABLE/NAME.parquet   a circuit added later; it replaces a packed one of the same name

1. A job adds its circuit as one file per table, without waiting for other jobs. ``targets`` is written
   last: if it exists, the other tables are complete.
2. When a quarter of the circuits are new, all circuits are packed, because reading a thousand files
   takes ten times as long as reading one. Each circuit is thus packed only a few times, however many
   are added.
3. An interruption loses nothing: new files are deleted only after ``packed.json`` lists their circuits.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurflow.atlas.schema import TABLES, VECTOR, arrow_schema
from neurflow.errors import ResultError
from neurflow.runtime.extras import require
from neurflow.runtime.files import MEBIBYTE, read_json, replacing, subfolder, tidy, write_atomically
from neurflow.runtime.progress import Progress, Silent

PACKED = "packed.json"
MAX_BYTES = 64 * MEBIBYTE
"""largest size of ``packed.json``"""
NEW_SHARE = 0.25
"""share of new circuits at which all circuits are packed"""
ROW_GROUP = dict.fromkeys(TABLES, 100_000) | {"group_vectors": 512, "thumbnails": 2048}
"""table → number of rows of a row group; small for large rows, because queries read whole row groups"""


@dataclass(frozen=True)
class Contents:
    """The circuits of an atlas, and the files that they are in.

    Attributes:
        packed: name of a circuit in the packed files → time when it was added, in nanoseconds since
            1970; None if it was removed.
        new: the same for circuits with separate files.
    """

    packed: Mapping[str, int | None]
    new: Mapping[str, int]

    @property
    def entered(self) -> dict[str, int]:
        """Name → time when the circuit was added, without circuits that were removed."""
        return {name: at for name, at in {**self.packed, **self.new}.items() if at is not None}

    @property
    def worth_packing(self) -> bool:
        """Whether enough circuits are new to pack all of them."""
        return bool(self.new) and len(self.new) >= NEW_SHARE * len(self.entered)

    @property
    def hidden(self) -> list[str]:
        """Circuits to skip in the packed files: those with separate files, and removed ones."""
        return sorted({*self.new, *(name for name, at in self.packed.items() if at is None)})


def contents(atlas: Path) -> Contents:
    """List the circuits of an atlas; without the packed ones if a packed file is missing."""
    # New files come first: a circuit is removed from them only after it is listed as packed.
    new = {}
    for file in (atlas / "new" / "targets").glob("*.parquet"):
        with contextlib.suppress(FileNotFoundError):  # packed in the meantime
            new[file.stem] = file.stat().st_mtime_ns
    try:
        listed = read_json(atlas / PACKED, MAX_BYTES, 8 * MAX_BYTES)
        packed = {str(name): None if at is None else int(at) for name, at in listed.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        packed = {}
    whole = all(packed_file(atlas, table).exists() for table in TABLES)
    return Contents(packed if whole else {}, new)


def packed_file(atlas: Path, table: str) -> Path:
    """Return the packed file of a table."""
    return atlas / f"{table}.parquet"


def new_file(atlas: Path, table: str, name: str) -> Path:
    """Return the file of a table for a circuit that is not packed."""
    return atlas / "new" / table / f"{name}.parquet"


def write_new(atlas: Path, name: str, tables: Mapping[str, Any]) -> None:
    """Add a circuit as one file per table.

    Args:
        atlas: folder.
        name: name of the circuit.
        tables: table → pyarrow table with the columns of ``TABLES``.
    """
    for table in reversed(TABLES):
        folder = subfolder(atlas.parent, atlas.name, "new", table)
        tidy(folder, new_file(atlas, table, name).name)
        _write(new_file(atlas, table, name), table, _by_layer(table, tables[table]))


def drop(atlas: Path, names: Sequence[str]) -> None:
    """Remove circuits from the atlas."""
    found = contents(atlas)
    _remove_new(atlas, names)
    listed = {**found.packed, **dict.fromkeys(names)}
    write_atomically(atlas / PACKED, json.dumps(listed).encode())


def pack(atlas: Path, *, progress: Progress | None = None) -> None:
    """Pack all circuits into one file per table if enough are new. The caller must hold the lock.

    Raises:
        ResultError: a file is damaged.
        WorkError: a file cannot be written. Nothing is lost.
    """
    found, progress = contents(atlas), progress or Silent()
    if not found.worth_packing:
        return
    tidy(atlas)
    import pyarrow as pa

    progress.start("packing the atlas", len(TABLES))
    for table in reversed(TABLES):  # targets last: circuits that it lists are complete
        try:
            rows = _joined(_batches(atlas, table, found), table)
            _write(packed_file(atlas, table), table, rows)
        except pa.ArrowInvalid as error:
            raise ResultError(
                f"{atlas} is damaged: {error} Rebuild it: neurflow atlas query {atlas.parent} "
                "--renew"
            ) from None
        progress.advance()
    write_atomically(atlas / PACKED, json.dumps(found.entered).encode())
    _remove_new(atlas, list(found.new))


def _remove_new(atlas: Path, names: Sequence[str]) -> None:
    for table in TABLES:  # targets first: circuits that it lacks are not read from the other tables
        for name in names:
            new_file(atlas, table, name).unlink(missing_ok=True)


def _write(file: Path, table: str, parts: Iterator[Any]) -> None:
    """Write pyarrow tables to a Parquet file, each as one row group."""
    require("atlas")
    import pyarrow.parquet as pq

    schema = arrow_schema(table)
    vectors = [column for column, kind in TABLES[table].items() if kind == VECTOR]
    with (
        replacing(file) as handle,
        pq.ParquetWriter(
            handle,
            schema,
            compression="zstd",
            use_dictionary=[name for name in schema.names if name not in vectors],
            use_byte_stream_split=[f"{name}.list.element" for name in vectors],  # smaller
        ) as writer,
    ):
        for part in parts:
            writer.write_table(part)


def _by_layer(table: str, rows: Any) -> Iterator[Any]:
    """Yield rows, those with vectors layer by layer, so that queries on one layer skip the others."""
    if table != "group_vectors":
        yield rows
        return
    layers = rows.column("layer").to_pandas()
    for numbers in layers.groupby(layers, sort=False).indices.values():
        yield rows.take(numbers)


def _batches(atlas: Path, table: str, found: Contents) -> Iterator[Any]:
    """Yield all current rows, packed ones first; rows with vectors layer by layer."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    all_rows, hidden = ds.scalar(True), pa.array(found.hidden, pa.string())
    packed = [packed_file(atlas, table)] if found.packed else []
    new = [new_file(atlas, table, name) for name in sorted(found.new)]
    sources = [
        (ds.dataset([str(file) for file in files], schema=arrow_schema(table)), counts)
        for files, counts in ((packed, ~ds.field("circuit").isin(hidden)), (new, all_rows))
        if files
    ]
    parts = [all_rows]
    if table == "group_vectors":
        layers = [data.to_table(columns=["layer"]).column(0).unique() for data, _ in sources]
        names = dict.fromkeys(name for column in layers for name in column.to_pylist())
        parts = [ds.field("layer") == name for name in names]
    for part in parts:
        for data, counts in sources:
            # a small readahead, because rows may be large
            yield from data.to_batches(
                filter=part & counts,
                batch_size=ROW_GROUP[table],
                batch_readahead=1,
                fragment_readahead=1,
            )


def _joined(batches: Iterator[Any], table: str) -> Iterator[Any]:
    """Join batches into tables of at least ``ROW_GROUP`` rows; the last one may have fewer."""
    import pyarrow as pa

    pending: list[Any] = []
    for batch in batches:
        pending.append(batch)
        if sum(map(len, pending)) >= ROW_GROUP[table]:
            yield pa.Table.from_batches(pending)
            pending = []
    if pending:
        yield pa.Table.from_batches(pending)
