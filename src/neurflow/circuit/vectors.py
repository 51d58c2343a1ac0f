"""Vectors as fields of stored types: the JSON has the address of a vector in the file of arrays."""

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
    """Put an array into the store of the context, and return its address; without a store, a list."""
    if array is None:
        return None
    store = (info.context or {}).get("arrays")
    return array.tolist() if store is None else store.put(array)


def _unpack(value: Any, info: ValidationInfo) -> np.ndarray:
    """Return the array at an address in the store; without a store, that of the given numbers."""
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
    """Return whether two vectors are equal, or both are None."""
    return one is other or (one is not None and other is not None and np.array_equal(one, other))
