"""A circuit as text for a terminal of 80 columns, and as data for ``--json``.

Both forms are limited to the first ``top`` groups of a layer and the first ``top`` inputs of a group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from neurflow.circuit import Circuit, CircuitLayer, GroupEdge, NeuronGroup
from neurflow.circuit.evidence import evidence_data
from neurflow.cli._labels import evidence_lines, label_words
from neurflow.cli._terminal import plain
from neurflow.refs import Crop

WIDEST_ID = 20
UNRELIABLE = 0.2
"""groups with a reproducibility on halves of the images below this are highlighted"""


def counts(circuit: Circuit) -> str:
    """Return the size of a circuit in one line."""
    neurons = sum(len(layer.neurons) for layer in circuit.layers)
    groups = sum(len(layer.groups) for layer in circuit.layers)
    return ", ".join(
        (
            _count(len(circuit.images), "image"),
            _count(circuit.crop_count, "crop"),
            _count(len(circuit.layers), "layer"),
            _count(neurons, "neuron"),
            _count(groups, "group"),
        )
    )


def circuit_data(circuit: Circuit, layers: Sequence[CircuitLayer], top: int) -> dict[str, Any]:
    """Return the content of ``circuit_text`` as data."""
    return {
        "target": circuit.target.model_dump(),
        "model": circuit.model.model_dump(mode="json"),
        "images": len(circuit.images),
        "skipped": len(circuit.skipped),
        "crops": circuit.crop_count,
        "notes": list(circuit.notes),
        "layers": [
            {
                "name": layer.name,
                "neurons": len(layer.neurons),
                "groups": len(layer.groups),
                "score_error": layer.score_error,
                "cancellation": _cancellation(layer),
                "note": layer.note,
                "largest": [_brief(circuit, group, top) for group in layer.groups[:top]],
            }
            for layer in layers
        ],
    }


def _brief(circuit: Circuit, group: NeuronGroup, top: int) -> dict[str, Any]:
    brief: dict[str, Any] = {
        "id": group.id,
        "label": group.label,
        "members": len(group.members),
        "inputs": {edge.lower: edge.weight for edge in circuit.inputs(group.id)[:top]},
    }
    if (reproducibility := _layer_of(circuit, group).returns(group)) is not None:
        brief["returns"] = reproducibility
    return brief | ({"doubt": group.evidence.doubt} if group.evidence else {})


def _layer_of(circuit: Circuit, group: NeuronGroup) -> CircuitLayer:
    return circuit.layer(group.id.layer)


def _cancellation(layer: CircuitLayer) -> float | None:
    """Return the median of a layer's neurons; None at l_0 and in results of earlier versions."""
    known = [n.cancellation for n in layer.neurons.values() if n.cancellation is not None]
    return median(known) if known else None


def circuit_text(
    circuit: Circuit, layers: Sequence[CircuitLayer], top: int
) -> list[RenderableType]:
    """Return the circuit as text, from its target down: its groups and their strongest inputs."""
    shown: list[RenderableType] = [heading(circuit)]
    for layer in reversed(layers):
        title = Text.assemble(
            "\n",
            (plain(layer.name), "bold"),
            f"   {_count(len(layer.neurons), 'neuron')} in {_count(len(layer.groups), 'group')}",
            "" if layer.score_error is None else f", scores within {layer.score_error:.1%}",
            "" if (fold := _cancellation(layer)) is None else f", cancelling {fold:.3g}-fold",
        )
        shown += [title, _groups(circuit, layer.groups[:top], top)]
        if (rest := len(layer.groups) - top) > 0:
            shown.append(Text(f"  … and {_count(rest, 'smaller group')}", style="dim"))
        if layer.note:
            shown.append(Text(f"  {plain(layer.note)}", style="yellow"))
    if any(edge.certain is False for edge in circuit.edges):
        shown.append(
            Text("\n? On other photographs this weight may have the other sign.", style="dim")
        )
    shown += [Text(f"\nNote: {plain(note)}", style="yellow") for note in circuit.notes]
    return shown


def heading(circuit: Circuit) -> Text:
    """Return the target, the model and the size of a circuit."""
    return Text.assemble(
        (plain(circuit.target.name), "bold"),
        f" by {plain(circuit.model.reference)}\n{counts(circuit)}",
    )


