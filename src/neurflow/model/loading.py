"""``load_model``: from a reference and weights to a ``Model``.

References: ``torchvision:NAME``, ``timm:NAME``, ``file:module.py:factory``.
Weights: ``DEFAULT`` or a name of the library's own, ``random``, or the path of a state dict
(``weights_only=True``) or a safetensors file. Nothing that is loaded can run code, but for
``file:``, whose whole point is to run the user's own.
"""

from __future__ import annotations

import importlib.util
import inspect
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neurflow.class_files import read_class_names
from neurflow.errors import ModelError, near
from neurflow.model.model import Model
from neurflow.model.preprocessing import Preprocessing

RANDOM, DEFAULT = "random", "DEFAULT"


def load_model(
    reference: str,
    weights: str | Path | None = DEFAULT,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    resize: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    class_names: str | Path | Sequence[str] | None = None,
    device: str = "cpu",
) -> Model:
    """Load a classifier to be explained.

    Args:
        reference: ``torchvision:NAME``, ``timm:NAME`` or ``file:module.py:factory``; the factory
            takes no arguments and returns an ``nn.Module`` or a ``Model``.
        weights: ``DEFAULT``, another name of the library's, ``random`` (or None), or a file.
        mean: subtracted from values in 0…1; one number for all channels or one a channel.
        std: what they are then divided by, likewise.
        resize: short side in pixels before the centre is cut out.
        input_size: height and width of the input in pixels; one number for both.
        class_names: names in the order of the logits, or a file of them: one a line, JSON or CSV.
        device: a torch device.

    Raises:
        ModelError: unknown reference, weights that do not fit, are damaged or not finite.
    """
    names = _class_names(class_names)
    path = _weights_file(weights)
    kind, _, name = reference.partition(":")
    loaders = {"torchvision": _torchvision, "timm": _timm, "file": _file}
    if kind not in loaders or not name:
        raise ModelError(
            f"Unknown model reference {reference!r}. Write torchvision:NAME, timm:NAME or "
            "file:module.py:factory."
        )
    library_weights = None if path or weights in (None, RANDOM) else str(weights)
    module, preprocessing, known_names = loaders[kind](name, library_weights, names)
    if path:
        load_weights(module, path)
    if isinstance(module, Model):
        return module.known_as(reference, str(path) if path else None)
    size = (input_size, input_size) if isinstance(input_size, int) else input_size
    transform = preprocessing.adapted(mean=mean, std=std, resize=resize, crop=size)
    given = {"mean": mean, "std": std, "resize": resize, "input_size": input_size}
    return Model(
        _on(module, device),
        transform=transform,
        class_names=names or known_names,
        reference=reference,
        weights=str(path or weights or RANDOM),
        options={key: value for key, value in given.items() if value is not None},
    )


def _on(module: nn.Module, device: str) -> nn.Module:
    try:
        return module.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"The model cannot be put on device {device!r}: {reason}") from None


Loaded = tuple[Any, Preprocessing, Sequence[str] | None]


def _torchvision(name: str, weights: str | None, names: Sequence[str] | None) -> Loaded:
    from torchvision import models

    classifiers = models.list_models(module=models)
    if name not in classifiers:
        raise ModelError(f"torchvision has no classifier {name!r}.{near(name, classifiers)}")
    known = models.get_model_weights(name)
    meta = known.DEFAULT if hasattr(known, "DEFAULT") else next(iter(known), None)
    options: dict[str, Any] = {"num_classes": len(names)} if names and not weights else {}
    if "init_weights" in inspect.signature(models.get_model_builder(name)).parameters:
        options["init_weights"] = not weights
    if weights:
        try:
            meta = known[weights]
        except KeyError:
            raise ModelError(
                f"No weights file {weights!r}, and torchvision knows none of that name for {name}."
                f"{near(weights, [w.name for w in known])}"
            ) from None
    try:
        module = models.get_model(name, weights=meta if weights else None, **options)
    except OSError as error:
        raise _no_download(name, error) from None
    preset = meta.transforms() if meta else None
    return module, _from_preset(preset), meta.meta["categories"] if meta else None


