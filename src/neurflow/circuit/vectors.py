"""Vectors as fields of the stored types. The numbers are in a file of arrays, their address in the
JSON.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import (
    PlainSerializer,
    PlainValidator,
    SerializationInfo,
    ValidationInfo,
    WithJsonSchema,
)


def _pack(array: np.ndarray | None, info: SerializationInfo) -> Any:
    """Store an array in the store of the context, and return its address for the JSON."""
    if array is None:
        return None
    store = (info.context or {}).get("arrays")
    return array.tolist() if store is None else store.put(array)


def _unpack(value: Any, info: ValidationInfo) -> np.ndarray:
    """Return an array that is given as such, as a list of numbers, or as an address in the store."""
    store = (info.context or {}).get("arrays")
    array = store.get(value) if store is not None else np.asarray(value, dtype=np.float32)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("a vector of finite numbers is needed")
    array.setflags(write=False)
    return array


Vector = Annotated[
    np.ndarray,
    PlainValidator(_unpack),
    PlainSerializer(_pack),
    WithJsonSchema({"type": "array", "items": {"type": "number"}}),
]
"""A frozen one-dimensional float32 array, which is stored in the array file instead of the JSON."""
MaybeVector = Annotated[
    np.ndarray | None,
    PlainValidator(lambda value, info: None if value is None else _unpack(value, info)),
    PlainSerializer(_pack),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]}),
]
"""A ``Vector``, or None."""


def equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Return whether two vectors, or None, are the same."""
    return one is other or (one is not None and other is not None and np.array_equal(one, other))
