"""Sources in memory: encoded pictures, pairs of arrays, and sources that are refused.

Encoded pictures are accepted as bytes (also ``bytearray`` and ``memoryview``), as files opened for
reading bytes (``io.BytesIO``, ``open(path, "rb")``), and as paths within archives (``zipfile.Path``).
"""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from neurflow.errors import ImagesError, UnreadableImage

_BYTES = bytes | bytearray | memoryview


def is_handle(value: Any) -> bool:
    """Return whether a value is an encoded picture, an open file, or a path within an archive."""
    file = hasattr(value, "read") and hasattr(value, "seek")
    inside = hasattr(value, "read_bytes") and not isinstance(value, os.PathLike)
    return isinstance(value, _BYTES) or file or inside


def bytes_of(value: Any) -> bytes:
    """Return the bytes of an encoded picture; an open file is read from its beginning.

    Raises:
        UnreadableImage: the file is closed, or opened for reading text.
    """
    if isinstance(value, _BYTES):
        return bytes(value)
    try:
        if isinstance(value, io.BytesIO):
            data: Any = value.getvalue()
        elif hasattr(value, "read_bytes"):
            data = value.read_bytes()
        else:
            value.seek(0)
            data = value.read()
    except Exception as error:  # files of other libraries may raise anything
        raise UnreadableImage(f"it cannot be read: {error or type(error).__name__}") from None
    if not isinstance(data, bytes):
        raise UnreadableImage("the file is opened for reading text; open it with mode 'rb'")
    return data


def pairs_of(source: Any) -> Any:
    """Return (picture, label) pairs of two arrays or tensors; other sources are returned unchanged."""
    if not (isinstance(source, tuple | list) and len(source) == 2):
        return source
    pictures, labels = source
    if isinstance(pictures, Tensor | np.ndarray) and pictures.ndim == 4 and _has_length(labels):
        if len(pictures) != len(labels):
            raise ImagesError(
                f"There are {len(pictures)} pictures but {len(labels)} labels. Give a label for each "
                "picture."
            )
        if not (isinstance(labels, Tensor | np.ndarray) and labels.ndim == 4):
            return list(zip(pictures, labels, strict=True))
    return source


def _has_length(value: Any) -> bool:
    if isinstance(value, Tensor | np.ndarray):
        return value.ndim > 0
    return isinstance(value, list | tuple)


def _dict_error(source: Mapping[Any, Any]) -> str:
    """Return the error message for a dict."""
    parts = ", ".join(f"{name!s:.60}" for name in list(source)[:5])
    told = f"This is a dict with {parts or 'nothing'}."
    if all(isinstance(value, str | int) for value in source.values()) and source:
        return f"{told} If it has pictures and labels, give pairs: list(data.items())"
    if len(source) == 2:
        one, two = (f"data[{name!r:.60}]" for name in source)
        return f"{told} If these are pictures and labels, give pairs: list(zip({one}, {two}))"
    return f"{told} Give one of them, or a list."


def refuse_others(source: Any) -> None:
    """Raise an error for anything that is not a sequence of images."""
    if isinstance(source, Tensor | np.ndarray) and source.ndim != 4:
        raise ImagesError(
            "A tensor or array of images has axes [image, channel, height, width] or "
            f"[image, height, width, channel]; this one has {source.ndim} axes."
            + (" Grey images need another axis: images[:, None]." if source.ndim == 3 else "")
        )
    if isinstance(source, Mapping):
        raise ImagesError(_dict_error(source))
    if hasattr(source, "iloc"):  # a pandas table, for example
        raise ImagesError(
            "A table is not a list of pictures. Give its columns as pairs: list(zip(table['path'], "
            "table['label']))."
        )
    if isinstance(source, zipfile.ZipFile | tarfile.TarFile):
        raise ImagesError("This is an archive. Unpack it, and give the folder.")
    if not hasattr(source, "__getitem__") or not hasattr(source, "__len__"):
        raise ImagesError(f"Cannot read images from {type(source).__name__}. {_instead_of(source)}")
    try:
        count = len(source)
    except Exception as error:  # the source is the user's code and may raise anything
        raise ImagesError(
            f"The source of images does not say how many it has: {error}. "
            "Give a list of its items: list(source)"
        ) from None
    if count == 0:
        raise ImagesError("There are no images: the source is empty.")


def _instead_of(source: Any) -> str:
    """Suggest what to give instead of a source without numbered items."""
    if not hasattr(source, "__iter__"):
        return "Give a folder, a data set, an array, a tensor or a list of pictures."
    if hasattr(source, "dataset"):  # a DataLoader
        return "Give its data set: loader.dataset"
    return "Give a list of its items: list(source)"
