"""``neurflow layers``: lists the layers of a network that can be studied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from neurflow.cli._command import command
from neurflow.cli._options import (
    AllowChance,
    ClassesAsText,
    ClassNames,
    InputSize,
    ModelReference,
    Output,
    Weights,
)
from neurflow.cli._terminal import Terminal

if TYPE_CHECKING:
    from neurflow.model.network.layers import LayerInfo


@command()
def layers(
    ui: Terminal,
    model: ModelReference,
    weights: Weights = "random",
    input_size: InputSize = None,
    class_names: ClassNames = None,
    output: Output = None,
    allow_chance: AllowChance = False,
    classes_as_text: ClassesAsText = False,
) -> None:
    """List the layers that can be studied, with shapes; * marks those studied by default."""
    from neurflow.model import load_model

    loaded = load_model(
        model,
        weights,
        input_size=input_size,
        class_names=class_names,
        output=output,
        allow_chance=allow_chance,
        classes_as_text=classes_as_text,
    )
    found = loaded.layers()
    proposed = ",".join(loaded.proposed_layers())
    for note in loaded.notes:
        ui.note(note)
    ui.result(
        {
            "model": model,
            "note": loaded.network.note,
            "notes": list(loaded.notes),
            "layers": [asdict(layer) for layer in found],
        },
        _table(found),
        Text(f"\n* studied by default, as with --layers {proposed}"),
    )


def _table(found: Sequence[LayerInfo]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("layer", overflow="fold")
    table.add_column("shape")
    table.add_column("kind")
    table.add_column("neurons", justify="right")
    for layer in found:
        shape = " × ".join(map(str, layer.shape))
        mark = "*" if layer.proposed else ""
        table.add_row(mark, Text(layer.name), shape, layer.kind, str(layer.neurons))
    return table
