"""The model that a result was made of, loaded again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurflow.errors import RequestError

if TYPE_CHECKING:
    from neurflow.circuit import Circuit
    from neurflow.model import Model

ModelAgain = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="The model, where it is not to be found as it was.",
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


def model_of(
    circuit: Circuit,
    reference: str | None = None,
    weights: str | None = None,
    class_names: Path | None = None,
    device: str = "cpu",
) -> Model:
    """Load the model of a result, by what the result says of it unless told otherwise.

    Raises:
        RequestError: the model was a module from memory, which only Python has.
        ModelError: it cannot be loaded.
    """
    from neurflow.demo.network import REFERENCE, demo_model
    from neurflow.model import load_model

    known = circuit.model
    reference = reference or known.reference
    if reference == REFERENCE:
        return demo_model()
    if ":" not in reference:
        raise RequestError(
            f"The result was made from a {reference} in memory, which a command cannot load. "
            "Give it as --model file:module.py:factory, or use neurflow.debug in Python."
        )
    return load_model(
        reference,
        weights or (known.weights if reference == known.reference else "DEFAULT"),
        class_names=class_names,
        device=device,
        **known.options,
    )
