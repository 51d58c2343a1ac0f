"""Items of a source in memory: a picture and its label, in any of the usual forms.

An item is a picture, a pair of picture and label, or a dict with both, as in Hugging Face data sets. A
picture is

- a Pillow picture, a path, encoded bytes (``{"bytes": …, "path": …}``), or an open file;
- a NumPy array ``[height, width]``, ``[height, width, channel]`` or ``[channel, height, width]`` of
  bool, uint8, uint16 or floating point in 0…1;
- a tensor of integers of these shapes;
- a floating-point tensor or array with the shape of the input, which is used without the transform.

A label is one class: an integer, a text (also as bytes), a one-hot vector, or a number for which the
data set has a name.
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from neurflow.errors import UnreadableImage
from neurflow.model import Model
from neurflow.model.input_form import InputForm
from neurflow.model.naming import ClassNames
from neurflow.model.picture_modes import deep_grey, in_mode, is_deep
from neurflow.model.preprocessing import MODES
from neurflow.pictures.decoding import open_picture, suffixes, upright
from neurflow.pictures.handles import bytes_of, is_handle
from neurflow.pictures.spellings import not_from_zero

PICTURE_KEYS = ("pixel_values", "image", "img", "picture")
PATH_KEYS = ("path", "image_path", "file", "filename", "file_name", "filepath", "file_path")
LABEL_KEYS = (
    *("label", "labels", "fine_label", "target", "targets", "cls", "class", "category"),
    *("class_name", "label_name", "category_name", "class_id", "species", "breed", "y", "gt"),
)


def split(item: Any) -> tuple[Any, Any]:
    """Split an item into (picture, label); the label is None if there is none.

    Raises:
        UnreadableImage: a dict or tuple does not contain a picture.
    """
    if isinstance(item, Mapping):
        label = _label_of(item)
        if "bytes" in item or set(item) == {"path"}:
            return item, label
        key = _key_of(item)
        if key is None:
            raise UnreadableImage(
                f"a dict with {listed(item)}, but with none of {', '.join(PICTURE_KEYS)}"
            )
        return item[key], label
    if isinstance(item, list) and item and isinstance(item[0], list | int | float):
        return item, None  # a picture as nested lists
    if isinstance(item, tuple | list):
        if not item or (
            len(item) > 2 and not isinstance(item[0], Image.Image | Tensor | np.ndarray)
        ):
            kinds = ", ".join(type(part).__name__ for part in item)
            raise UnreadableImage(
                f"an item is a picture or (picture, label), but this one is ({kinds})"
            )
        if len(item) == 2 and _is_pixels(item[1]) and isinstance(item[0], int):
            raise UnreadableImage("a pair is (picture, label), but here the picture is second")
        return item[0], item[1] if len(item) > 1 else None
    return item, None


def _label_of(item: Mapping[Any, Any]) -> Any:
    """Return the label in a dict, or in its ``json``, as in WebDataset; None if there is none."""
    inside = item.get("json")
    for each in (item, inside) if isinstance(inside, Mapping) else (item,):
        for key in LABEL_KEYS:
            if key in each:
                return each[key]
    return None


def _is_pixels(value: Any) -> bool:
    is_array = isinstance(value, Tensor | np.ndarray) and value.ndim in (2, 3)
    return is_array or isinstance(value, Image.Image)


def _key_of(item: Mapping[Any, Any]) -> Any:
    """Return the key of the picture in a dict; None if there is none, or several picture files."""
    for keys in (PICTURE_KEYS, _of_webdataset(item), PATH_KEYS):
        found = [key for key in keys if item.get(key) is not None]
        if found:
            return found[0]
    decoded = [key for key, value in item.items() if _is_pixels(value)]
    return decoded[0] if len(decoded) == 1 else None


def _of_webdataset(item: Mapping[Any, Any]) -> list[Any]:
    """Return the only key that ends in a picture suffix, as in WebDataset (``jpg``, ``input.png``)."""
    keys = [key for key in item if isinstance(key, str)]
    found = [key for key in keys if f".{key.rpartition('.')[2].lower()}" in suffixes()]
    return found if len(found) == 1 else []


def listed(item: Mapping[Any, Any]) -> str:
    """Return the first keys of a dict as text."""
    return ", ".join(map(str, list(item)[:8])) or "no keys"


def decoded(value: Any) -> Any:
    """Decode a path, encoded bytes or nested lists of numbers; other pictures are returned unchanged.

    Raises:
        UnreadableImage: there is no picture, or it cannot be decoded.
    """
    if isinstance(value, Mapping):
        data = value.get("bytes")
        value = data if is_handle(data) else value.get("path")
    if is_handle(value):
        return open_picture(bytes_of(value))
    if isinstance(value, str | os.PathLike):
        return open_picture(value)
    return _array_of(value) if isinstance(value, list) else value


def ready(value: Any, form: InputForm) -> Tensor | None:
    """Return a floating-point tensor or array with the shape of the input; None for a picture.

    Raises:
        UnreadableImage: a floating-point tensor has another shape, and tensors are not transformed.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.shape == form.shape:
        return torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))
    if not (isinstance(value, Tensor) and value.is_floating_point()):
        return None
    if tuple(value.shape) != form.shape:
        raise UnreadableImage(
            f"its shape is {tuple(value.shape)}, but the model takes {form.shape}; "
            "floating-point tensors are not transformed"
        )
    return value.detach().cpu().float()


