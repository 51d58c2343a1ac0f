"""Loads the model of a result again, as the result describes it.

1. **Reference.** A result may come from anyone, so its reference is followed only if it names
   a library's classifier (``torchvision:NAME``, ``timm:NAME``) or the demo's network. Other
   references may run code, open a file or download something, so the caller must pass them explicitly.
2. **Weights.** A file that the result names is read if it is a plain file on this machine. State
   dicts and safetensors cannot run code, and the parameters are compared with those of the result.
3. **The rest** is plain data of the result: class names, preprocessing, options of ``load_model``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from neurflow.circuit.types import CircuitData
from neurflow.errors import ModelError, RequestError, ResultError
from neurflow.model import Model, load_model
from neurflow.model.preprocessing import Preprocessing
from neurflow.model.source import DEFAULT

LIBRARIES = re.compile(r"(torchvision|timm):[A-Za-z0-9_.-]{1,200}")
"""references that are loaded without asking: names from a library's own list"""
BUILT_IN = {"the demo network": ("neurflow.demo.network", "demo_model")}
"""reference of a network in this package → module and function"""
MAX_QUOTED = 200
"""largest number of characters of a reference that is quoted in full"""
OUTPUTS_DIFFER = 0.05
"""difference of outputs, relative to the largest, above which a model is not that of a circuit"""


def facts_to_reload(model: Model) -> dict[str, Any]:
    """Return fields of ``Circuit`` that describe the model, besides ``Model.info``."""
    transform = model.transform
    return {
        "class_names": model.class_names if model.named else (),
        "preprocessing": asdict(transform) if isinstance(transform, Preprocessing) else None,
    }


def reload_model(
    circuit: CircuitData,
    model: str | None = None,
    *,
    weights: str | Path | None = None,
    class_names: str | Path | Sequence[str] | None = None,
    device: str = "cpu",
) -> Model:
    """Load the model of a result, as the result describes it unless arguments say otherwise.

    Args:
        circuit: the result.
        model: reference, as for ``load_model``. Required if the result's own reference would run code,
            open a file or download something.
        weights: as for ``load_model``; default: those of the result.
        class_names: as for ``load_model``; default: those of the result.
        device: a torch device.

    Raises:
        RequestError: the result does not name its model, or its reference must be passed explicitly.
        ModelError: it cannot be loaded.
        ResultError: the result's preprocessing is damaged.
    """
    known = circuit.model
    reference = model or known.reference
    if reference in BUILT_IN:
        home, function = BUILT_IN[reference]
        built_in: Model = getattr(import_module(home), function)()
        return built_in
    if model is None and must_be_named(reference):
        raise not_followed(reference)
    if weights is None:
        weights = _stored_weights(circuit) if _alike(reference, known.reference) else DEFAULT
    loaded = load_model(
        reference,
        weights,
        class_names=class_names or circuit.class_names or None,
        device=device,
        **known.options.given(),
    )
    if isinstance(loaded.transform, Preprocessing) and circuit.preprocessing is not None:
        loaded.transform = _stored_preprocessing(circuit)
    return loaded


def must_be_named(reference: str) -> bool:
    """Return whether a result's reference is loaded only if the caller passes it."""
    return reference not in BUILT_IN and not LIBRARIES.fullmatch(reference)


def _alike(reference: str, other: str) -> bool:
    """Return whether two references name the same network, wherever its file is."""
    (kind, _, name), (other_kind, _, other_name) = reference.partition(":"), other.partition(":")
    if kind == other_kind == "file":
        return True
    return (kind, PurePath(name).name) == (other_kind, PurePath(other_name).name)


def not_followed(reference: str, line: str = "") -> RequestError:
    """Return the error for a reference that the caller has to pass.

    Args:
        reference: reference in the result.
        line: the command line, if there is one.
    """
    if ":" not in reference:
        return RequestError(
            f"The result was made from a {reference:.80} in memory, which cannot be loaded. "
            "Give it as --model file:module.py:factory, or use neurflow.debug in Python."
        )
    named = shlex.quote(reference) if len(reference) <= MAX_QUOTED else "REFERENCE"
    return RequestError(
        f"The result names {reference:.200} as its model. Loading it may run code or "
        "open files, so it is not loaded automatically. "
        f"If you trust it: {f'{line} --model {named}'.strip()}"
    )


def _stored_weights(circuit: CircuitData) -> str | None:
    """Return the weights of the result: a name, or a plain file.

    Raises:
        RequestError: the weights were in a file that does not exist on this machine.
    """
    known = circuit.model.weights
    if known is None or (re.fullmatch(r"[\w-]+", known) and not Path(known).exists()):
        return known  # a name that the library knows
    if known.startswith(("//", "\\\\")) or not Path(known).is_file():
        relative = "" if Path(known).is_absolute() else f" in {Path.cwd()}"
        raise RequestError(
            f"The weights of the result were in {known:.200}, and there is no such file{relative}. "
            "Give the file: --weights FILE"
        )
    return known


def _stored_preprocessing(circuit: CircuitData) -> Preprocessing:
    stored = circuit.preprocessing or {}
    known = {field.name for field in fields(Preprocessing)}
    try:
        if strange := sorted(stored.keys() - known):
            raise ValueError(f"{strange[0]} is not a setting")
        return TypeAdapter(Preprocessing).validate_python(stored)
    except ValueError as error:  # includes pydantic's
        problem = str(error).splitlines()[0]
        raise ResultError(
            f"The preprocessing of the result cannot be read: {problem}. Create the result again with "
            "neurflow discover."
        ) from None


def _where(weights: str | None) -> str:
    """Return the option for the weights of a result in brackets; empty for default weights."""
    return f" (--weights {weights:.200})" if weights not in (None, "DEFAULT") else ""


def same_model(circuit: CircuitData, model: Model) -> None:
    """Raise ``ModelError`` unless the model has the weights, input size and outputs of the circuit's.

    Outputs are compared for a fixed random picture. Rounding is allowed, also in half precision.
    """
    known, given = circuit.model, model.info
    if known.digest != given.digest:
        raise ModelError(
            f"This circuit was found in another model: {known.reference} with weights "
            f"{known.digest[:12]}…. The one given, {given.reference}, has weights "
            f"{given.digest[:12]}…. Give the model and weights that were given to discover"
            f"{_where(known.weights)}."
        )
    if known.input_size != given.input_size:
        raise ModelError(
            f"The circuit was found with inputs of size {known.input_size}, but those of this model "
            f"have size {given.input_size}. Give the size that was given to discover: --input-size"
        )
    before, now = np.array(known.answers), np.array(given.answers)
    if min(len(before), len(now)) and not _near(before, now):
        raise ModelError(
            f"{given.reference} has the weights of this circuit, but gives other outputs for the same "
            "picture: its preprocessing or its forward pass has changed. Give the options that were "
            "given to discover (such as --mean, --std or --output), or discover again with this one."
        )


def _near(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether outputs differ by no more than half precision may change them."""
    return len(one) == len(other) and bool(
        np.abs(one - other).max() <= OUTPUTS_DIFFER * np.abs(one).max()
    )
