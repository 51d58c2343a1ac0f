"""Results that several targets of one model share if they study the same pictures.

1. The classes that the model predicts for each picture (``Predictions``).
2. Pooled activations φ: one file for each layer and picture. The first process that needs it writes
   it; any process with access to the folder reads it.
3. Feature maps, which are too large for files. Within a process, they pass from a target to the next
   one if it studies the same crops and layers.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neurflow.runtime.files import lock, subfolder, write_atomically
from neurflow.study.features import FeatureMaps


@dataclass(frozen=True)
class Predictions:
    """The classes that a model predicts for the images of a collection, for any number of targets.

    Attributes:
        classes: position of a readable image → its predicted classes.
        unread: position of any other image → the reason why it cannot be read.
    """

    classes: Mapping[int, tuple[int, ...]]
    unread: Mapping[int, str]

    def counted(self) -> Counter[int]:
        """Return class → number of images with this prediction."""
        return Counter(c for classes in self.classes.values() for c in classes)


@dataclass
class Shared:
    """Results of other targets, and the place for new ones.

    Attributes:
        predictions: predictions of the pictures, if they are known.
        folder: folder of pooled activations; None if they are not shared.
    """

    predictions: Predictions | None = None
    folder: Path | None = None
    _features: tuple[Any, FeatureMaps] | None = field(default=None, repr=False)

    def cache(self, *identity: Any) -> ActivationCache | None:
        """Return the cache of activations on crops, given everything that they depend on."""
        return None if self.folder is None else ActivationCache(self.folder / _digest(identity))

    def features(self, identity: Any, make: Callable[[], FeatureMaps]) -> FeatureMaps:
        """Return the last target's feature maps if crops and layers are the same, else new ones."""
        if self.folder is None:
            return make()
        if self._features is None or self._features[0] != identity:
            self._features = None  # their memory is released before the next ones are created
            made = make()
            if not made.keeps_all:  # their contents would depend on the order of the targets
                return made
            self._features = identity, made
        return self._features[1]


class ActivationCache:
    """φ of all crops of a picture, by layer and picture, in files.

    Args:
        folder: folder of one model, one way to cut crops, and one collection.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def locked(self, image: int) -> Iterator[None]:
        """Lock a picture, so that other processes wait for its activations rather than compute them."""
        folder = subfolder(self._folder.parent, self._folder.name)
        with lock(folder / f"{image}.lock"):
            yield

    def read(self, image: int, shapes: Mapping[str, tuple[int, int]]) -> list[np.ndarray] | None:
        """Return ``[crop, neuron]`` of a picture for each layer; None unless all are stored.

        Args:
            image: its position in the collection.
            shapes: layer → shape.
        """
        found = []
        for layer, shape in shapes.items():
            try:
                phi = np.load(self._file(layer, image), allow_pickle=False)
            except (OSError, ValueError, EOFError):
                return None
            if phi.shape != shape:
                return None
            found.append(phi)
        return found

    def keep(self, image: int, layers: Sequence[str], phi: Sequence[np.ndarray]) -> None:
        """Store a picture's activations of some layers; ``WorkError`` if they cannot be written."""
        for layer, values in zip(layers, phi, strict=True):
            file = self._file(layer, image)
            if file.exists():
                continue
            subfolder(self._folder, file.parent.name)
            data = io.BytesIO()
            np.save(data, values, allow_pickle=False)
            write_atomically(file, data.getvalue())

    def _file(self, layer: str, image: int) -> Path:
        return self._folder / _digest(layer) / f"{image}.npy"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
