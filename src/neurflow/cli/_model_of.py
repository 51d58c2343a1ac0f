"""The options that name the model of a result again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from neurflow.cli._command import TYPED, Command, parameters_of, with_parameters
from neurflow.cli._options import ClassNames, Device

if TYPE_CHECKING:
    from neurflow.circuit import Circuit
    from neurflow.errors import RequestError
    from neurflow.model import Model

_OPTIONS: dict[str, tuple[Any, Any]] = {
    "model": (
        Annotated[
            str | None,
            typer.Option(
                metavar="MODEL",
                help="The model of the result, if its reference has changed or is not followed unless "
                "you name it (file:, hf:, onnx:).",
                show_default="as in the result",
                rich_help_panel="Model",
            ),
        ],
        None,
    ),
    "weights": (
        Annotated[
            str | None,
            typer.Option(
                metavar="FILE|NAME",
                help="Weights of the model.",
                show_default="as in the result",
                rich_help_panel="Model",
            ),
        ],
        None,
    ),
    "class_names": (ClassNames, None),
    "device": (Device, "cpu"),
}
"""name → (type, default)"""


@dataclass(frozen=True)
class ModelOptions:
    """The model of a result, as a command line names it."""

    model: str | None
    weights: str | None
    class_names: Path | None
    device: str
    line: str = ""
    """the command line"""

    @classmethod
    def pop(cls, values: dict[str, Any]) -> Self:
        """Take the options that ``with_model_options`` added out of a command's values."""
        line = shlex.join(["neurflow", *TYPED.get()])
        return cls(**{name: values.pop(name) for name in _OPTIONS}, line=line)

    def refusal(self, circuit: Circuit) -> RequestError | None:
        """Return the error if the model must be named, with the complete command; otherwise None."""
        from neurflow.circuit.reload import must_be_named, not_followed

        if self.model is not None or not must_be_named(circuit.model.reference):
            return None
        return not_followed(circuit.model.reference, self.line)

    def load(self, circuit: Circuit) -> Model:
        """Load the model of a circuit; see ``neurflow.reload_model``.

        Raises:
            RequestError: the model must be named; the message has the complete command.
        """
        from neurflow.circuit.reload import reload_model

        if refusal := self.refusal(circuit):
            raise refusal
        return reload_model(
            circuit,
            self.model,
            weights=self.weights,
            class_names=self.class_names,
            device=self.device,
        )


def with_model_options(command: Command) -> Command:
    """Give a command the options of ``ModelOptions``, in its ``**values``."""
    return with_parameters(parameters_of(_OPTIONS))(command)


def naming(circuit: Circuit) -> str:
    """Return the option that a command on this result needs to find its model, or nothing."""
    from neurflow.circuit.reload import must_be_named

    reference = circuit.model.reference
    return f" --model {shlex.quote(reference)}" if must_be_named(reference) else ""
