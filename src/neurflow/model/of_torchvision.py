"""``torchvision:NAME``: a classifier of torchvision, fed by the preset of its weights.

A file with weights may be one of torchvision's own, known by its name; where it is not, and several
presets are possible, the newest is taken and the others are named.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurflow.errors import ModelError, near
from neurflow.model.preprocessing import Preprocessing
from neurflow.model.source import Loaded, Request, no_download


def load(name: str, request: Request) -> Loaded:
    """The classifier, with the preset and the class names of its weights.

    Raises:
        ModelError: torchvision knows no such classifier or weights, or cannot build it so.
    """
    from torchvision import models

    classifiers = models.list_models(module=models)
    if name not in classifiers:
        raise ModelError(f"torchvision has no classifier {name!r}.{near(name, classifiers)}")
    known = models.get_model_weights(name)
    meta, certain = _weights(name, known, request)
    builder = models.get_model_builder(name)
    try:
        module = models.get_model(
            name,
            weights=meta if request.weights else None,
            **_options(builder, request),
        )
    except OSError as error:
        raise no_download(name, error) from None
    except ValueError as error:
        raise ModelError(f"torchvision cannot build {name} so: {error}") from None
    preset = _preset(meta.transforms()) if meta else Preprocessing()
    notes = () if certain else _other_presets(name, meta, known)
    return Loaded(module, preset, meta.meta["categories"] if meta else None, notes)


def _weights(name: str, known: Any, request: Request) -> tuple[Any, bool]:
    """The library's weights that tell the preset (None if it has none), and whether it is certain."""
    if request.weights:
        try:
            return known[request.weights], True
        except KeyError:
            raise ModelError(
                f"No weights file {request.weights!r}, and torchvision knows none of that name for "
                f"{name}.{near(request.weights, [w.name for w in known])}"
            ) from None
    stem = Path(request.file).name if request.file else ""
    for each in known:
        if stem and each.url.rpartition("/")[2] == stem:
            return each, True
    default = known.DEFAULT if hasattr(known, "DEFAULT") else next(iter(known), None)
    return default, request.file is None


def _options(builder: Callable[..., Any], request: Request) -> dict[str, Any]:
    """What the builder takes beside the weights: classes, and the size where it is built for one."""
    options: dict[str, Any] = {}
    if request.classes and not request.weights:
        options["num_classes"] = request.classes
    parameters = inspect.signature(builder).parameters
    if "init_weights" in parameters:
        options["init_weights"] = not request.weights
    if request.size and "vision_transformer" in builder.__module__:
        if request.size[0] != request.size[1]:
            raise ModelError(f"{builder.__name__} takes square inputs, not {request.size}.")
        options["image_size"] = request.size[0]
    if request.size and "maxvit" in builder.__module__:
        options["input_size"] = request.size
    return options


def _preset(preset: Any) -> Preprocessing:
    height, width = (*preset.crop_size, *preset.crop_size)[:2]
    return Preprocessing(
        resize=preset.resize_size[0],
        crop=(height, width),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )


def _other_presets(name: str, taken: Any, known: Any) -> tuple[str, ...]:
    """A note that names the presets between which a file does not decide; none if they agree."""
    presets = {each.name: _preset(each.transforms()) for each in known}
    if len(set(presets.values())) < 2:
        return ()
    said = "; ".join(
        f"{each} resizes to {p.resize} and takes {p.crop[0]} × {p.crop[1]}"
        for each, p in presets.items()
    )
    return (
        f"The file does not tell which preset of {name} its weights were trained with ({said}). "
        f"That of {taken.name} is used; choose another with --resize and --input-size.",
    )
