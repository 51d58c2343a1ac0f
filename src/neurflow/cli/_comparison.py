"""Comparisons of two circuits as text for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from neurflow.circuit import Circuit
from neurflow.cli._terminal import plain
from neurflow.comparison.result import (
    Comparison,
    EdgePair,
    GroupPair,
    LayerComparison,
    Side,
    Unmatched,
)
from neurflow.refs import GroupId
from neurflow.stats import Interval


def comparison_text(found: Comparison, top: int) -> Iterator[RenderableType]:
    """Yield shared groups, layer by layer from the target down, and the edges that change most."""
    yield from _heading(found)
    table = _table("layer", "shared", "only A", "only B", "similarity", "chance", "edges", "ρ")
    for layer in reversed(found.layers):
        chances = [pair.chance for pair in layer.pairs if pair.chance]
        table.add_row(
            plain(layer.name),
            str(len(layer.pairs)),
            str(len(layer.only_a)),
            str(len(layer.only_b)),
            "targets" if _targets(layer) else _figure(layer.similarity),
            _figure(sum(c.value for c in chances) / len(chances) if chances else None),
            f"{_share(layer.carried[0])} / {_share(layer.carried[1])}",
            _figure(layer.correlation, "+.2f"),
        )
    yield table
    yield Text(
        "similarity: mean over shared groups; chance: the same for random groups of these sizes; "
        "edges: share of the weight into the layer that runs between shared groups, in A / B; "
        "ρ: rank correlation of these edges' weights in A and B",
        style="dim",
    )
    for name, side in (("A", found.a), ("B", found.b)):
        if side.only:
            yield Text(f"Layers of {name} alone: {', '.join(map(plain, side.only))}")
    edges = [edge for layer in found.layers for edge in layer.edges]
    if edges:
        yield Text("\nEdges that change most", style="bold")
        yield _edges(sorted(edges, key=lambda edge: -abs(edge.change))[:top])


def layer_text(
    a: Circuit, b: Circuit, found: Comparison, name: str, top: int
) -> Iterator[RenderableType]:
    """Yield one layer: matched groups, groups of only one circuit, and edges."""
    layer = next(layer for layer in found.layers if layer.name == name)
    yield from _heading(found)
    yield Text(_counts(layer), style="bold")
    if layer.pairs:
        table = _table("A", "B", "similarity", "chance", "neurons", "label in A", "label in B")
        for pair in layer.pairs[:top]:
            table.add_row(*_pair(a, b, pair))
        yield table
    for side, circuit, left in (("A", a, layer.only_a), ("B", b, layer.only_b)):
        if left:
            yield Text(f"\nOnly in {side}", style="bold")
            yield _alone(circuit, left[:top])
    if layer.edges:
        yield Text("\nEdges from the layer below that change most", style="bold")
        yield _edges(layer.edges[:top])


def _heading(found: Comparison) -> Iterator[Text]:
    yield _side("A", found.a)
    yield _side("B", found.b)
    yield Text(
        f"Groups are compared by {found.by}: {found.reason}. The circuits have {found.images} "
        f"pictures in common; a pair needs a similarity of {found.threshold:g}.\n"
    )


def _side(letter: str, side: Side) -> Text:
    return Text.assemble(
        f"{letter}  ",
        (plain(side.target.name), "bold"),
        f" by {plain(side.model.reference)}, weights {side.model.digest[:12]}…, {side.images} images",
    )


def _counts(layer: LayerComparison) -> str:
    return (
        f"{plain(layer.name)}   {len(layer.pairs)} shared, {len(layer.only_a)} only in A, "
        f"{len(layer.only_b)} only in B"
    )


def _targets(layer: LayerComparison) -> bool:
    return any(pair.matched_by == "target" for pair in layer.pairs)


def _pair(a: Circuit, b: Circuit, pair: GroupPair) -> Sequence[str]:
    overlap = pair.neurons
    return (
        _number(pair.a),
        _number(pair.b),
        f"{pair.similarity:.2f}" + (" (the targets)" if pair.matched_by == "target" else ""),
        _chance(pair.chance),
        f"{len(overlap.common)} common, {len(overlap.only_a)} / {len(overlap.only_b)}"
        if overlap
        else "-",
        plain(a.group(pair.a).label or ""),
        plain(b.group(pair.b).label or ""),
    )


def _alone(circuit: Circuit, left: Sequence[Unmatched]) -> Table:
    table = _table("group", "neurons", "nearest", "similarity", "chance", "label")
    for one in left:
        group = circuit.group(one.id)
        table.add_row(
            _number(one.id),
            str(len(group.neurons)),
            _number(one.nearest),
            f"{one.similarity:.2f}",
            _chance(one.chance),
            plain(group.label or ""),
        )
    return table


def _edges(edges: Sequence[EdgePair]) -> Table:
    table = _table("into (A / B)", "from (A / B)", "in A", "in B", "change")
    for edge in edges:
        table.add_row(
            _ends(edge.upper),
            _ends(edge.lower),
            _figure(edge.weight_a, "+.2f"),
            _figure(edge.weight_b, "+.2f"),
            Text(f"{edge.change:+.2f}", style="green" if edge.change >= 0 else "red"),
        )
    return table


def _ends(ids: tuple[GroupId, GroupId]) -> str:
    return plain(f"{ids[0]} / {_number(ids[1])}")


def _number(id: GroupId) -> str:
    return str(id.number)


def _chance(value: Interval | None) -> str:
    return "-" if value is None else f"{value.value:.2f} (to {value.high:.2f})"


def _figure(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else format(value, form)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
