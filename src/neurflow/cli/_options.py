"""Arguments and options that commands share, and the hyperparameters as options.

Each field of ``Config`` becomes an option. Its name, default and description are written once, in
``neurflow.config``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from neurflow.cli._command import Command, parameter, parameters_of, with_parameters
from neurflow.config import QUICK_IMAGES, Config, Preset
from neurflow.errors import RequestError

if TYPE_CHECKING:
    from neurflow.model import Model

NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not open the page in a browser.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a result, as given to --out.")]
SweepFolder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of a sweep, as given to --out.")
]
Page = Annotated[
    Path | None,
    typer.Option(
        "-o", "--out", metavar="FILE", help="Write a page, one HTML file.", show_default=False
    ),
]

ModelReference = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="torchvision:NAME, timm:NAME, hf:NAME_OR_FOLDER, onnx:FILE or file:module.py:factory.",
    ),
]
_MODEL = "Model"
Weights = Annotated[
    str,
    typer.Option(
        metavar="FILE|NAME",
        help="A state dict or safetensors file, the library's name for its weights, or random.",
        rich_help_panel=_MODEL,
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        metavar="M[,M,M]",
        help="Mean for the normalisation: one number, or one for each channel.",
        rich_help_panel=_MODEL,
    ),
]
Std = Annotated[
    str | None,
    typer.Option(
        metavar="S[,S,S]", help="Standard deviation, in the same form.", rich_help_panel=_MODEL
    ),
]
Resize = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        min=1,
        help="Length of the short side that images are resized to before the centre crop.",
        rich_help_panel=_MODEL,
    ),
]
InputSize = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        min=1,
        help="Height and width of the model's input.",
        rich_help_panel=_MODEL,
    ),
]
ClassNames = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Class names in the order of the logits: one per line, JSON or CSV.",
        rich_help_panel=_MODEL,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="Kind of the outputs, if it is not detected: logits, probabilities, sigmoid (several "
        "labels), log-probabilities, or values (a regression).",
        rich_help_panel=_MODEL,
    ),
]
AllowChance = Annotated[
    bool,
    typer.Option(
        "--allow-chance",
        help="Accept a network whose output is not a function of the picture alone.",
        rich_help_panel=_MODEL,
    ),
]
ClassesAsText = Annotated[
    bool,
    typer.Option(
        "--classes-as-text",
        help="Use the class names as the texts that a CLIP (hf:) compares pictures with.",
        rich_help_panel=_MODEL,
    ),
]
Device = Annotated[
    str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps.", rich_help_panel=_MODEL)
]


_STUDY: dict[str, tuple[Any, Any]] = {
    "layers": (
        Annotated[
            list[str] | None,
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
            int | None,
            typer.Option(
                min=1, help="Largest number of images of a target, spread over the folders."
            ),
        ],
        None,
    ),
    "memory": (
        Annotated[
            str,
            typer.Option(
                metavar="SIZE",
                help="Memory to use on top of the model, which sets the batch size. Workers on one "
                "machine share it.",
            ),
        ],
        "2GB",
    ),
    "redo": (
        Annotated[
            bool,
            typer.Option(
                "--redo",
                help="Replace the content of the folder if it comes from another request or an earlier "
                "version of the method.",
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
    "output": (Output, None),
    "allow_chance": (AllowChance, False),
    "classes_as_text": (ClassesAsText, False),
    "device": (Device, "cpu"),
}
"""options for finding circuits other than the hyperparameters: name → (type, default)"""


@dataclass(frozen=True)
class Study:
    """The model and the method that a command line asks for.

    Attributes:
        load: loads the model; can be pickled.
        options: keyword arguments of ``discover`` and ``sweep``.
    """

    load: Callable[[], Model]
    options: dict[str, Any]


def with_study_options(command: Command) -> Command:
    """Give a command the options for finding circuits in place of its ``**values``."""
    more = parameters_of(_STUDY)
    preset = typer.Option(
        metavar=_choice(Preset),
        help="Defaults of the method: the best measured (default), those of the paper (published), "
        f"or a quick look at up to {QUICK_IMAGES} images (quick). Single options override them.",
        rich_help_panel="Method",
    )
    more.append(parameter("preset", Annotated[Preset, preset], "default"))
    return with_parameters([*more, *_of_fields(Config.model_fields, "Method")])(command)


def study_from(model: str, values: dict[str, Any]) -> Study:
    """Return the study that the values of ``with_study_options`` describe.

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
        output=own["output"],
        allow_chance=own["allow_chance"],
        classes_as_text=own["classes_as_text"],
        device=own["device"],
    )
    few = QUICK_IMAGES if values.get("preset") == "quick" else None
    options = {
        "layers": names(own["layers"]) or None,
        "max_images": own["max_images"] or few,
        "memory": own["memory"],
        "redo": own["redo"],
        "config": config_from(values),
    }
    return Study(load, options)


