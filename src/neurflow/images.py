"""Sources of images, all seen the same way: named, ordered, read one at a time.

A folder (of pictures, or of class folders), a torch ``Dataset``, a tensor or a list of PIL pictures
becomes an ``Images``. An image is known by its name; one that cannot be read raises
``UnreadableImage`` where it is read, so that the work counts it, names it and goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from neurflow.circuit import ImageRef
from neurflow.errors import ImagesError
from neurflow.model import Model, Preprocessing

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
)


class UnreadableImage(ImagesError):
    """An image that cannot be read; the message says why."""


@dataclass(frozen=True)
class Images:
    """An ordered, named collection; pixels are read on demand.

    Attributes:
        refs: name and, where known, true class of each image.
        read: position → the network's input ``[channel, height, width]``; raises ``UnreadableImage``.
        digest: changes when the collection does; resuming relies on it.
        root: folder the names are relative to; None for images from memory.
    """

    refs: tuple[ImageRef, ...]
    read: Callable[[int], Tensor]
    digest: str
    root: Path | None = None

    def __len__(self) -> int:
        return len(self.refs)


def load_images(source: Any, model: Model) -> Images:
    """Make a source of images readable as inputs of ``model``.

    Args:
        source: one of
            a folder of pictures, read in order of name; if it holds only folders, each is a class;
            a picture's path, or a list of paths;
            a torch ``Dataset`` of images or (image, label) pairs;
            a tensor ``[image, channel, height, width]``;
            a list of PIL pictures.
            Floating-point tensors are taken as inputs ready for the network; ``uint8`` tensors and
            PIL pictures go through the model's transform.
        model: gives the transform, the input size and the class names.

    Raises:
        ImagesError: nothing there, or nothing that can be read.
    """
    if isinstance(source, Images):
        return source
    if isinstance(source, str | Path):
        return _from_folder(Path(source), model)
    if isinstance(source, Sequence) and source and all(isinstance(s, str | Path) for s in source):
        return _from_paths([Path(s) for s in source], None, model)
    if isinstance(source, Tensor) and source.ndim != 4:
        raise ImagesError(
            f"A tensor of images has axes [image, channel, height, width]; this has {source.ndim}."
        )
    if not hasattr(source, "__getitem__") or not hasattr(source, "__len__"):
        raise ImagesError(
            f"Cannot read images from {type(source).__name__}. "
            "Give a folder, a Dataset, a tensor or a list of pictures."
        )
    if len(source) == 0:
        raise ImagesError("There are no images: the source is empty.")
    return _from_memory(source, model)


def _from_folder(folder: Path, model: Model) -> Images:
    if folder.is_file():
        return _from_paths([folder], folder.parent, model)
    if not folder.is_dir():
        raise ImagesError(f"There is no folder of images at {str(folder)!r}.")
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not paths:
        raise ImagesError(
            f"No pictures in {str(folder)!r}. Looked for files ending in {', '.join(sorted(SUFFIXES))}."
        )
    return _from_paths(paths, folder, model)


def _from_paths(paths: Sequence[Path], root: Path | None, model: Model) -> Images:
    digest = hashlib.sha256()
    refs = []
    for path in paths:
        name = path.relative_to(root) if root else path
        try:
            status = path.stat()
        except OSError:
            raise ImagesError(f"There is no picture at {str(path)!r}.") from None
        digest.update(f"{name.as_posix()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        label = name.parts[0] if root and len(name.parts) > 1 else None
        refs.append(ImageRef(name=name.as_posix(), label=label))

    def read(index: int) -> Tensor:
        return _checked(model, open_picture(paths[index]))

    return Images(tuple(refs), read, digest.hexdigest(), root)


def open_picture(path: Path | BinaryIO) -> Image.Image:
    """Read a picture, from its path or an open file, upright.

    Grey, palette and 16-bit files become RGB; transparency is kept.

    Raises:
        UnreadableImage: missing, damaged, too large or not a picture.
    """
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith(("I", "F")):
                values = np.asarray(picture, dtype=np.float64)
                span = 65535 if values.max() > 255 else 255
                picture = Image.fromarray((values / span * 255).clip(0, 255).astype(np.uint8))
            return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    except UnidentifiedImageError:
        raise UnreadableImage("not a picture, or damaged") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableImage(str(error) or type(error).__name__) from None


def _from_memory(source: Any, model: Model) -> Images:
    """Images of a Dataset, tensor or list, looked at once for labels; names are made up.

    An item that cannot be had (a Dataset reads its own files) is unreadable, not the end.
    """
    width = len(str(len(source) - 1))
    digest = hashlib.sha256()
    refs = []
    for index in range(len(source)):
        try:
            value, label = _split(source[index])
            digest.update(_bytes(value))
        except Exception as error:  # the source is the user's code and may raise anything
            label = None
            digest.update(repr(error).encode())
        name = _label(label, model)
        digest.update(f"\0{name}\n".encode())
        refs.append(ImageRef(name=f"image-{index:0{width}d}", label=name))

    def read(index: int) -> Tensor:
        try:
            value = _split(source[index])[0]
        except Exception as error:  # as above
            raise UnreadableImage(str(error) or type(error).__name__) from None
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        if isinstance(value, Tensor) and value.dtype is torch.uint8:
            array = value.permute(1, 2, 0).numpy()
            value = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
        return _checked(model, value)

    return Images(tuple(refs), read, digest.hexdigest())


def _label(label: Any, model: Model) -> str | None:
    """A true class as text: the class's name where the source has its number."""
    if isinstance(label, Tensor | np.integer):
        label = int(label)
    if isinstance(label, int) and 0 <= label < len(model.class_names):
        label = model.class_names[label]
    return None if label is None else str(label)


def _split(item: Any) -> tuple[Any, Any]:
    return (item[0], item[1]) if isinstance(item, tuple | list) else (item, None)


def _bytes(value: Any) -> bytes:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    return np.ascontiguousarray(value).tobytes()


def _checked(model: Model, value: Any) -> Tensor:
    """The network's input made from a picture or a ready tensor, of the right shape and finite."""
    if isinstance(value, Image.Image):
        try:
            reads_modes = isinstance(model.transform, Preprocessing)
            value = model.transform(value if reads_modes else value.convert("RGB"))
        except Exception as error:  # the transform is the user's code and may raise anything
            raise UnreadableImage(f"the transform fails on it: {error}") from None
    if not isinstance(value, Tensor):
        raise UnreadableImage(f"neither a picture nor a tensor: {type(value).__name__}")
    if tuple(value.shape) != model.input_size:
        raise UnreadableImage(f"shape {tuple(value.shape)}, the model takes {model.input_size}")
    if not value.isfinite().all():
        raise UnreadableImage("it holds values that are not finite")
    return value.detach().float()
