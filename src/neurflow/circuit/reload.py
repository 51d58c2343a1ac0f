"""The model of a result, loaded again by what the result says of it.

1. **Where it comes from.** A result may be a stranger's, so its reference is followed by itself only
   if it names a classifier of a library (``torchvision:NAME``, ``timm:NAME``) or the demo's network.
   Any other would run code, open a file or fetch something; the caller has to name it in the call.
2. **Weights.** A file that the result names is read if it is a plain one on this machine: state dicts
   and safetensors run nothing, and the parameters are compared with those of the result.
3. **The rest** is plain data of the result: class names, preprocessing, options of ``load_model``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path, PurePath
from typing import Any

from pydantic import TypeAdapter

from neurflow.circuit.types import CircuitData
from neurflow.errors import RequestError, ResultError
from neurflow.model import Model, load_model
from neurflow.model.preprocessing import Preprocessing
from neurflow.model.source import DEFAULT

LIBRARIES = re.compile(r"(torchvision|timm):[A-Za-z0-9_.-]{1,200}")
"""references that a result may be followed by: names in a library's own list"""
BUILT_IN = {"the demo network": ("neurflow.demo.network", "demo_model")}
"""reference of a network that comes along → module and function"""


def facts_to_reload(model: Model) -> dict[str, Any]:
    """What a result keeps of its model beside ``Model.info``: fields of ``Circuit``."""
    names, transform = model.class_names, model.transform
    return {
        "class_names": () if names == tuple(map(str, range(len(names)))) else names,
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
    """Load the model of a result, by what the result says of it unless told otherwise.

    Args:
        circuit: the result.
        model: reference, as for ``load_model``. It must be given where following that of the result
            would run code, open a file or fetch something.
        weights: as for ``load_model``; default is those of the result.
        class_names: as for ``load_model``; default is those of the result.
        device: a torch device.

    Raises:
        RequestError: the result does not name its model, or not in a way that is followed unasked.
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
        raise _not_followed(reference)
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
    """Whether a result's reference is followed only if the caller names it."""
    return reference not in BUILT_IN and not LIBRARIES.fullmatch(reference)


def _alike(reference: str, other: str) -> bool:
    """Whether two references name the same, in whatever folder a file of it lies."""
    (kind, _, name), (other_kind, _, other_name) = reference.partition(":"), other.partition(":")
    return (kind, PurePath(name).name) == (other_kind, PurePath(other_name).name)


def _not_followed(reference: str) -> RequestError:
    if ":" not in reference:
        return RequestError(
            f"The result was made from a {reference:.80} in memory, which cannot be loaded. "
            "Give it as --model file:module.py:factory, or use neurflow.debug in Python."
        )
    return RequestError(
        f"The result names {reference:.200} as its model. That may run code or open files, so it "
        f"is not followed unasked. If you trust it: --model {reference:.200}"
    )


def _stored_weights(circuit: CircuitData) -> str | None:
    """The result's weights: a name, or a plain file.

    Raises:
        RequestError: they were in a file that is not there, or that is none.
    """
    known = circuit.model.weights
    if known is None or (re.fullmatch(r"[\w.-]+", known) and not Path(known).exists()):
        return known  # a name of the library's own
    if known.startswith(("//", "\\\\")) or not Path(known).is_file():
        raise RequestError(
            f"The weights of the result were in {known:.200}, which is no file here. "
            "Say where they are now: --weights FILE"
        )
    return known


def _stored_preprocessing(circuit: CircuitData) -> Preprocessing:
    stored = circuit.preprocessing or {}
    known = {field.name for field in fields(Preprocessing)}
    try:
        if strange := sorted(stored.keys() - known):
            raise ValueError(f"{strange[0]} is no setting")
        return TypeAdapter(Preprocessing).validate_python(stored)
    except ValueError as error:  # pydantic's is one
        problem = str(error).splitlines()[0]
        raise ResultError(f"The preprocessing of the result cannot be read: {problem}.") from None
