"""``timm:NAME``: loads a model of timm with its preprocessing.

The preprocessing equals ``timm.data.create_transform(**resolve_model_data_config(model))``, but is
plain data, so that results can be used without timm.
"""

from __future__ import annotations

from math import floor
from typing import Any

from neurflow.errors import ModelError, near
from neurflow.model.preprocessing import Preprocessing
from neurflow.model.source import DEFAULT, Loaded, Request, imagenet_names, no_download
from neurflow.runtime.extras import require


def load(name: str, request: Request) -> Loaded:
    """Load a model, built for the requested input size if it depends on one.

    Raises:
        ModelError: timm is not installed, has no such model, or cannot build it for this size.
    """
    require("timm")
    import timm
    from timm.data.config import resolve_data_config

    name = name.removeprefix("hf_hub:").removeprefix("hf-hub:").removeprefix("timm/")
    architecture = name.split(".")[0]
    if not timm.is_model(architecture):
        raise ModelError(f"timm has no model {name!r}.{near(name, timm.list_models())}")
    weights = request.weights
    full_name = name if weights in (None, DEFAULT) else f"{architecture}.{weights}"
    options: dict[str, Any] = {}
    if request.classes and not weights:
        options["num_classes"] = request.classes
    try:
        module = _built(full_name, bool(weights), request.size, options)
    except (OSError, RuntimeError) as error:
        raise no_download(name, error) from None
    if module.num_classes == 0:
        raise ModelError(f"timm's {full_name} has no classifier (num_classes is 0).")
    size = None if request.size is None else (3, *request.size)
    data: dict[str, Any] = resolve_data_config(  # type: ignore[no-untyped-call]
        {"input_size": size}, pretrained_cfg=module.pretrained_cfg
    )
    names = imagenet_names() if module.num_classes == 1000 else None
    return Loaded(module, preprocessing(data), names, sized=True)


def _built(name: str, pretrained: bool, size: tuple[int, int] | None, options: Any) -> Any:
    """Build the module; models that depend on the input size take it as ``img_size``."""
    import timm
    from timm.models import get_pretrained_cfg

    known = get_pretrained_cfg(name)
    if size and known is not None and known.fixed_input_size:
        options = {**options, "img_size": size}
    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    except (TypeError, AssertionError, ValueError) as error:
        if size is None or known is None or "img_size" not in options:
            raise
        raise ModelError(
            f"timm cannot build {name} for an input of {size[0]} × {size[1]} ({error}). "
            f"It was trained on {known.input_size[1]} × {known.input_size[2]}."
        ) from None


def preprocessing(data: dict[str, Any]) -> Preprocessing:
    """Return the preprocessing of ``timm.data.create_transform(**data, is_training=False)``."""
    _, height, width = data["input_size"]
    scaled = floor(height / data["crop_pct"]), floor(width / data["crop_pct"])
    plain = data["crop_mode"] == "center" and scaled[0] == scaled[1]
    return Preprocessing(
        resize=scaled[0] if plain else scaled,
        crop=(height, width),
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation=data["interpolation"] if data["interpolation"] != "random" else "bilinear",
        fit=data["crop_mode"],
    )
