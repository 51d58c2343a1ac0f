"""The result of an evaluation: a typed table for each protocol, and the protocols that failed.

::

    Evaluation
    ├── settings, target, model, pictures
    ├── tables: Table, one per protocol
    │   ├── title, question, notes       text
    │   ├── rows: Row                    each protocol has its own type
    │   └── chart: Chart                 how the table is drawn
    ├── missing: protocol → why it could not be measured
    └── robustness: stability and significance of groups and edges
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
"""a cell of a table: a value with its interval, a number, or text"""


class Row(Frozen):
    """One row of a table; the descriptions of its fields explain the columns."""

    def cells(self) -> dict[str, Figure]:
        """Return column → cell, in order."""
        return {name: getattr(self, name) for name in type(self).model_fields}


AnyRow = TypeVar("AnyRow", bound=Row)


class Chart(Frozen):
    """The chart of a table: a panel for each value of some columns, and a colour for each series."""

    x: str
    y: tuple[str, ...]
    """columns drawn against ``x``, each as a series"""
    series: tuple[str, ...] = ()
    """columns whose values define further series"""
    panel: tuple[str, ...] = ()
    """columns whose values define panels"""
    largest: str | None = None
    """column; only the rows with its largest value are drawn"""
    y_label: str
    line: bool = False
    """whether ``x`` is a quantity, and points are joined by lines"""
    log: bool = False
    """whether ``x`` has a logarithmic scale"""
    reference: float | None = None
    """value that is marked by a line"""


class Table(Frozen, Generic[AnyRow]):
    """The table of one protocol."""

    protocol: str
    title: str
    question: str
    """what is measured, and which values are good"""
    chart: Chart
    rows: tuple[SerializeAsAny[AnyRow], ...]
    notes: tuple[str, ...] = ()
    """notes for readers, such as omitted settings and the reason"""
    robustness: RobustnessFile | None = None
    """figures for single groups and edges"""
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """duration of the measurement"""

    @property
    def columns(self) -> dict[str, str]:
        """Column → its description."""
        if not self.rows:
            return {}
        fields = type(self.rows[0]).model_fields
        return {name: field.description or "" for name, field in fields.items()}

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield rows as flat records; a value with an interval becomes three columns."""
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
    """number of images of the concept set"""
    held_out: int | None
    """number of held-out pictures; None if none were given"""
    tables: tuple[SerializeAsAny[Table[Any]], ...]
    missing: dict[str, str] = Field(default_factory=dict)

    def table(self, protocol: str) -> Table[Any]:
        """Return the table of a protocol.

        Raises:
            KeyError: it was not measured.
        """
        return {table.protocol: table for table in self.tables}[protocol]

    @property
    def robustness(self) -> RobustnessFile:
        """The robustness of single groups and edges, from all tables."""
        return merged([t.robustness for t in self.tables if t.robustness is not None])


def merged(found: Sequence[RobustnessFile]) -> RobustnessFile:
    """Merge the robustness of several measurements."""
    edges: dict[tuple[GroupId, GroupId], dict[str, Any]] = {}
    groups: dict[GroupId, Interval] = {}
    for part in found:
        groups |= part.groups
        for edge in part.edges:
            known = edges.setdefault((edge.upper, edge.lower), {})
            known |= edge.model_dump(exclude_none=True)
    return RobustnessFile.model_validate({"groups": groups, "edges": list(edges.values())})
