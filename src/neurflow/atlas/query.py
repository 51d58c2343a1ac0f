"""SQL over an atlas, through DuckDB: a view for each table, and nothing else can be read or written.

The connection lives in memory. Once the views stand it is closed to the outside: a stranger's query
reads the atlas's folder and no other file, loads nothing, and cannot open it again; what is not a
SELECT is refused, so nothing is written.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from neurflow.atlas.schema import TABLES, VERSION
from neurflow.atlas.tables import renew, version_of
from neurflow.errors import RequestError, ResultError, WorkError
from neurflow.progress import Progress

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Atlas:
    """The tables of a sweep.

    Args:
        folder: of the sweep. Circuits that were labelled, edited or measured since they were entered
            are entered anew; where the folder cannot be written, a warning says so.
        memory: that a query may take, such as "1GB"; None leaves the choice to DuckDB.
        progress: told of circuits as they are entered.

    Raises:
        ResultError: there is no atlas.
        RequestError: DuckDB is not installed.
    """

    def __init__(
        self, folder: str | Path, *, memory: str | None = None, progress: Progress | None = None
    ) -> None:
        self.folder = Path(folder) / "atlas"
        if any((Path(folder) / "circuits").glob("*/circuit.json")):
            try:
                renew(folder, progress=progress)
            except WorkError as error:
                warnings.warn(f"The atlas may be older than its circuits. {error}", stacklevel=2)
        _check(self.folder)
        self._connection = _connect(self.folder, memory)

    def query(self, sql: str, parameters: Any = None) -> pd.DataFrame:
        """The rows that a query gives.

        Args:
            sql: one SELECT over the tables; ``?`` stands for a parameter.
            parameters: for the question marks, in order.

        Raises:
            RequestError: the query is wrong, or wants what lies outside of the atlas.
        """
        return self._run(sql, parameters, "df")

    def _run(self, sql: str, parameters: Any, form: Literal["df", "to_arrow_table"]) -> Any:
        import duckdb

        try:
            statements = self._connection.extract_statements(sql)
            if [each.type for each in statements] != [duckdb.StatementType.SELECT]:
                raise RequestError("The atlas answers one SELECT at a time, and changes nothing.")
            return getattr(self._connection.sql(sql, params=parameters), form)()
        except duckdb.Error as error:
            raise RequestError(f"The query cannot be answered: {error}") from None

    def vectors(
        self, sql: str, parameters: Any = None
    ) -> Iterator[tuple[str, pd.DataFrame, np.ndarray]]:
        """Rows that have a ``layer`` and a ``vector``, layer by layer.

        Yields:
            Layer, its rows' other columns, and ``[row, feature]``.

        Raises:
            RequestError: as for ``query``, or a layer has vectors of several lengths.
        """
        found = self._run(sql, parameters, "to_arrow_table")
        rows = found.drop_columns(["vector"]).to_pandas()
        for layer, numbers in rows.groupby("layer").indices.items():
            part = found.column("vector").take(numbers).combine_chunks()
            if len(part.value_lengths().unique()) > 1:
                raise RequestError(
                    f"Layer {layer!r} has vectors of several lengths: it does not stand on the same "
                    "layer in all circuits."
                )
            matrix = part.flatten().to_numpy(zero_copy_only=False).reshape(len(part), -1)
            yield str(layer), rows.iloc[numbers].reset_index(drop=True), matrix

    def close(self) -> None:
        """Let go of the tables."""
        self._connection.close()


def _connect(atlas: Path, memory: str | None) -> DuckDBPyConnection:
    try:
        import duckdb
    except ImportError:
        raise RequestError("The atlas needs DuckDB: pip install 'neurflow[atlas]'") from None
    settings: dict[str, Any] = {"autoinstall_known_extensions": "false"}
    if memory is not None:
        settings["memory_limit"] = memory
    connection = duckdb.connect(":memory:", config=settings)
    quoted = str(atlas.absolute()).replace("'", "''")
    connection.execute(f"SET allowed_directories = ['{quoted}']")
    connection.execute("SET enable_external_access = false")
    for table in TABLES:
        connection.execute(
            f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{quoted}/{table}/*.parquet')"
        )
    connection.execute("SET lock_configuration = true")
    return connection


def _check(atlas: Path) -> None:
    if not (atlas / "targets").is_dir():
        raise ResultError(
            f"{atlas.parent} has no atlas yet: it begins with the first circuit of neurflow sweep."
        )
    found = version_of(atlas)
    if found != VERSION:
        raise ResultError(
            f"{atlas} is {'damaged' if found is None else f'of schema version {found}'}, and the "
            f"circuits to make it again are not beside it; this neurflow reads version {VERSION}."
        )
