"""The options that name the model of a result again."""

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
        help="The model of the result, if its reference has changed or is not followed unasked "
        "(file:, hf:, onnx:).",
        show_default="as in the result",
        rich_help_panel="Model",
    ),
]
WeightsAgain = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE|NAME",
        help="Weights of the model.",
        show_default="as in the result",
        rich_help_panel="Model",
    ),
]


def naming(circuit: Circuit) -> str:
    """Return the option that a command on this result needs to find its model, or nothing."""
    from neurflow.circuit.reload import must_be_named

    reference = circuit.model.reference
    return f" --model {shlex.quote(reference)}" if must_be_named(reference) else ""
