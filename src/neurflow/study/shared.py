"""What targets of one model have in common where they study the same pictures: done once for all.

1. What the model calls each picture (``Predictions``).
2. Pooled activations φ: a file a layer and picture, written whole by whoever comes first, read by any
   process that sees the folder.
3. Feature maps, which are too large to pass on: within a process, from a target to the next one that
   studies the same crops and layers.
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
    """What a model calls each image of a collection: one look that serves any number of targets.

    Attributes:
        classes: position → its class, of the images that can be read; of several labels, any number.
        unread: position → why not, of the others.
    """

    classes: Mapping[int, tuple[int, ...]]
    unread: Mapping[int, str]

    def counted(self) -> Counter[int]:
        """Class → number of images that are called it."""
        return Counter(c for called in self.classes.values() for c in called)


@dataclass
class Shared:
    """What a target takes from others and leaves to them.

    Attributes:
        predictions: of the pictures, if they are known.
        folder: for pooled activations; None shares none.
    """

    predictions: Predictions | None = None
    folder: Path | None = None
    _features: tuple[Any, FeatureMaps] | None = field(default=None, repr=False)

    def cache(self, *identity: Any) -> ActivationCache | None:
        """The pooled activations of a model on crops; ``identity`` is whatever they depend on."""
        return None if self.folder is None else ActivationCache(self.folder / _digest(identity))

    def features(self, identity: Any, make: Callable[[], FeatureMaps]) -> FeatureMaps:
        """The last target's feature maps if they are of the same crops and layers, else new ones."""
        if self.folder is None:
            return make()
        if self._features is None or self._features[0] != identity:
            self._features = None  # their room is free before the next ones take it
            made = make()
            if not made.keeps_all:  # what they hold depends on who came before
                return made
            self._features = identity, made
        return self._features[1]


class ActivationCache:
    """φ of all crops of a picture, by layer and picture, in files.

    Args:
        folder: of one model, one way to cut crops, one collection.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def turn(self, image: int) -> Iterator[None]:
        """Hold a picture: who wants it meanwhile waits for it rather than doing the same."""
        folder = subfolder(self._folder.parent, self._folder.name)
        with lock(folder / f"{image}.lock"):
            yield

    def read(self, image: int, shapes: Mapping[str, tuple[int, int]]) -> list[np.ndarray] | None:
        """``[crop, neuron]`` of a picture for each layer; None unless all are there.

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
        """Keep a picture's activations of some layers; ``WorkError`` if they cannot be written."""
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