def picture_of(value: Any, form: InputForm) -> Image.Image | Tensor:
    """Return a picture in the form that the transform accepts.

    Raises:
        UnreadableImage: it is not a picture, or not one that the transform accepts.
    """
    if isinstance(value, np.ndarray):
        value = _from_array(value, form, prefer_last=True)
    elif isinstance(value, Tensor):
        value = _from_array(value.detach().cpu().numpy(), form, prefer_last=False)
    if isinstance(value, Tensor):
        return value
    if not isinstance(value, Image.Image):
        raise UnreadableImage(f"neither a picture nor a tensor: {type(value).__name__}")
    if form.mode is None:
        raise UnreadableImage(
            f"the model takes {form.shape[0]} channels, but a {value.mode} picture has fewer"
        )
    picture = upright(value)
    if form.deep and is_deep(picture):
        return deep_grey(picture)
    return in_mode(picture, form.mode)


def _array_of(value: Sequence[Any]) -> np.ndarray:
    """Convert nested lists of numbers, which data sets without a format contain."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise UnreadableImage("a list whose rows differ in length") from None
    return array.astype(np.uint8) if array.dtype.kind == "i" and _are_bytes(array) else array


def _are_bytes(array: np.ndarray) -> bool:
    return bool(array.size and array.min() >= 0 and array.max() <= 255)


def _from_array(array: np.ndarray, form: InputForm, prefer_last: bool) -> Image.Image | Tensor:
    """Convert an array to a picture; its type determines the value of white."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # FITS files are big-endian
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    is_float = array.dtype.kind == "f"
    if not (is_float or array.dtype in (np.uint8, np.uint16)):
        raise UnreadableImage(
            f"values of type {array.dtype} have no defined white: give uint8, uint16 or floating point "
            "from 0 to 1"
        )
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise UnreadableImage(f"a picture has two or three axes, but its shape is {array.shape}")
    if is_float:
        _refuse_beyond_one(array)
    if array.ndim == 3:
        array = _channels_last(array, form.shape[0], prefer_last)
    if form.mode is None:
        return _as_tensor(array, form)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        return Image.fromarray(
            np.ascontiguousarray(array.astype(np.float32) if is_float else array)
        )
    mode = MODES.get(array.shape[2])
    if mode is None:
        raise UnreadableImage(
            f"it has {array.shape[2]} channels, but the model takes {form.shape[0]}"
        )
    if is_float:
        array = np.round(array * 255).astype(np.uint8)
    elif array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    return Image.frombytes(mode, array.shape[1::-1], np.ascontiguousarray(array).tobytes())


def _refuse_beyond_one(array: np.ndarray) -> None:
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):
        cure = "; divide them by 255" if low >= 0 and high <= 255 else ""
        raise UnreadableImage(
            f"its floating-point values range from {low:.4g} to {high:.4g}, instead of 0 to 1{cure}"
        )


def _channels_last(array: np.ndarray, channels: int, prefer_last: bool) -> np.ndarray:
    """Return ``[height, width, channel]`` from either order of axes."""
    known = {*MODES, channels}
    last, first = array.shape[2], array.shape[0]
    # of two candidates, the one with as many channels as the model takes
    if last in known and first in known:
        is_last = last == channels if channels in (first, last) and first != last else prefer_last
    elif last in known or first in known:
        is_last = last in known
    else:
        raise UnreadableImage(
            f"its shape is {array.shape}: neither the first nor the last axis can be the channels"
        )
    return array if is_last else np.moveaxis(array, 0, 2)


def _as_tensor(array: np.ndarray, form: InputForm) -> Tensor:
    """Return ``[channel, height, width]`` with values in 0…1, for networks with many channels."""
    if array.ndim == 2 or array.shape[2] != form.shape[0]:
        count = 1 if array.ndim == 2 else array.shape[2]
        raise UnreadableImage(
            f"the model takes {form.shape[0]} channels, but the picture has {count}"
        )
    white = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}.get(array.dtype, 1)
    values = np.ascontiguousarray(np.moveaxis(array, 2, 0), dtype=np.float32) / white
    return torch.from_numpy(values)


