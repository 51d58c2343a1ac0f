"""Figures of groups that tables show, each declared once.

``GROUP_COLUMNS`` lists them. Every entry becomes a column of the table ``groups`` of
``Circuit.to_frames``, an attribute of the nodes of ``Circuit.to_networkx``, and a column of the page's
table of groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from neurflow.circuit.types import CircuitLayer, NeuronGroup

Form = Literal["count", "number", "share"]
"""how the page writes a figure: as a whole number, with two decimals, or in per cent"""


@dataclass(frozen=True)
class GroupColumn:
    """A figure of a group.

    Attributes:
        name: column of the table.
        title: heading on the page.
        about: explanation on the page, with the range.
        form: how the page writes it.
        value: returns the figure, or None if it is not known. If it is known for no group, the page
            has no such column.
    """

    name: str
    title: str
    about: str
    form: Form
    value: Callable[[CircuitLayer, NeuronGroup], float | None]


def _stability(_: CircuitLayer, group: NeuronGroup) -> float | None:
    return group.stability.value if group.stability else None


GROUP_COLUMNS = (
    GroupColumn(
        "stability",
        "Stability",
        "similarity with the same group on resampled images, from 0 to 1",
        "number",
        _stability,
    ),
)


def figures(layer: CircuitLayer, group: NeuronGroup) -> dict[str, float]:
    """Return the known figures of a group by the names of their columns."""
    found = {column.name: column.value(layer, group) for column in GROUP_COLUMNS}
    return {name: value for name, value in found.items() if value is not None}
