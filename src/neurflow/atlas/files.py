"""The atlas's files: many circuits in one file a table, and those entered since in files of their own.

::

    DIR/atlas/
    ├── schema.json              version
    ├── TABLE.parquet            most circuits, packed
    ├── packed.json              which those are, and when each was entered
    └── new/TABLE/NAME.parquet   a circuit entered since; takes the place of a packed one of its name

1. A job enters its circuit as a file a table and waits for nobody; ``targets`` comes last and tells
   that the others are whole.
2. Once a quarter of the circuits is new, all are packed: a thousand files take ten times as long to
   read as one. So each circuit is packed a few times at most, however many come.
3. A kill in between loses nothing: what is new goes only when the packed files that hold it are listed.
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
"""bytes of the list of what is packed"""
NEW_SHARE = 0.25
"""of all circuits, that is packed together with the others"""
TOGETHER = dict.fromkeys(TABLES, 100_000) | {"group_vectors": 512, "thumbnails": 2048}
"""table → rows of a row group; fewer where rows are large, as a question reads whole row groups"""


@dataclass(frozen=True)
class Contents:
    """Which circuits an atlas holds, and where.

    Attributes:
        packed: name → nanoseconds since 1970 at which it was entered, of those in the packed files;
            None: it counts no longer.
        new: likewise, of those that have files of their own.
    """

    packed: Mapping[str, int | None]
    new: Mapping[str, int]

    @property
    def entered(self) -> dict[str, int]:
        """Name → when it was entered."""
        return {name: at for name, at in {**self.packed, **self.new}.items() if at is not None}

    @property
    def worth_packing(self) -> bool:
        """Whether enough is new."""
        return bool(self.new) and len(self.new) >= NEW_SHARE * len(self.entered)

    @property
    def hidden(self) -> list[str]:
        """What is not to be read of the packed files, whether they hold it or will in a moment."""
        return sorted({*self.new, *(name for name, at in self.packed.items() if at is None)})


def contents(atlas: Path) -> Contents:
    """What is there. Packed files that are not complete count as none: they can be made again."""
    # first what is new: a circuit leaves there only once it is listed as packed
    new = {}
    for file in (atlas / "new" / "targets").glob("*.parquet"):
        with contextlib.suppress(FileNotFoundError):  # it has been packed meanwhile
            new[file.stem] = file.stat().st_mtime_ns
    try:
        listed = read_json(atlas / PACKED, LARGEST, 8 * LARGEST)
        packed = {str(name): None if at is None else int(at) for name, at in listed.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        packed = {}
    whole = all(packed_file(atlas, table).exists() for table in TABLES)
    return Contents(packed if whole else {}, new)


def packed_file(atlas: Path, table: str) -> Path:
    """Where most circuits are."""
    return atlas / f"{table}.parquet"


def new_file(atlas: Path, table: str, name: str) -> Path:
    """Where a circuit is that was entered lately."""
    return atlas / "new" / table / f"{name}.parquet"


def write_new(atlas: Path, name: str, tables: Mapping[str, Any]) -> None:
    """Enter a circuit.

    Args:
        atlas: folder.
        name: of the circuit.
        tables: table → pyarrow table with the columns of ``TABLES``.
    """
    for table in reversed(TABLES):
        folder = subfolder(atlas.parent, atlas.name, "new", table)
        tidy(folder, new_file(atlas, table, name).name)
        _write(new_file(atlas, table, name), table, _by_layer(table, tables[table]))


def drop(atlas: Path, names: Sequence[str]) -> None:
    """Let circuits count no longer."""
    there = contents(atlas)
    _remove_new(atlas, names)
    listed = {**there.packed, **dict.fromkeys(names)}
    write_atomically(atlas / PACKED, json.dumps(listed).encode())


def pack(atlas: Path, *, progress: Progress | None = None) -> None:
    """Put all circuits into one file a table, if enough of them are new. Under the atlas's lock.

    Raises:
        ResultError: a file is damaged.
        WorkError: it cannot be written; nothing is lost.
    """
    there, progress = contents(atlas), progress or Silent()
    if not there.worth_packing:
        return
    tidy(atlas)
    import pyarrow as pa

    progress.start("packing the atlas", len(TABLES))
    for table in reversed(TABLES):  # targets last: what it lists is whole
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
    for table in TABLES:  # targets first: without it the others are not read
        for name in names:
            new_file(atlas, table, name).unlink(missing_ok=True)


def _write(file: Path, table: str, parts: Iterator[Any]) -> None:
    """Write a Parquet file of pyarrow tables, a row group each."""
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
    """Rows with vectors a layer at a time, so that a question to one layer skips the others."""
    if table != "group_vectors":
        yield rows
        return
    layers = rows.column("layer").to_pandas()
    for numbers in layers.groupby(layers, sort=False).indices.values():
        yield rows.take(numbers)


def _batches(atlas: Path, table: str, there: Contents) -> Iterator[Any]:
    """All rows that count: what is packed, then what is new; vectors layer by layer."""
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
            # a little ahead: rows may be large
            yield from data.to_batches(
                filter=part & counts,
                batch_size=TOGETHER[table],
                batch_readahead=1,
                fragment_readahead=1,
            )


def _together(batches: Iterator[Any], table: str) -> Iterator[Any]:
    """Batches joined to tables of at least so many rows; the last may have fewer."""
    import pyarrow as pa

    held: list[Any] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= TOGETHER[table]:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)