def _from_preset(preset: Any) -> Preprocessing:
    if preset is None:
        return Preprocessing()
    height, width = (*preset.crop_size, *preset.crop_size)[:2]
    return Preprocessing(
        resize=preset.resize_size[0],
        crop=(height, width),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )


def _timm(name: str, weights: str | None, names: Sequence[str] | None) -> Loaded:
    try:
        import timm
        from timm.data.config import resolve_model_data_config as resolve
    except ModuleNotFoundError:
        raise ModelError("timm is not installed. Install it with: pip install timm") from None
    if not timm.is_model(name.split(".")[0]):
        raise ModelError(f"timm has no model {name!r}.{near(name, timm.list_models())}")
    options: dict[str, Any] = {"num_classes": len(names)} if names and not weights else {}
    full_name = name if weights in (None, DEFAULT) else f"{name.split('.')[0]}.{weights}"
    try:
        module = timm.create_model(full_name, pretrained=bool(weights), **options)
    except (OSError, RuntimeError) as error:
        raise _no_download(name, error) from None
    data: dict[str, Any] = resolve(module)  # type: ignore[no-untyped-call]
    _, height, width = data["input_size"]
    preprocessing = Preprocessing(
        resize=round(min(height, width) / data["crop_pct"]),
        crop=(height, width),
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation=data["interpolation"] if data["interpolation"] != "random" else "bilinear",
    )
    return module, preprocessing, _imagenet_names() if module.num_classes == 1000 else None


def _imagenet_names() -> Sequence[str]:
    from torchvision.models import ResNet18_Weights

    names: Sequence[str] = ResNet18_Weights.DEFAULT.meta["categories"]
    return names


def _file(name: str, weights: str | None, names: Sequence[str] | None) -> Loaded:
    if weights not in (None, DEFAULT):
        raise ModelError(f"No weights file {weights!r}. Give the path of a state dict.")
    path, _, factory = name.rpartition(":")
    spec = importlib.util.spec_from_file_location("neurflow_user_model", path)
    if not Path(path).is_file() or spec is None or spec.loader is None:
        raise ModelError(f"There is no Python file {path!r}. Write file:module.py:factory.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, factory, None)):
        raise ModelError(f"{path} has no function {factory!r}.{near(factory, vars(module))}")
    return getattr(module, factory)(), Preprocessing(), names


def _no_download(name: str, error: Exception) -> ModelError:
    return ModelError(
        f"The weights of {name} could not be fetched ({error}). "
        "Without a network give a file: --weights PATH, or --weights random."
    )


def load_weights(module: nn.Module, path: Path) -> None:
    """Load a state dict (pickled tensors only, or safetensors) into ``module``, strictly."""
    target = module.module if isinstance(module, Model) else module
    state = _read_state(path)
    wanted = target.state_dict()
    state = {key.removeprefix("module."): value for key, value in state.items()}
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    # counters of batch norm are often left out of published files and change nothing in eval mode
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    wrong = [k for k in wanted.keys() & state.keys() if wanted[k].shape != state[k].shape]
    if missing or extra or wrong:
        raise ModelError(
            f"The weights in {path} do not fit {type(target).__name__}: {len(missing)} missing, "
            f"{len(extra)} unexpected, {len(wrong)} of another shape "
            f"({', '.join([*missing, *extra, *sorted(wrong)][:3])}, …). "
            "Check that they belong to this architecture and number of classes."
        )
    target.load_state_dict(state, strict=False)


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelError(
            f"{path} holds more than tensors, and loading it could run foreign code. "
            "Save the state dict alone: torch.save(model.state_dict(), PATH)."
        ) from None
    except Exception as error:  # readers raise many kinds on a damaged file; all mean the same here
        reason = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
        raise ModelError(
            f"The weights in {path} cannot be read: {reason}. Fetch or save the file again."
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path} is not a state dict: a mapping from names to tensors is needed.")
    return state


def _weights_file(weights: str | Path | None) -> Path | None:
    """The path if ``weights`` means a file; ``ModelError`` if it means one that is not there."""
    if weights is None:
        return None
    path = Path(weights)
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 1:
        raise ModelError(f"There is no weights file {str(path)!r}.")
    return None


def _class_names(given: str | Path | Sequence[str] | None) -> Sequence[str] | None:
    return read_class_names(Path(given)) if isinstance(given, str | Path) else given