def numbers(text: str | None, option: str) -> float | tuple[float, ...] | None:
    """Parse ``"0.5"`` or ``"0.4,0.5,0.6"``; ``RequestError`` for other text."""
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise RequestError(
            f"{option} {text!r} is neither a number nor a list of numbers. "
            f"Write {option} 0.5 or {option} 0.485,0.456,0.406"
        ) from None
    return values[0] if len(values) == 1 else values


def names(given: str | Iterable[str] | None) -> list[str] | None:
    """Split lists at commas: ``"a, b"`` and ``["a,b"]`` and ``["a", "b"]`` → ``["a", "b"]``."""
    if given is None:
        return None
    texts = [given] if isinstance(given, str) else given
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def with_options_of(form: type[BaseModel], panel: str) -> Callable[[Command], Command]:
    """Give a command an option for each field of a form in place of its ``**values``."""
    return with_parameters(_of_fields(form.model_fields, panel))


def _of_fields(fields: Mapping[str, FieldInfo], panel: str) -> list[inspect.Parameter]:
    return [parameter(name, _option(name, field, panel), None) for name, field in fields.items()]


def config_from(values: dict[str, Any]) -> Config:
    """Return the ``Config`` of a preset and the given options.

    Raises:
        RequestError: a value out of range.
    """
    preset = values.pop("preset", "default")
    return Config.preset(preset, **given_values(Config, values))


def given_values(form: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Return the given options, with lists split at commas."""
    return {
        name: names(value) if _is_list(form.model_fields[name].annotation) else value
        for name, value in values.items()
        if value is not None and value != []
    }


def _is_list(annotation: Any) -> bool:
    return any(get_origin(each) is tuple for each in (annotation, *get_args(annotation)))


def _option(name: str, field: FieldInfo, panel: str) -> Any:
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=_sentence(field.description or ""),
        metavar=_metavar(field.annotation),
        show_default=_shown(field.default),
        rich_help_panel=panel,
    )
    return Annotated[_type(field.annotation) | None, option]


def _type(annotation: Any) -> Any:
    """Return the type that the parser checks; all other values are text that ``Config`` reads."""
    if _is_list(annotation):
        return list[str]
    if annotation is int or get_origin(annotation) is Literal:
        return annotation
    kinds = {get_args(kind)[0] if get_args(kind) else kind for kind in get_args(annotation)}
    return int if kinds == {int, type(None)} else str


def _sentence(text: str) -> str:
    """Return a description as a sentence. A symbol at its start, such as k, is not capitalised."""
    first, *_ = text.split(maxsplit=1)
    return f"{text[0].upper() if len(first.rstrip(',')) > 1 else text[0]}{text[1:]}."


def _metavar(annotation: Any) -> str | None:
    """Return what to write for a value; None for types that typer names."""
    if _is_list(annotation):
        return "A,B,…"
    if get_origin(annotation) is Literal:
        return _choice(annotation)
    if _type(annotation) is not str:
        return None
    kinds = [annotation, *get_args(annotation)]
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    numeric = any(kind in (int, float) or int in get_args(kind) for kind in kinds)
    return "|".join([*(["NUMBER"] if numeric else []), *words]) or None


def _choice(kind: Any) -> str:
    """Return the values of a ``Literal``. Spaces let narrow terminals break the line between them."""
    return " | ".join(get_args(kind))


def _shown(default: Any) -> str | bool:
    if default is None:
        return False
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