def content(value: Any) -> bytes:
    """Return bytes that change when a picture changes."""
    if isinstance(value, Mapping):
        return content(value.get("bytes") or value.get("path"))
    if is_handle(value):
        return bytes_of(value)
    if isinstance(value, str | os.PathLike):
        status = Path(value).stat()
        return f"{os.fspath(value)!a} {status.st_size} {status.st_mtime_ns}".encode()
    if isinstance(value, Image.Image):
        return f"{value.mode} {value.size} ".encode() + value.tobytes()
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    return np.ascontiguousarray(value).tobytes()


class Labels:
    """The labels of a source as texts that name classes.

    Args:
        source: a data set. Its own class names have priority over its numbers.
        model: has the class names, which are loaded when they are first needed.
    """

    def __init__(self, source: Any, model: Model) -> None:
        self._source, self._model = source, model
        self._numbers: dict[int, int] = {}

    def trusted(self, texts: Sequence[str | None]) -> tuple[list[str | None], list[str]]:
        """Return the labels without numbers that are not those of the classes, and notes."""
        note = not_from_zero(self._numbers.values(), len(self._classes)) if self._numbers else ""
        untrusted = self._numbers if note else {}
        kept = [None if index in untrusted else text for index, text in enumerate(texts)]
        return kept, [note] if note else []

    @property
    def _classes(self) -> ClassNames:
        return self._model.names

    def text(self, label: Any, index: int) -> str | None:
        """Return the label of item ``index`` as text; None if it is not a single class."""
        if isinstance(label, bytes):  # as h5py returns texts
            label = label.decode(errors="backslashreplace")
        own = own_names(self._source, index)
        number = _one_number(label)
        if number is None:
            number = _one_hot(label, len(self._classes if own is None else own))
        if number is None:
            return str(label) if isinstance(label, str | np.str_) else None
        if own is None or (self._classes.numbered and len(own) == len(self._classes)):
            self._numbers[index] = number
            return self._text_of(number)
        if not 0 <= number < len(own):
            return str(number)
        name = own[number]
        if number < len(self._classes) and number in self._classes.matching(name):
            return self._text_of(number)
        return name

    def _text_of(self, number: int) -> str:
        known = 0 <= number < len(self._classes)
        return self._classes.text_of(number) if known else str(number)


def _one_number(label: Any) -> int | None:
    """Return a label as a class number; None for a text, several numbers, or nothing."""
    if isinstance(label, Tensor):
        label = label.detach().cpu().numpy()
    if isinstance(label, np.ndarray | list | tuple):
        flat = np.asarray(label, dtype=object).ravel()
        label = flat[0] if flat.size == 1 else None
    if isinstance(label, bool | int | np.integer | np.bool):
        return int(label)
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return int(label)
    return None


def _one_hot(label: Any, classes: int) -> int | None:
    """Return the class of a one-hot vector, which has an entry for each class; otherwise None."""
    if not isinstance(label, Tensor | np.ndarray | list | tuple):
        return None
    values = np.asarray(label.detach().cpu() if isinstance(label, Tensor) else label)
    if values.shape != (classes,) or values.dtype.kind not in "biuf":
        return None
    is_one = values == 1
    return int(is_one.argmax()) if is_one.sum() == 1 and not values[~is_one].any() else None


def own_names(source: Any, index: int) -> Sequence[str] | None:
    """Return the class names of a data set, given one of its items; None if it has none.

    These are the names of torchvision (``classes``, ``class_to_idx``) and Hugging Face
    (``features``), also inside ``Subset`` and ``ConcatDataset``.
    """
    for _ in range(32):  # nested wrappers
        names = _names_of(source)
        if names is not None:
            return names
        parts, ends = getattr(source, "datasets", None), getattr(source, "cumulative_sizes", None)
        if parts is not None and ends is not None:
            part = bisect.bisect_right(ends, index)
            source, index = parts[part], index - (ends[part - 1] if part else 0)
        elif hasattr(source, "dataset"):
            indices = getattr(source, "indices", None)
            source, index = source.dataset, index if indices is None else int(indices[index])
        else:
            return None
    return None


def _names_of(source: Any) -> Sequence[str] | None:
    if getattr(source, "target_transform", None) is not None:
        return None  # the transform may have changed the numbers
    features = getattr(source, "features", None)
    if isinstance(features, Mapping):
        for key in LABEL_KEYS:
            names = getattr(features.get(key), "names", None)
            if names:
                return list(map(str, names))
    classes = getattr(source, "classes", None)
    if isinstance(classes, list | tuple) and classes:
        return [str(name[0] if isinstance(name, list | tuple) else name) for name in classes]
    numbers = getattr(source, "class_to_idx", None)
    if isinstance(numbers, Mapping) and numbers:
        by_number = {number: str(name) for name, number in numbers.items()}
        return [by_number.get(number, "") for number in range(max(by_number) + 1)]
    return None
