"""The options that name the model of a result anew."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from neurflow.circuit import Circuit

ModelAgain = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="The model, where the result's own reference is not followed (file:, hf:, onnx:) or "
        "does not lead to it any more.",
        show_default="that of the result",
        rich_help_panel="Model",
    ),
]
WeightsAgain = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE|NAME",
        help="Its weights.",
        show_default="those of the result",
        rich_help_panel="Model",
    ),
]


def naming(circuit: Circuit) -> str:
    """What a command on this result needs so that its model is found: an option, or nothing."""
    from neurflow.circuit.reload import must_be_named

    reference = circuit.model.reference
    return f" --model {shlex.quote(reference)}" if must_be_named(reference) else ""
