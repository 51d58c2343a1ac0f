"""``load_model``: makes a ``Model`` from a reference and weights.

References are ``torchvision:NAME``, ``timm:NAME``, ``hf:NAME_OR_FOLDER``, ``onnx:FILE`` and
``file:module.py:factory``; each kind has a loader (``of_…``). Weights are ``DEFAULT`` or another name
of the library, ``random``, or the path of a state dict (``checkpoints``). Only ``file:`` runs code,
which is the user's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neurflow.errors import ModelError
from neurflow.model.checkpoints import load_weights
from neurflow.model.class_files import read_class_names
from neurflow.model.model import Model
from neurflow.model.preprocessing import Preprocessing, refuse_oversized
from neurflow.model.source import (
    DEFAULT,
    LOADERS,
    RANDOM,
    REFERENCES,
    Loaded,
    Request,
    loader,
)
from neurflow.model.trial import plain_module, refuse_closed
from neurflow.runtime.paths import expanded

SEED = 0
"""seed of random weights"""


def load_model(
    reference: str,
    weights: str | Path | None = DEFAULT,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    resize: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    class_names: str | Path | Sequence[str] | None = None,
    output: str | None = None,
    allow_chance: bool = False,
    classes_as_text: bool = False,
    device: str = "cpu",
) -> Model:
    """Load a classifier to be explained.

    Args:
        reference: ``torchvision:NAME``, ``timm:NAME``, ``hf:NAME_OR_FOLDER``, ``onnx:FILE`` or
            ``file:module.py:factory``; the factory takes no arguments and returns an ``nn.Module`` or
            a ``Model``.
        weights: ``DEFAULT``, the library's name of other weights, ``random`` (or None; the same each
            time), or a file.
        mean: mean by which pixel values in 0…1 are normalised; one number for all channels, or one per
            channel.
        std: standard deviation, in the same form.
        resize: short side in pixels that pictures are resized to before the centre crop.
        input_size: height and width of the input in pixels; one number for both. Architectures that
            depend on the input size are built for it.
        class_names: names in the order of the logits, or a file with one per line, JSON or CSV.
        output: kind of the outputs, in case it is not detected: ``logits``, ``probabilities``,
            ``sigmoid`` (several labels), ``log-probabilities``, or ``values`` (quantities, no classes).
        allow_chance: accept a network whose output is not a function of the picture alone.
        classes_as_text: use the class names as texts that pictures are compared with (CLIP).
        device: a torch device.

    Raises:
        ModelError: the reference is unknown; the weights do not fit, are damaged or are not finite; or
            an option would have no effect.

    Example::

        model = neurflow.load_model("torchvision:resnet18")
        model = neurflow.load_model("timm:resnet50", "flowers.safetensors", class_names="names.txt")
    """
    names, path = _class_names(class_names), _weights_file(weights)
    size = (input_size, input_size) if isinstance(input_size, int) else input_size
    refuse_oversized(size, "Inputs")
    request = Request(
        weights=None if path or weights in (None, RANDOM) else str(weights),
        file=str(path) if path else None,
        names=names,
        size=size,
        resize=resize,
        classes_as_text=classes_as_text,
    )
    loaded = _loaded(reference, request)
    made = loaded.module
    module = plain_module(made.module if isinstance(made, Model) else made)
    refuse_closed(module)
    notes = (*loaded.notes, *(load_weights(module, path) if path else ()))
    given = {"mean": mean, "std": std, "resize": resize, "input_size": input_size}
    given = {key: value for key, value in given.items() if value is not None}
    if isinstance(made, Model):
        _refuse_unused(reference, given)
        _on(module, device)
        return made.known_as(
            reference,
            str(path) if path else None,
            class_names=names,
            output=output,
            allow_chance=allow_chance,
            notes=notes,
        )
    more = {"output": output, "allow_chance": allow_chance, "classes_as_text": classes_as_text}
    return Model(
        _on(module.eval().requires_grad_(False), device),
        transform=_transform(reference, loaded, given, size),
        class_names=names or loaded.names,
        output=output or loaded.output,
        allow_chance=allow_chance,
        reference=reference,
        weights=str(path or weights or RANDOM),
        options={**given, **{key: value for key, value in more.items() if value}},
        notes=notes,
    )


def _loaded(reference: object, request: Request) -> Loaded:
    """Load a network by the loader of its kind of reference.

    Random weights are the same each time, so that the result of such a network can be used again.
    """
    if not isinstance(reference, str):
        raise ModelError(
            "load_model takes a reference such as torchvision:resnet18, not a "
            f"{type(reference).__name__}. Wrap a module of your own: neurflow.Model(module)"
        )
    kind, _, name = reference.partition(":")
    load = loader(kind) if name else None
    if load is None:
        added = "".join(f", {kind}:NAME" for kind in REFERENCES)
        raise ModelError(
            f"Unknown model reference {reference!r}.{_suggestion(reference)} Write torchvision:NAME, "
            f"timm:NAME{added}, hf:NAME_OR_FOLDER, onnx:FILE or file:module.py:factory."
        )
    if request.classes_as_text and kind != "hf":
        raise ModelError("Classes as text need a CLIP of transformers: hf:NAME_OR_FOLDER.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return load(name, request)


def _suggestion(reference: str) -> str:
    """Return `` Did you mean torchvision:resnet18?`` for a reference without a kind, or nothing."""
    kind, _, name = reference.partition(":")
    path = Path(kind)
    if kind.casefold() in (*LOADERS, *REFERENCES) and name:
        meant = f"{kind.casefold()}:{name}"
    elif path.suffix == ".py":
        meant = f"file:{kind}:{name or 'factory'}"
    elif path.suffix == ".onnx":
        meant = f"onnx:{kind}"
    elif path.suffix in (".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".tar"):
        return f" A file of weights is given with the network that they are for: --weights {reference}."
    elif (path / "config.json").is_file():
        meant = f"hf:{kind}"
    elif not name and (found := _of_libraries(kind)):
        meant = found
    else:
        return ""
    return f" Did you mean {meant}?"


def _of_libraries(name: str) -> str | None:
    """Return the reference of the torchvision or timm model with this or a similar name."""
    from torchvision.models import list_models

    known = list_models()
    if name in known:
        return f"torchvision:{name}"
    if find_spec("timm"):
        from timm import is_model

        if is_model(name):
            return f"timm:{name}"
    near = get_close_matches(name, known, n=1, cutoff=0.8)
    return f"torchvision:{near[0]}" if near else None


def _transform(
    reference: str, loaded: Loaded, given: dict[str, Any], size: tuple[int, int] | None
) -> Any:
    """Return the source's preprocessing with the user's options."""
    if not isinstance(loaded.transform, Preprocessing):
        _refuse_unused(reference, given)
        return loaded.transform
    return loaded.transform.adapted(
        mean=given.get("mean"),
        std=given.get("std"),
        resize=given.get("resize"),
        crop=None if loaded.sized else size,
    )


def _refuse_unused(reference: str, given: dict[str, Any]) -> None:
    """Raise ``ModelError`` if there are preprocessing options for a model that has its own."""
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ModelError(
            f"{reference} has its own preprocessing, so {options} would have no effect. "
            "Omit it, or change the preprocessing there."
        )


def _on(module: nn.Module, device: str) -> nn.Module:
    try:
        return module.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"The model cannot be moved to device {device!r}: {reason}. Give another one: --device cpu"
        ) from None


def _weights_file(weights: str | Path | None) -> Path | None:
    """Return the path, if ``weights`` is one; ``ModelError`` if there is no such file."""
    if weights is None:
        return None
    path = expanded(weights)
    if path.is_file() or (path.is_dir() and weights not in (RANDOM, DEFAULT)):
        return path  # reading a folder raises an error that says what is wrong
    if path.suffix or len(path.parts) > 1:
        if (plain := str(weights).strip().strip("'\"")) != str(weights) and Path(plain).is_file():
            raise ModelError(f"There is no weights file {str(path)!r}. Did you mean {plain!r}?")
        raise ModelError(f"There is no weights file {str(path)!r}. Check the path: --weights FILE")
    return None


def _class_names(given: str | Path | Sequence[str] | None) -> Sequence[str] | None:
    return read_class_names(expanded(given)) if isinstance(given, str | Path) else given
