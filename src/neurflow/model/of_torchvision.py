"""``torchvision:NAME``: loads a classifier of torchvision with the preprocessing of its weights.

A weights file with the name of one of torchvision's own files gets the preset of these weights. For
others the newest preset is used, and a note names further ones. For another input size, pictures are
resized in the preset's proportion to the crop (256 to 224).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from neurflow.errors import ModelError, near
from neurflow.model.preprocessing import Preprocessing
from neurflow.model.source import Loaded, Request, no_download

SLOWLY_INITIALISED = ("googlenet", "inception_v3")
"""builders that draw random weights slowly, and warn unless they are asked to"""


def load(name: str, request: Request) -> Loaded:
    """Load a classifier with the preprocessing and the class names of its weights.

    Raises:
        ModelError: torchvision has no such classifier or weights, or cannot build it with the options.
    """
    from torchvision import models

    classifiers = models.list_models(module=models)
    if name not in classifiers and name in models.list_models():
        home = models.get_model_builder(name).__module__.split(".")[2:]
        raise ModelError(
            f"torchvision's {name} is not a floating-point image classifier: it belongs to "
            f"torchvision.models.{home[0]}.{near(name, classifiers)}"
        )
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
    except (ValueError, AssertionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"torchvision cannot build {name} with these options: {reason}") from None
    preset = _preset(meta.transforms()) if meta else Preprocessing()
    notes = () if certain else _other_presets(name, meta, known)
    if request.size and meta and request.size != preset.crop:
        preset, note = _scaled(preset, request.size)
        notes = notes if request.resize else (*notes, note)
    names = meta.meta["categories"] if meta else None
    return Loaded(module, preset, names, notes, sized=meta is not None)


def _scaled(preset: Preprocessing, size: tuple[int, int]) -> tuple[Preprocessing, str]:
    """Return a preset for another input size, and a note."""
    before = preset.resize if isinstance(preset.resize, int) else preset.crop[0]
    height, width = (round(side * before / preset.crop[0]) for side in size)
    plain = height == width
    note = (
        f"Pictures are resized to {height if plain else f'{height} × {width}'} before the crop of "
        f"{size[0]} × {size[1]}, in the proportion of the preset ({before} to {preset.crop[0]}). "
        "Change it with --resize."
    )
    return replace(preset, resize=height if plain else (height, width), crop=size), note


def _weights(name: str, known: Any, request: Request) -> tuple[Any, bool]:
    """Return the library's weights with the preset, or None, and whether it is certain."""
    if request.weights:
        try:
            return known[request.weights], True
        except KeyError:
            raise ModelError(
                f"There is no weights file {request.weights!r}, and torchvision has no weights of that "
                f"name for {name}.{near(request.weights, [w.name for w in known])}"
            ) from None
    stem = Path(request.file).name if request.file else ""
    for each in known:
        if stem and each.url.rpartition("/")[2] == stem:
            return each, True
    default = known.DEFAULT if hasattr(known, "DEFAULT") else next(iter(known), None)
    return default, request.file is None


def _options(builder: Callable[..., Any], request: Request) -> dict[str, Any]:
    """Return further arguments of the builder: the number of classes, and the input size if needed."""
    options: dict[str, Any] = {}
    if request.classes and not request.weights:
        options["num_classes"] = request.classes
    if builder.__name__ in SLOWLY_INITIALISED:
        options["init_weights"] = not (request.weights or request.file)
    if request.size and "vision_transformer" in builder.__module__:
        if request.size[0] != request.size[1]:
            raise ModelError(f"{builder.__name__} needs a square input, not {request.size}.")
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
    """Return a note on the presets that a weights file may belong to; none if they are equal."""
    presets = {each.name: _preset(each.transforms()) for each in known}
    if len(set(presets.values())) < 2:
        return ()
    said = "; ".join(
        f"{each} resizes to {p.resize} and takes {p.crop[0]} × {p.crop[1]}"
        for each, p in presets.items()
    )
    return (
        f"It is unknown with which preset of {name} the weights were trained ({said}). "
        f"That of {taken.name} is used; choose another one with --resize and --input-size.",
    )
