"""What an evaluation found: one typed table a protocol, and what could not be measured.

::

    Evaluation
    ├── settings, target, model, pictures
    ├── tables: Table, one a protocol
    │   ├── title, question, notes       what is measured, in words
    │   ├── rows: Row                    each protocol has its own
    │   └── chart: Chart                 how it is drawn
    ├── missing: protocol → why it could not be served
    └── robustness: what is known of groups and edges, for the circuit
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, SerializeAsAny

from neurflow.circuit.robustness_file import RobustnessFile
from neurflow.evaluation.settings import Settings
from neurflow.refs import Frozen, GroupId, ModelInfo, Target
from neurflow.stats import Interval

Figure = Interval | float | int | str | None
"""a cell: a figure with its interval, a number, or words"""


class Row(Frozen):
    """One line of a table; the descriptions of its fields are the column heads' explanation."""

    def cells(self) -> dict[str, Figure]:
        """Column → cell, in order."""
        return {name: getattr(self, name) for name in type(self).model_fields}


AnyRow = TypeVar("AnyRow", bound=Row)


class Chart(Frozen):
    """How a table is drawn: a panel for each value of some columns, a colour for each series."""

    x: str
    y: tuple[str, ...]
    """columns drawn against ``x``; several are several series"""
    series: tuple[str, ...] = ()
    """columns whose values tell lines apart"""
    panel: tuple[str, ...] = ()
    """columns whose values tell panels apart"""
    largest: str | None = None
    """a column of which only rows of the largest value are drawn"""
    y_label: str
    line: bool = False
    """``x`` is a quantity, and points are joined"""
    log: bool = False
    """``x`` on a logarithmic scale"""
    reference: float | None = None
    """a level worth a line"""


class Table(Frozen, Generic[AnyRow]):
    """What one protocol found."""

    protocol: str
    title: str
    question: str
    """what is measured, and how a good result looks"""
    chart: Chart
    rows: tuple[SerializeAsAny[AnyRow], ...]
    notes: tuple[str, ...] = ()
    """what a reader must know: settings that did not fit, rows that are missing and why"""
    robustness: RobustnessFile | None = None
    """figures for single groups and edges"""
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """that the measurement took"""

    @property
    def columns(self) -> dict[str, str]:
        """Column → what it says."""
        if not self.rows:
            return {}
        fields = type(self.rows[0]).model_fields
        return {name: field.description or "" for name, field in fields.items()}

    def records(self) -> Iterator[dict[str, Any]]:
        """Rows as flat records: a figure with an interval becomes three columns."""
        for row in self.rows:
            yield dict(_flat(row.cells()))


def _flat(cells: dict[str, Figure]) -> Iterator[tuple[str, Any]]:
    for name, cell in cells.items():
        if isinstance(cell, Interval):
            yield from ((name, cell.value), (f"{name}_low", cell.low), (f"{name}_high", cell.high))
        else:
            yield name, cell


class Evaluation(Frozen):
    """The tables of one circuit."""

    model: ModelInfo
    target: Target
    settings: Settings
    images: int
    """of the concept set"""
    held_out: int | None
    """pictures that the circuit was not made from, which answers and overlaps are measured on"""
    tables: tuple[SerializeAsAny[Table[Any]], ...]
    missing: dict[str, str] = Field(default_factory=dict)

    def table(self, protocol: str) -> Table[Any]:
        """The table of a protocol; ``KeyError`` if it was not measured."""
        return {table.protocol: table for table in self.tables}[protocol]

    @property
    def robustness(self) -> RobustnessFile:
        """What all tables say of single groups and edges."""
        return merged([t.robustness for t in self.tables if t.robustness is not None])


def merged(found: Sequence[RobustnessFile]) -> RobustnessFile:
    """Figures of several measurements together."""
    edges: dict[tuple[GroupId, GroupId], dict[str, Any]] = {}
    groups: dict[GroupId, Interval] = {}
    for part in found:
        groups |= part.groups
        for edge in part.edges:
            known = edges.setdefault((edge.upper, edge.lower), {})
            known |= edge.model_dump(exclude_none=True)
    return RobustnessFile.model_validate({"groups": groups, "edges": list(edges.values())})
