"""``neurflow show``: a circuit in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from neurflow.cli._command import command
from neurflow.cli._options import Run, names
from neurflow.cli._terminal import Terminal
from neurflow.errors import RequestError


@command()
def show(
    ui: Terminal,
    run: Run,
    layer: Annotated[str | None, typer.Option(help="Show this layer only.")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="LAYER/NUMBER", help="Show this group in detail.")
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER=NUMBER,…",
            help="Cut this layer into this number of groups instead; repeat it for other layers.",
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Largest number of entries in each list.")] = 5,
) -> None:
    """Show a circuit in the terminal: the groups of each layer and what drives them."""
    from neurflow.circuit import load_circuit
    from neurflow.cli._summary import circuit_data, circuit_text, group_data, group_text

    if layer and group:
        raise RequestError("Give either --layer or --group, not both.")
    circuit = load_circuit(run)
    if groups:
        circuit = circuit.cut(dict(map(_cut, names(groups) or [])))
    if group:
        found = circuit.group(group)
        ui.result(group_data(circuit, found, top), group_text(circuit, found, top))
    else:
        layers = [circuit.layer(layer)] if layer else list(circuit.layers)
        ui.result(circuit_data(circuit, layers, top), *circuit_text(circuit, layers, top))


def _cut(text: str) -> tuple[str, int]:
    """Return the layer and the number of groups of ``LAYER=NUMBER``."""
    layer, _, number = text.rpartition("=")
    if not layer or not number.isdecimal():
        raise RequestError(
            f"{text!r} is not a valid cut. Give a layer and a number: --groups layer4.1=9"
        )
    return layer, int(number)
