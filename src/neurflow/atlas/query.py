"""SQL queries on an atlas, through DuckDB: one view per table, and no access to anything else.

The database is in memory. After the views are made, external access is locked: an untrusted query can
read the files of the atlas but no others, cannot load extensions, and cannot change these settings.
Only SELECT is accepted, so nothing is written. Opening an atlas does not modify it either. Circuits
that it lacks, or that were labelled, edited or measured since, are added to a temporary atlas.
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
from neurflow.atlas.tables import add_newer, version_of
from neurflow.errors import MissingResult, RequestError, ResultError
from neurflow.runtime.extras import require
from neurflow.runtime.progress import Progress, Silent

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Atlas:
    """The tables of a sweep.

    Args:
        folder: folder of the sweep; it is not modified.
        memory: memory limit of a query, such as "1GB"; None for DuckDB's default.
        progress: receives notes on damaged circuits and on circuits that are newer than the atlas.

    Circuits that are newer than the atlas are read one by one; ``renew`` adds them permanently. Later
    changes are not seen: open a new ``Atlas``.

    Raises:
        ResultError: there is no atlas, or it is damaged.
        RequestError: DuckDB is not installed.
    """

    def __init__(
        self, folder: str | Path, *, memory: str | None = None, progress: Progress | None = None
    ) -> None:
        self.folder = Path(folder) / "atlas"
        self._scratch = Path(tempfile.mkdtemp(prefix="neurflow-"))
        self._end = weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        self._newer = add_newer(Path(folder), self._scratch / "atlas", progress or Silent())
        self._memory = memory
        self._connect()

    def query(self, sql: str, parameters: Any = None) -> pd.DataFrame:
        """Return the rows of a query.

        Args:
            sql: one SELECT on the tables; ``?`` stands for a parameter.
            parameters: values of the parameters, in order.

        Raises:
            RequestError: the query is invalid, or reads something outside of the atlas.
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
                raise RequestError("An atlas accepts only one statement, which must be a SELECT.")
            return getattr(self._connection.sql(sql, params=parameters), form)()

        try:
            try:
                return answer()
            except duckdb.IOException:  # another process has packed the files
                self._connect()
                return answer()
        except duckdb.Error as error:
            raise RequestError(
                f"The query failed: {error}\nThe tables are {', '.join(TABLES)}."
            ) from None

    def vectors(
        self, sql: str, parameters: Any = None
    ) -> Iterator[tuple[str, pd.DataFrame, np.ndarray]]:
        """Yield rows with a ``layer`` and a ``vector``, layer by layer.

        Args:
            sql: as for ``query``; the rows of a layer must be contiguous.
            parameters: as for ``query``.

        Yields:
            Layer, the other columns of its rows, and ``[row, feature]``, which is read-only.

        Raises:
            RequestError: as for ``query``; or the vectors of a layer differ in length.
        """
        found = self._run(sql, parameters, "to_arrow_table")
        rows = found.drop_columns(["vector"]).to_pandas()
        vectors = found.column("vector").combine_chunks()
        ends = np.flatnonzero((rows.layer != rows.layer.shift(-1)).to_numpy()) + 1
        for begin, end in pairwise([0, *ends.tolist()]):
            layer, part = str(rows.layer.iloc[begin]), vectors.slice(begin, end - begin)
            if len(part.value_lengths().unique()) > 1:
                raise RequestError(
                    f"The vectors of layer {layer!r} differ in length, because the layer below it is "
                    "not the same in all circuits. Find all circuits with the same --layers."
                )
            matrix = part.flatten().to_numpy().reshape(len(part), -1)
            yield layer, rows.iloc[begin:end].reset_index(drop=True), matrix

    def close(self) -> None:
        """Close the connection and delete temporary files."""
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
        except duckdb.IOException:  # another process is packing the files
            _make_views(connection, atlas.absolute(), scratch / "atlas", newer)
    except duckdb.Error as error:
        raise ResultError(
            f"{atlas} is damaged: {str(error).splitlines()[0]} "
            f"Rebuild it: neurflow atlas query {atlas.parent} --renew"
        ) from None
    connection.execute("SET lock_configuration = true")
    return connection


def _make_views(
    connection: DuckDBPyConnection, atlas: Path, fresh: Path, newer: Collection[str]
) -> None:
    found = contents(atlas) if version_of(atlas) == VERSION else Contents({}, {})
    entered = sorted(contents(fresh).new)
    for table in TABLES:
        rows = _current_rows(atlas, table, found, newer)
        if entered:
            rows.append(_read_files(new_file(fresh, table, name) for name in entered))
        connection.execute(f"CREATE OR REPLACE VIEW {table} AS {' UNION ALL '.join(rows)}")


def _current_rows(atlas: Path, table: str, found: Contents, newer: Collection[str]) -> list[str]:
    """Return SQL for all current rows of a table, without circuits that are newer than the atlas."""
    parts = []
    if found.packed:
        hidden = ", ".join(map(_quoted, sorted({*found.hidden, *newer})))
        which = f" WHERE circuit NOT IN ({hidden})" if hidden else ""
        parts.append(f"FROM read_parquet({_quoted(packed_file(atlas, table))}){which}")
    if new := sorted(found.new.keys() - set(newer)):
        parts.append(_read_files(new_file(atlas, table, name) for name in new))
    return parts


def _read_files(files: Iterable[Path]) -> str:
    return f"FROM read_parquet([{', '.join(map(_quoted, files))}])"


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _check(atlas: Path) -> None:
    found = version_of(atlas)
    if found == VERSION and contents(atlas).entered:
        return
    if found == VERSION or not atlas.is_dir():
        raise MissingResult(
            f"{atlas.parent} has no atlas yet. It is made with the first circuit: neurflow sweep run"
        )
    raise ResultError(
        f"{atlas} is {'damaged' if found is None else f'of schema version {found}'}, and has no "
        f"circuits to rebuild it from. This neurflow reads version {VERSION}: run the sweep again."
    )
