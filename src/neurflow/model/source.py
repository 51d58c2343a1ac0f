"""Kinds of model reference: the request and the result of a loader, and the registry of kinds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from neurflow.errors import ModelError, RequestError
from neurflow.model.preprocessing import Transform
from neurflow.runtime.registry import Registry

RANDOM, DEFAULT = "random", "DEFAULT"
LOADERS = {
    "torchvision": "of_torchvision",
    "timm": "of_timm",
    "hf": "of_transformers",
    "onnx": "of_onnx",
    "file": "of_file",
}
"""kind of reference → module of this package with its ``load``"""


@dataclass(frozen=True)
class Request:
    """The options of a request to load a network, besides its name.

    Attributes:
        weights: a name that the library knows; None for random weights.
        file: file from which weights are read afterwards, or None.
        names: class names that the user gave.
        size: height and width of the input that the user gave.
        resize: size that pictures are resized to, if the user gave one.
        classes_as_text: whether the classes are texts that pictures are compared with.
    """

    weights: str | None = None
    file: str | None = None
    names: Sequence[str] | None = None
    size: tuple[int, int] | None = None
    resize: int | None = None
    classes_as_text: bool = False

    @property
    def classes(self) -> int | None:
        """Number of classes, if known."""
        return len(self.names) if self.names else None


@dataclass(frozen=True)
class Loaded:
    """A network with its preprocessing and class names.

    Attributes:
        module: an ``nn.Module``, or a ``Model`` that the user made.
        transform: its preprocessing.
        names: names of the classes, in the order of the outputs.
        notes: notes for the user.
        sized: whether the transform already has the requested input size.
        output: kind of the outputs, if the source specifies it.
    """

    module: Any
    transform: Transform
    names: Sequence[str] | None = None
    notes: tuple[str, ...] = ()
    sized: bool = False
    output: str | None = None


Load = Callable[[str, Request], Loaded]
REFERENCES: Registry[Load] = Registry("kind of model reference", "neurflow.models")
"""kinds of reference that users have added"""


def model_reference(kind: str) -> Callable[[Load], Load]:
    """Decorate a function that loads networks, so that ``load_model`` takes ``KIND:NAME``.

    The function gets NAME and a ``Request``, and returns a ``Loaded``. It raises ``ModelError`` if it
    cannot load the network::

        @model_reference("mine")
        def load(name: str, request: Request) -> Loaded:
            return Loaded(networks[name](), Preprocessing(resize=64, crop=(64, 64)))

    A package registers its kinds by entry points of the group ``neurflow.models``: the name is the
    kind, the value is the module with the decorated function.

    Raises:
        RequestError: the kind is built in, or registered by another function.
    """
    if kind in LOADERS or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", kind):
        raise RequestError(
            f"{kind!r} cannot be registered as a kind of model reference: "
            + ("it is built in." if kind in LOADERS else "write letters and digits.")
        )

    def registered(load: Load) -> Load:
        REFERENCES.add(kind, load, load)
        return load

    return registered


def loader(kind: str) -> Load | None:
    """Return the function that loads networks of a kind; None if the kind is unknown.

    Raises:
        RequestError: the module that registers the kind cannot be imported.
    """
    if kind in LOADERS:
        built_in: Load = import_module(f"neurflow.model.{LOADERS[kind]}").load
        return built_in
    return REFERENCES.named(kind) if kind in list(REFERENCES) else None


def imagenet_names() -> Sequence[str]:
    """Return the names of the 1000 classes of ImageNet."""
    from torchvision.models import ResNet18_Weights

    names: Sequence[str] = ResNet18_Weights.DEFAULT.meta["categories"]
    return names


def no_download(name: str, error: Exception) -> ModelError:
    """Return the error for weights that cannot be downloaded."""
    reason = str(error).strip().splitlines()
    return ModelError(
        f"The weights of {name} could not be downloaded "
        f"({reason[0] if reason else 'no reason given'}). "
        "Without internet access give a file: --weights PATH, or --weights random."
    )
