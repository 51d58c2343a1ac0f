"""Sources of images with one interface: images have names and an order, and are read one at a time.

A folder (of pictures, or of class folders), a data set, an array, a tensor or a list of pictures
becomes an ``Images``. An image is identified by its name. Reading an image may raise
``UnreadableImage``; callers then count the image, report its name and continue.

The same picture gives the same input from every kind of source: files are decoded by ``decoding``,
items in memory are converted by ``items``, and both are passed to the transform in the form that it
accepts.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from neurflow.errors import ImagesError, NeurFlowError, UnreadableImage
from neurflow.model import Model
from neurflow.model.preprocessing import Preprocessing
from neurflow.pictures import handles, items, places
from neurflow.pictures.decoding import open_picture
from neurflow.pictures.folders import find_pictures, labels_of, name_of
from neurflow.pictures.spellings import Spellings, label_notes
from neurflow.pictures.tables import is_table, read_table
from neurflow.refs import ImageRef
from neurflow.runtime.progress import Progress
from neurflow.runtime.registry import Registry

__all__ = [
    "Images",
    "UnreadableImage",
    "load_images",
    "open_picture",
    "picture_source",
    "spread",
]

UNSCALED = 20
"""a tensor with values this many times larger than those of inputs was not scaled"""


@dataclass(frozen=True)
class Images:
    """An ordered collection of named images, whose pixels are read on demand.

    Attributes:
        refs: name and, if known, true class of each image.
        read: position → the network's input ``[channel, height, width]``; raises ``UnreadableImage``.
        digest: changes when the collection changes; resuming depends on it.
        root: folder to which the names are relative; None for images from memory.
        notes: notes for the user on skipped files and on labels that match no class.
    """

    refs: tuple[ImageRef, ...]
    read: Callable[[int], Tensor]
    digest: str
    root: Path | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.refs)

    def tell(self, progress: Progress) -> Images:
        """Report the notes, and return the collection itself."""
        for note in self.notes:
            progress.note(note)
        return self


Source = Callable[[Any, Model], Any]
SOURCES: Registry[Source] = Registry("kind of picture source", "neurflow.pictures")
"""kinds of picture source that users have registered"""


def picture_source(name: str) -> Callable[[Source], Source]:
    """Decorate a function that makes pictures of a kind of source, so that ``load_images`` takes it.

    The function gets the source and the model. It returns None if the source is of another kind, and
    otherwise an ``Images`` or anything else that ``load_images`` takes, such as a data set::

        @picture_source("clips")
        def frames(source: Any, model: Model) -> Any:
            return Frames(source) if str(source).endswith(".mp4") else None

    It is asked before the kinds of source that are built in. A package registers its kinds by entry
    points of the group ``neurflow.pictures``: the value is the module with the decorated function.

    Raises:
        RequestError: another function is registered under this name.
    """

    def registered(source: Source) -> Source:
        SOURCES.add(name, source, source)
        return source

    return registered


def _from_registered(source: Any, model: Model) -> Any:
    """Return the result of the first registered function that accepts the source, else the source."""
    for name in SOURCES:
        try:
            made = SOURCES.named(name)(source, model)
        except NeurFlowError:
            raise
        except Exception as error:  # the function is the user's code and may raise anything
            raise ImagesError(
                f"The picture source {name!r} fails: {type(error).__name__}: {error}"
            ) from error
        if made is not None:
            return made
    return source


def load_images(source: Any, model: Model) -> Images:
    """Make a source of images readable as inputs of ``model``.

    Args:
        source: one of
            a folder of pictures, read in order of name; folders in it are labels;
            a pattern of paths (``photos/*.jpg``); a table (CSV) of paths and labels;
            a picture's path, or a list of paths;
            a Pillow picture, or a list of them;
            an array ``[image, height, width, channel]`` or ``[image, channel, height, width]``, or
            a list of arrays;
            a data set of pictures, (picture, label) pairs, or dicts with ``image`` or
            ``pixel_values``, and ``label``.
            Floating-point tensors are inputs ready for the network; everything else goes through
            the model's transform. See the page on inputs of the documentation.
        model: gives the transform, the input size and the class names.

    Raises:
        ImagesError: there is nothing at the path, or nothing that can be read.

    Example::

        images = neurflow.load_images("photos/", model)
        images = neurflow.load_images([(picture, "bee") for picture in pictures], model)
    """
    if isinstance(source, Images):
        return source
    source = _from_registered(source, model)
    if isinstance(source, Images):
        return source
    if isinstance(source, str | PathLike):
        return _from_place(source if isinstance(source, str) else Path(source), model)
    if isinstance(source, np.ndarray) and source.ndim == 1 and source.dtype.kind in "OU":
        source = list(source)  # paths, or pictures of several sizes
    source = handles.pairs_of(source)
    if isinstance(source, Image.Image) or handles.is_handle(source) or _is_one(source, model):
        source = [source]
    if (
        isinstance(source, Sequence)
        and source
        and all(isinstance(s, str | PathLike) for s in source)
    ):
        return _from_list(source, model)
    handles.refuse_others(source)
    return _from_memory(source, model)


def _is_one(source: Any, model: Model) -> bool:
    """Return whether a source is one picture: grey, in colour, or with the input's channels."""
    if not isinstance(source, Tensor | np.ndarray) or source.ndim not in (2, 3):
        return False
    if source.ndim == 2 or model.input_form.shape[0] in (source.shape[0], source.shape[2]):
        return True
    return isinstance(source, np.ndarray) and source.shape[2] in (3, 4)


def spread(refs: Sequence[ImageRef], seed: int) -> list[int]:
    """Return all positions in an order in which the first ones are spread over the folders.

    Folders take turns, and the order within a folder is random. The folders are those in the names,
    or the labels if names were generated.
    """
    folders = defaultdict[str, list[int]](list)
    for position, ref in enumerate(refs):
        folders[ref.name.rpartition("/")[0] or ref.label or ""].append(position)
    draw = random.Random(seed)
    for positions in folders.values():
        draw.shuffle(positions)
    turns = list(folders.values())
    draw.shuffle(turns)
    return [place for place in chain(*zip_longest(*turns)) if place is not None]


def _from_place(text: str | Path, model: Model) -> Images:
    found = places.find(text)
    if isinstance(found, list):
        root, names = _relative(found)
        return _from_paths(found, names, root, model)
    if is_table(found):
        return _from_table(found, model)
    if found.is_file():
        return _from_paths([found], [name_of(found.name)], found.parent, model)
    return _from_folder(found, model)


def _from_folder(folder: Path, model: Model) -> Images:
    found = find_pictures(folder)
    note = found.note()
    if not found.pictures:
        cure = places.cure_of(found.left_out)
        raise ImagesError(
            f"No pictures in {name_of(folder)!r}. Looked for files ending in .jpg, .png, .tif and "
            f"others that Pillow reads.{f' {note}' if note else ''}{f' {cure}' if cure else ''}"
        )
    names = [name_of(path.relative_to(folder)) for path in found.pictures]
    return _from_paths(found.pictures, names, folder, model, [note] if note else [])


def _from_list(source: Sequence[str | PathLike[str]], model: Model) -> Images:
    """Make images from paths; labels are taken from the folders below the one that has them all."""
    paths, grouped = places.find_all(
        [each if isinstance(each, str) else Path(each) for each in source]
    )
    root, names = _relative(paths)
    if grouped:
        return _from_paths(paths, names, root, model)
    labels, notes = _labelled(names, model)
    return _images(paths, list(map(name_of, paths)), labels, None, model, notes)


def _from_table(table: Path, model: Model) -> Images:
    paths, said, told = read_table(table, model.names)
    labels, notes = Spellings(model.names).read(said)
    root, names = _relative(paths)
    told += [*notes, *label_notes(labels, model.names)]
    return _images(paths, names, labels, root, model, told)


def _relative(paths: Sequence[Path]) -> tuple[Path, list[str]]:
    """Return the folder that contains all paths, and their names in it."""
    whole = [Path(os.path.abspath(path)) for path in paths]
    root = Path(os.path.commonpath([path.parent for path in whole]))
    return root, [name_of(path.relative_to(root)) for path in whole]


def _from_paths(
    paths: Sequence[Path],
    names: Sequence[str],
    root: Path,
    model: Model,
    notes: Sequence[str] = (),
) -> Images:
    labels, more = _labelled(names, model)
    return _images(paths, names, labels, root, model, [*notes, *more])


def _labelled(names: Sequence[str], model: Model) -> tuple[Sequence[str | None], list[str]]:
    """Return labels from names relative to a folder, and notes; a single file has no label."""
    if len(names) == 1 and "/" not in names[0]:
        return [None], []
    labels, notes = labels_of(names, model.names)
    return labels, [*notes, *label_notes(labels, model.names)]


def _images(
    paths: Sequence[Path],
    names: Sequence[str],
    labels: Sequence[str | None],
    root: Path | None,
    model: Model,
    notes: Sequence[str],
) -> Images:
    """Make images from files."""
    digest = hashlib.sha256()
    refs = []
    for path, name, label in zip(paths, names, labels, strict=True):
        try:
            status = path.stat()
        except (OSError, ValueError):
            raise ImagesError(f"There is no picture at {name_of(path)!r}.") from None
        if path.is_dir():
            raise ImagesError(f"{name_of(path)!r} is a folder. A list has the paths of pictures.")
        digest.update(f"{name}\0{label}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        refs.append(ImageRef(name=name, label=label))

    def read(index: int) -> Tensor:
        return _input(model, os.fspath(paths[index]))

    return Images(tuple(refs), read, digest.hexdigest(), root, tuple(notes))


def _from_memory(source: Any, model: Model) -> Images:
    """Make images from a data set, tensor or list. Names are generated, and labels are read once, here.

    An item that raises an error (a data set reads its own files) counts as unreadable.
    """
    width = len(str(len(source) - 1))
    digest = hashlib.sha256()
    texts = items.Labels(source, model)
    found, no_class, keys = list[str | None](), 0, dict[Any, None]()
    for index in range(len(source)):
        text = None
        try:
            item = source[index]
            value, label = items.split(item)
            if label is None and isinstance(item, Mapping):
                keys.update(dict.fromkeys(item))
            text = texts.text(label, index)
            no_class += label is not None and text is None
            digest.update(items.content(value))
        except Exception as error:  # the source is the user's code and may raise anything
            digest.update(repr(error).encode(errors="replace"))
        digest.update(f"\0{text}\n".encode(errors="replace"))
        found.append(text)

    def read(index: int) -> Tensor:
        try:
            value = items.split(source[index])[0]
        except Exception as error:  # as above
            raise UnreadableImage(str(error) or type(error).__name__) from None
        return _input(model, value)

    labels, notes = texts.trusted(found)
    if any(label is not None for label in labels):
        labels, more = Spellings(model.names).read(labels)
        notes += [*more, *label_notes(labels, model.names)]
    elif len(keys) > 1 and not no_class:
        notes.append(f"No key of the items was recognised as the label ({items.listed(keys)}).")
    if no_class:
        labels_are = "1 label is" if no_class == 1 else f"{no_class} labels are"
        notes.append(f"{labels_are} not a single class; these images count as unlabelled.")
    refs = tuple(
        ImageRef(name=f"image-{index:0{width}d}", label=label) for index, label in enumerate(labels)
    )
    return Images(refs, read, digest.hexdigest(), notes=tuple(notes))


def _refuse_unscaled(made: Tensor, transform: Preprocessing) -> None:
    """Refuse a tensor of pixel values up to 255 in place of the network's input."""
    pairs = zip(transform.mean, transform.std, strict=True)
    bound = max(max(mean, 1 - mean) / std for mean, std in pairs)
    largest = float(made.abs().max()) if made.numel() else 0.0
    if largest > UNSCALED * bound:
        raise UnreadableImage(
            f"its values reach {largest:.4g}, but those of inputs at most {bound:.3g}; floating-point "
            "tensors are not transformed: give uint8, or what the transform returns"
        )


def _input(model: Model, value: Any) -> Tensor:
    """Make the network's input from a picture or a tensor, and check its shape and its values."""
    try:
        value = items.decoded(value)
        made = items.ready(value, model.input_form)
        if made is not None and isinstance(model.transform, Preprocessing):
            _refuse_unscaled(made, model.transform)
        picture = items.picture_of(value, model.input_form) if made is None else None
    except UnreadableImage:
        raise
    except Exception as error:  # pictures and arrays of the user's own kinds may raise anything
        raise UnreadableImage(str(error) or type(error).__name__) from None
    if picture is not None:
        try:
            transform: Callable[[Any], Any] = model.transform
            made = transform(picture)
        except Exception as error:  # the transform is the user's code and may raise anything
            raise UnreadableImage(f"the transform fails on it: {error}") from None
    if not isinstance(made, Tensor):
        raise UnreadableImage(f"the transform returns {type(made).__name__} instead of a tensor")
    if tuple(made.shape) != model.input_size:
        cure = "; the transform must resize all pictures to one size" if picture is not None else ""
        raise UnreadableImage(
            f"its shape is {tuple(made.shape)}, but the model takes {model.input_size}{cure}"
        )
    if not made.isfinite().all():
        raise UnreadableImage("it has values that are not finite")
    return made.detach().float()
