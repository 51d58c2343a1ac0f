"""Arguments and options that commands share, and the hyperparameters as options.

Every field of ``Config`` is an option by itself: its name, default and description are written
once, in ``neurflow.config``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from neurflow.config import Config, Preset
from neurflow.errors import RequestError

if TYPE_CHECKING:
    from neurflow.model import Model

Json = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON; all else goes to stderr.")
]
Debug = Annotated[bool, typer.Option("--debug", help="On failure, show where in the code.")]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not open the page in a browser.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a result, as given to --out.")]

ModelReference = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="torchvision:NAME, timm:NAME or file:module.py:factory."),
]
_MODEL = "Model"
Weights = Annotated[
    str,
    typer.Option(
        metavar="FILE|NAME",
        help="A state dict or safetensors file, a name of the library's, or random.",
        rich_help_panel=_MODEL,
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        metavar="M[,M,M]",
        help="Mean of the normalisation, one for all channels or one each.",
        rich_help_panel=_MODEL,
    ),
]
Std = Annotated[
    str | None,
    typer.Option(metavar="S[,S,S]", help="Standard deviation, likewise.", rich_help_panel=_MODEL),
]
Resize = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        min=1,
        help="Short side of an image before its centre is cut out.",
        rich_help_panel=_MODEL,
    ),
]
InputSize = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS", min=1, help="Height and width of the input.", rich_help_panel=_MODEL
    ),
]
ClassNames = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Names of the classes, one a line, in the order of the logits.",
        rich_help_panel=_MODEL,
    ),
]
Device = Annotated[
    str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps.", rich_help_panel=_MODEL)
]


_STUDY: dict[str, tuple[Any, Any]] = {
    "layers": (
        Annotated[
            str | None,
            typer.Option(
                metavar="A,B,…",
                help="Layers to study, input side first.",
                show_default="those that neurflow layers proposes",
            ),
        ],
        None,
    ),
    "max_images": (
        Annotated[
            int | None, typer.Option(min=1, help="Study at most so many images of a target.")
        ],
        None,
    ),
    "memory": (
        Annotated[
            str,
            typer.Option(
                metavar="SIZE",
                help="What may be held at once above the model; batches follow from it. Workers of "
                "one machine share it.",
            ),
        ],
        "2GB",
    ),
    "redo": (
        Annotated[
            bool,
            typer.Option(
                "--redo",
                help="Replace what is in the folder if another request or an earlier version of the "
                "method made it.",
            ),
        ],
        False,
    ),
    "weights": (Weights, "DEFAULT"),
    "mean": (Mean, None),
    "std": (Std, None),
    "resize": (Resize, None),
    "input_size": (InputSize, None),
    "class_names": (ClassNames, None),
    "device": (Device, "cpu"),
}
"""what finding circuits takes beside the hyperparameters: option → type, default"""


@dataclass(frozen=True)
class Study:
    """What a command was told of model and method.

    Attributes:
        load: loads the model; can be pickled.
        options: as ``discover`` and ``sweep`` take them.
    """

    load: Callable[[], Model]
    options: dict[str, Any]


def with_study_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what finding circuits takes, in place of its ``**values``: ``study_from``."""
    more = [_parameter(name, kind, default) for name, (kind, default) in _STUDY.items()]
    preset = typer.Option(
        help="Where options of the method start from: the best that was measured, the paper to the "
        "letter, or a first look. Single options override it.",
        rich_help_panel="Method",
    )
    more.append(_parameter("preset", Annotated[Preset, preset], "default"))
    return _with_options(Config.model_fields, "Method", command, more)


def study_from(model: str, values: dict[str, Any]) -> Study:
    """The study that the values of ``with_study_options`` describe.

    Raises:
        RequestError: a value out of range.
    """
    from neurflow.model import load_model

    own = {name: values.pop(name) for name in _STUDY}
    load = partial(
        load_model,
        model,
        own["weights"],
        mean=numbers(own["mean"], "--mean"),
        std=numbers(own["std"], "--std"),
        resize=own["resize"],
        input_size=own["input_size"],
        class_names=own["class_names"],
        device=own["device"],
    )
    options = {
        "layers": names(own["layers"]),
        "max_images": own["max_images"],
        "memory": own["memory"],
        "redo": own["redo"],
        "config": config_from(values),
    }
    return Study(load, options)


def numbers(text: str | None, option: str) -> float | tuple[float, ...] | None:
    """``"0.5"`` → 0.5; ``"0.4,0.5,0.6"`` → (0.4, 0.5, 0.6). ``RequestError`` for other text."""
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise RequestError(
            f"{option} {text!r} is no number and no list of numbers. "
            f"Write {option} 0.5 or {option} 0.485,0.456,0.406"
        ) from None
    return values[0] if len(values) == 1 else values


def names(text: str | None) -> list[str] | None:
    """``"a, b"`` → ``["a", "b"]``."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def with_options_of(
    form: type[BaseModel], panel: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each field of a model, in place of its ``**values``."""
    return partial(_with_options, form.model_fields, panel)


def _with_options(
    fields: Mapping[str, FieldInfo],
    panel: str,
    command: Callable[..., None],
    more: Sequence[inspect.Parameter] = (),
) -> Callable[..., None]:
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [
        _parameter(name, _option(name, field, panel), None) for name, field in fields.items()
    ]
    parameters = [*own, *more, *options]
    # typer reads both: the signature for order and defaults, the annotations for types.
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def config_from(values: dict[str, Any]) -> Config:
    """The ``Config`` of a preset and the options that were given.

    Raises:
        RequestError: a value out of range.
    """
    preset = values.pop("preset", "default")
    return Config.preset(preset, **given_values(Config, values))


def given_values(form: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, lists as lists."""
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        kind = form.model_fields[name].annotation
        if any(get_origin(each) is tuple for each in (kind, *get_args(kind))):
            given[name] = names(value)
    return given


def _option(name: str, field: FieldInfo, panel: str) -> Any:
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=f"{field.description}.",
        show_default=_shown(field.default),
        rich_help_panel=panel,
    )
    return Annotated[_type(field.annotation) | None, option]


def _type(annotation: Any) -> Any:
    """What the command line parses itself; all else is text that ``Config`` makes sense of."""
    if annotation is int or get_origin(annotation) is Literal:
        return annotation
    kinds = {get_args(kind)[0] if get_args(kind) else kind for kind in get_args(annotation)}
    return int if kinds == {int, type(None)} else str


def _shown(default: Any) -> str | bool:
    if default is None:
        return False
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