def _groups(circuit: Circuit, groups: Iterable[NeuronGroup], top: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(overflow="fold", min_width=12, max_width=26)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for group in groups:
        name = Text(f"  {_short(group.id)}")
        if group.label:
            name.append("\n  ").append(label_words(group))
        inputs = _weights(circuit.inputs(group.id)[:top], upward=False)
        size = Text(_count(len(group.members), "member"))
        if (reproducibility := _layer_of(circuit, group).returns(group)) is not None:
            style = "dim" if reproducibility >= UNRELIABLE else "yellow"
            size.append(f"\nreproducibility {reproducibility:.2f}", style=style)
        table.add_row(name, size, Text("← ").append(inputs) if inputs else "")
    return table


def _short(id: str) -> str:
    """Return a group's id; of a long id only the end, since the heading has the layer's full name."""
    return plain(id if len(id) <= WIDEST_ID else f"…{id[1 - WIDEST_ID :]}")


def _weights(edges: Sequence[GroupEdge], upward: bool, known: bool = False) -> Text:
    """Return edges in one line, with a question mark where the sign is not certain.

    With ``known``, their p-value and stability too.
    """
    parts = []
    for edge in edges:
        style = "green" if edge.weight >= 0 else "red"
        doubt = "?" if edge.certain is False else ""
        number = Text(f"{edge.weight:+.2f}{doubt}", style=style)
        number.append(f" {_short(edge.upper if upward else edge.lower)}", style="default")
        if known and edge.positive and edge.negative:
            number.append(f" (for {edge.positive:.2f}, against {-edge.negative:.2f})", style="dim")
        if known and edge.low is not None:
            number.append(f" {edge.low:+.2f} to {edge.high:+.2f}", style="dim")
        if known and edge.significance is not None:
            number.append(f" p={edge.significance:.2g}", style="dim")
        if known and edge.stability is not None:
            number.append(f" same sign in {edge.stability:.0%}", style="dim")
        parts.append(number)
    return Text(", ").join(parts)


def group_data(circuit: Circuit, group: NeuronGroup, top: int) -> dict[str, Any]:
    """Return the content of ``group_text`` as data."""
    return {
        "id": group.id,
        "label": group.label,
        "caption": group.caption,
        "evidence": evidence_data(group.evidence),
        "rejected": [refused.model_dump(mode="json") for refused in group.rejected],
        "members": [
            {"neuron": a, "semantic_group": i, "weights": dict(strongest)}
            for a, i, strongest in _members(circuit, group, top)
        ],
        "stability": group.stability,
        "inputs": {edge.lower: edge.weight for edge in circuit.inputs(group.id)[:top]},
        "outputs": {edge.upper: edge.weight for edge in circuit.outputs(group.id)[:top]},
        "measured": [
            edge.model_dump()
            for edge in (*circuit.inputs(group.id)[:top], *circuit.outputs(group.id)[:top])
            if any(known is not None for known in (edge.low, edge.significance, edge.stability))
        ],
        "crops": [
            {"image": circuit.images[crop.image].name, "box": list(crop.box)}
            for crop in group.crops[:top]
        ],
    }


Strongest = list[tuple[int, float]]


def _members(circuit: Circuit, group: NeuronGroup, top: int) -> list[tuple[int, int, Strongest]]:
    """Return (neuron, semantic group, its strongest core neurons with weights) of the first members."""
    layer = circuit.layer(group.id.layer)
    found = []
    for a, i in group.members[:top]:
        weights = layer.neurons[a].semantic_groups[i].weights
        strongest = sorted(weights.items(), key=lambda item: -abs(item[1]))[:top]
        found.append((a, i, strongest))
    return found


def group_text(circuit: Circuit, group: NeuronGroup, top: int) -> RenderableType:
    """Return one group as text: its members with their core neurons, its inputs, outputs and crops."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for a, i, strongest in _members(circuit, group, top):
        driven = ", ".join(f"{weight:+.2f} {s}" for s, weight in strongest)
        table.add_row(f"  neuron {a}, meaning {i}", f"← neurons {driven}" if driven else "")
    if (rest := len(group.members) - top) > 0:
        table.add_row(f"  … and {rest} more", "")
    for title, edges, upward in (
        ("inputs", circuit.inputs(group.id), False),
        ("outputs", circuit.outputs(group.id), True),
    ):
        if edges:
            table.add_row(title, _weights(edges[:top], upward, known=True))
    table.add_row("crops", Text("\n".join(_crop(circuit, crop) for crop in group.crops[:top])))
    words = [label_words(group)] if group.label else []
    words += [Text(plain(group.caption), style="italic")] if group.caption else []
    trust = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    trust.add_column(no_wrap=True)
    trust.add_column(overflow="fold", ratio=1)
    for what, text in evidence_lines(group):
        trust.add_row(what, text)
    if group.stability is not None:
        trust.add_row("stability", "{:.2f} ({:.2f} … {:.2f})".format(*group.stability))
    if group.rejected:
        trust.add_row("rejected", ", ".join(plain(refused.label) for refused in group.rejected))
    size = f"   {_count(len(group.members), 'member')}, {_count(len(group.crops), 'crop')}"
    shown = [trust, table] if trust.row_count else [table]
    return Group(Text.assemble((plain(group.id), "bold"), size), *words, *shown)


def _crop(circuit: Circuit, crop: Crop) -> str:
    left, top, right, bottom = crop.box
    return f"{plain(circuit.images[crop.image].name)} at {left},{top} to {right},{bottom}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
