"""The files of an atlas: packed files with many circuits, and separate files of new circuits.

::

    DIR/atlas/
    ├── schema.json              version
    ├── TABLE.parquet            most circuits, packed
    ├── packed.json              the names of these circuits, and when each was added
    └── new/TABLE/NAME.parquet   a circuit added later, which replaces a packed one of the same name

1. A job adds its circuit as one file per table, without waiting for other jobs. ``targets`` is written
   last and shows that the other tables are complete.
2. When a quarter of the circuits are new, all of them are packed, because a thousand files take ten
   times as long to read as one. So each circuit is packed only a few times, however many are added.
3. An interruption loses nothing: new files are deleted only after the packed files with their content
   are listed.
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
LARGEST = 64 * MEBIBYTE
"""largest size of ``packed.json`` in bytes"""
NEW_SHARE = 0.25
"""share of new circuits from which on all circuits are packed"""
TOGETHER = dict.fromkeys(TABLES, 100_000) | {"group_vectors": 512, "thumbnails": 2048}
"""table → rows of a row group; fewer if rows are large, because a query reads whole row groups"""


@dataclass(frozen=True)
class Contents:
    """The circuits of an atlas, and the files that they are in.

    Attributes:
        packed: name of a circuit in the packed files → when it was added, in nanoseconds since 1970;
            None if it was dropped.
        new: the same for circuits with separate files.
    """

    packed: Mapping[str, int | None]
    new: Mapping[str, int]

    @property
    def entered(self) -> dict[str, int]:
        """Name → when the circuit was added."""
        return {name: at for name, at in {**self.packed, **self.new}.items() if at is not None}

    @property
    def worth_packing(self) -> bool:
        """Whether enough circuits are new."""
        return bool(self.new) and len(self.new) >= NEW_SHARE * len(self.entered)

    @property
    def hidden(self) -> list[str]:
        """Circuits to skip in the packed files, even if they are packed at this moment."""
        return sorted({*self.new, *(name for name, at in self.packed.items() if at is None)})


def contents(atlas: Path) -> Contents:
    """List the circuits of an atlas. Incomplete packed files count as none, as they can be rebuilt."""
    # new files first: a circuit is removed from them only after it is listed as packed
    new = {}
    for file in (atlas / "new" / "targets").glob("*.parquet"):
        with contextlib.suppress(FileNotFoundError):  # it was packed in the meantime
            new[file.stem] = file.stat().st_mtime_ns
    try:
        listed = read_json(atlas / PACKED, LARGEST, 8 * LARGEST)
        packed = {str(name): None if at is None else int(at) for name, at in listed.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        packed = {}
    whole = all(packed_file(atlas, table).exists() for table in TABLES)
    return Contents(packed if whole else {}, new)


def packed_file(atlas: Path, table: str) -> Path:
    """Return the packed file of a table."""
    return atlas / f"{table}.parquet"


def new_file(atlas: Path, table: str, name: str) -> Path:
    """Return the file of a table with one circuit that was added later."""
    return atlas / "new" / table / f"{name}.parquet"


def write_new(atlas: Path, name: str, tables: Mapping[str, Any]) -> None:
    """Add a circuit.

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
    there = contents(atlas)
    _remove_new(atlas, names)
    listed = {**there.packed, **dict.fromkeys(names)}
    write_atomically(atlas / PACKED, json.dumps(listed).encode())


def pack(atlas: Path, *, progress: Progress | None = None) -> None:
    """Pack all circuits into one file per table, if enough are new. The caller holds the atlas's lock.

    Raises:
        ResultError: a file is damaged.
        WorkError: a file cannot be written; nothing is lost.
    """
    there, progress = contents(atlas), progress or Silent()
    if not there.worth_packing:
        return
    tidy(atlas)
    import pyarrow as pa

    progress.start("packing the atlas", len(TABLES))
    for table in reversed(TABLES):  # targets last: the circuits that it lists are complete
        try:
            rows = _together(_batches(atlas, table, there), table)
            _write(packed_file(atlas, table), table, rows)
        except pa.ArrowInvalid as error:
            raise ResultError(
                f"{atlas} is damaged: {error} Rebuild it: neurflow atlas query {atlas.parent} "
                "--renew"
            ) from None
        progress.advance()
    write_atomically(atlas / PACKED, json.dumps(there.entered).encode())
    _remove_new(atlas, list(there.new))


def _remove_new(atlas: Path, names: Sequence[str]) -> None:
    for table in TABLES:  # targets first: without it the other tables are not read
        for name in names:
            new_file(atlas, table, name).unlink(missing_ok=True)


def _write(file: Path, table: str, parts: Iterator[Any]) -> None:
    """Write a Parquet file with one row group per pyarrow table."""
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
    """Yield rows with vectors layer by layer, so that a query on one layer skips the others."""
    if table != "group_vectors":
        yield rows
        return
    layers = rows.column("layer").to_pandas()
    for numbers in layers.groupby(layers, sort=False).indices.values():
        yield rows.take(numbers)


def _batches(atlas: Path, table: str, there: Contents) -> Iterator[Any]:
    """Yield all current rows: the packed ones, then the new ones; vectors layer by layer."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    all_rows, hidden = ds.scalar(True), pa.array(there.hidden, pa.string())
    packed = [packed_file(atlas, table)] if there.packed else []
    new = [new_file(atlas, table, name) for name in sorted(there.new)]
    sources = [
        (ds.dataset([str(file) for file in files], schema=arrow_schema(table)), counts)
        for files, counts in ((packed, ~ds.field("circuit").isin(hidden)), (new, all_rows))
        if files
    ]
    parts = [all_rows]
    if table == "group_vectors":
        layers = [data.to_table(columns=["layer"]).column(0).unique() for data, _ in sources]
        names = dict.fromkeys(name for found in layers for name in found.to_pylist())
        parts = [ds.field("layer") == name for name in names]
    for part in parts:
        for data, counts in sources:
            # little readahead, because rows may be large
            yield from data.to_batches(
                filter=part & counts,
                batch_size=TOGETHER[table],
                batch_readahead=1,
                fragment_readahead=1,
            )


def _together(batches: Iterator[Any], table: str) -> Iterator[Any]:
    """Join batches to tables of at least ``TOGETHER`` rows; the last may have fewer."""
    import pyarrow as pa

    held: list[Any] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= TOGETHER[table]:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)
