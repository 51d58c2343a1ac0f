"""SQL over an atlas, through DuckDB: a view for each table, and nothing else can be read or written.

The connection lives in memory. Once the views stand it is closed to the outside: a stranger's query
reads the atlas's folder and no other file, loads nothing, and cannot open it again; what is not a
SELECT is refused, so nothing is written. Nor does opening an atlas write to it: circuits that it
lacks, or that were labelled, edited or measured since, are entered in a temporary folder for this
reader alone.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from neurflow.atlas.files import Contents, contents, new_file, packed_file
from neurflow.atlas.schema import TABLES, VERSION
from neurflow.atlas.tables import enter_newer, version_of
from neurflow.errors import MissingResult, RequestError, ResultError
from neurflow.runtime.extras import require
from neurflow.runtime.progress import Progress, Silent

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Atlas:
    """The tables of a sweep.

    Args:
        folder: of the sweep, which is only read.
        memory: that a query may take, such as "1GB"; None leaves the choice to DuckDB.
        progress: told of circuits that are newer than the atlas, and of damaged ones.

    Circuits that are newer than the atlas are read as they are; ``renew`` enters them for good. What
    changes later is seen by another ``Atlas``.

    Raises:
        ResultError: there is no atlas, or a damaged one.
        RequestError: DuckDB is not installed.
    """

    def __init__(
        self, folder: str | Path, *, memory: str | None = None, progress: Progress | None = None
    ) -> None:
        self.folder = Path(folder) / "atlas"
        self._scratch = Path(tempfile.mkdtemp(prefix="neurflow-"))
        self._end = weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        self._newer = enter_newer(Path(folder), self._scratch / "atlas", progress or Silent())
        self._memory = memory
        self._connect()

    def query(self, sql: str, parameters: Any = None) -> pd.DataFrame:
        """The rows that a query gives.

        Args:
            sql: one SELECT over the tables; ``?`` stands for a parameter.
            parameters: for the question marks, in order.

        Raises:
            RequestError: the query is wrong, or wants what lies outside of the atlas.
        """
        return self._run(sql, parameters, "df")

    def _connect(self) -> None:
        if not self._newer:
            _check(self.folder)
        self._connection = _connect(self.folder, self._scratch, self._newer, self._memory)

    def _run(self, sql: str, parameters: Any, form: Literal["df", "to_arrow_table"]) -> Any:
        import duckdb

        def answer() -> Any:
            statements = self._connection.extract_statements(sql)
            if [each.type for each in statements] != [duckdb.StatementType.SELECT]:
                raise RequestError("The atlas answers one SELECT at a time, and changes nothing.")
            return getattr(self._connection.sql(sql, params=parameters), form)()

        try:
            try:
                return answer()
            except duckdb.IOException:  # another process has packed the files meanwhile
                self._connect()
                return answer()
        except duckdb.Error as error:
            raise RequestError(f"The query cannot be answered: {error}") from None

    def vectors(
        self, sql: str, parameters: Any = None
    ) -> Iterator[tuple[str, pd.DataFrame, np.ndarray]]:
        """Rows that have a ``layer`` and a ``vector``, layer by layer.

        Args:
            sql: as for ``query``; rows of one layer come one after another.
            parameters: for it.

        Yields:
            Layer, its rows' other columns, and ``[row, feature]``, not to be written to.

        Raises:
            RequestError: as for ``query``, or a layer has vectors of several lengths.
        """
        found = self._run(sql, parameters, "to_arrow_table")
        rows = found.drop_columns(["vector"]).to_pandas()
        vectors = found.column("vector").combine_chunks()
        ends = np.flatnonzero((rows.layer != rows.layer.shift(-1)).to_numpy()) + 1
        for begin, end in pairwise([0, *ends.tolist()]):
            layer, part = str(rows.layer.iloc[begin]), vectors.slice(begin, end - begin)
            if len(part.value_lengths().unique()) > 1:
                raise RequestError(
                    f"Layer {layer!r} has vectors of several lengths: it does not stand on the same "
                    "layer in all circuits."
                )
            matrix = part.flatten().to_numpy().reshape(len(part), -1)
            yield layer, rows.iloc[begin:end].reset_index(drop=True), matrix

    def close(self) -> None:
        """Let go of the tables."""
        self._connection.close()
        self._end()


def _connect(
    atlas: Path, scratch: Path, newer: Collection[str], memory: str | None
) -> DuckDBPyConnection:
    require("atlas")
    import duckdb

    settings: dict[str, Any] = {
        "autoinstall_known_extensions": "false",
        "temp_directory": str(scratch / "spilled"),
    }
    if memory is not None:
        settings["memory_limit"] = memory
    connection = duckdb.connect(":memory:", config=settings)
    folders = ", ".join(_quoted(folder.absolute()) for folder in (atlas, scratch))
    connection.execute(f"SET allowed_directories = [{folders}]")
    connection.execute("SET enable_external_access = false")
    try:
        try:
            _make_views(connection, atlas.absolute(), scratch / "atlas", newer)
        except duckdb.IOException:  # another process packs the files at this moment
            _make_views(connection, atlas.absolute(), scratch / "atlas", newer)
    except duckdb.Error as error:
        raise ResultError(
            f"{atlas} is damaged: {str(error).splitlines()[0]} "
            f"Make it again: neurflow atlas query {atlas.parent} --renew"
        ) from None
    connection.execute("SET lock_configuration = true")
    return connection


def _make_views(
    connection: DuckDBPyConnection, atlas: Path, fresh: Path, newer: Collection[str]
) -> None:
    there = contents(atlas) if version_of(atlas) == VERSION else Contents({}, {})
    entered = sorted(contents(fresh).new)
    for table in TABLES:
        rows = _rows(atlas, table, there, newer)
        if entered:
            rows.append(_of_files(new_file(fresh, table, name) for name in entered))
        connection.execute(f"CREATE OR REPLACE VIEW {table} AS {' UNION ALL '.join(rows)}")


def _rows(atlas: Path, table: str, there: Contents, newer: Collection[str]) -> list[str]:
    """SQL of all rows of a table that count, but those of circuits that are newer."""
    parts = []
    if there.packed:
        hidden = ", ".join(map(_quoted, sorted({*there.hidden, *newer})))
        which = f" WHERE circuit NOT IN ({hidden})" if hidden else ""
        parts.append(f"FROM read_parquet({_quoted(packed_file(atlas, table))}){which}")
    if new := sorted(there.new.keys() - set(newer)):
        parts.append(_of_files(new_file(atlas, table, name) for name in new))
    return parts


def _of_files(files: Iterable[Path]) -> str:
    return f"FROM read_parquet([{', '.join(map(_quoted, files))}])"


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _check(atlas: Path) -> None:
    found = version_of(atlas)
    if found == VERSION and contents(atlas).entered:
        return
    if found == VERSION or not atlas.is_dir():
        raise MissingResult(
            f"{atlas.parent} has no atlas yet. It begins with the first circuit of neurflow sweep run."
        )
    raise ResultError(
        f"{atlas} is {'damaged' if found is None else f'of schema version {found}'}, and the "
        f"circuits to make it again are not beside it; this neurflow reads version {VERSION}."
    )
