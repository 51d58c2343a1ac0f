"""Feature maps of crops, computed at most once more after the streaming pass, within a memory budget.

For every crop in the ``V_a`` of a target, attribution needs the values of a segment's lower layer, of
the bypass, and of the trunk. One forward pass gives the values of all layers:

1. If the maps of all crops fit into the budget, the streaming pass stores them, and no crop is run
   again. They are stored in memory, or else in files beside the other intermediate results.
2. If they do not fit, a crop is run when it is first needed. The values that lower segments will need
   are stored with it as long as there is room.
3. If not even the crops of one segment fit, they are processed in blocks, and a crop is run again for
   each segment that needs it.
"""

from __future__ import annotations

import contextlib
import shutil
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from neurflow.model import Model, Segment
from neurflow.model.network.protocols import Key
from neurflow.pictures.crops import CropSet
from neurflow.runtime.files import create, guard_disk, reserve
from neurflow.runtime.memory import Batch

MAX_AVERAGED = 128
"""largest number of crops over which a mean is computed"""
SCRATCH = 8 * 2**30
"""largest size of the files, in bytes; they also take at most half of the free disk space"""


@dataclass(frozen=True)
class _Form:
    """The layout of a value in a store, which has one flat row for each crop.

    Attributes:
        shape: shape of the value of one crop.
        dtype: type of its numbers.
        axis: its batch axis.
        per_sample: number of entries of the batch axis for one crop.
        channels_last: whether the channels of a position are stored side by side.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    axis: int
    per_sample: int
    channels_last: bool

    @property
    def values(self) -> int:
        """Number of values of one crop."""
        return prod(self.shape)

    def rows(self, value: Tensor) -> Tensor:
        """Convert a value with several crops to rows ``[crop, value]``."""
        if self.channels_last:
            return value.permute(0, 2, 3, 1).reshape(len(value), -1)
        split = torch.unflatten(value, self.axis, (-1, self.per_sample)).movedim(self.axis, 0)
        return split.reshape(len(split), -1)

    def value(self, rows: Tensor) -> Tensor:
        """Convert rows ``[crop, value]`` back to a value."""
        if self.channels_last:
            channels, height, width = self.shape[1:]
            return rows.view(-1, height, width, channels).permute(0, 3, 1, 2)
        split = rows.view(-1, *self.shape).movedim(0, self.axis)
        return split.flatten(self.axis, self.axis + 1)


@dataclass(frozen=True)
class Observed:
    """The inputs of a segment on some crops.

    Attributes:
        x: ``[crop, …]`` output of the lower layer.
        bypass: values that bypass the lower layer, in the order of ``segment.bypass``.
        kept: these values and the stored values of trunks, by key.
        baseline: ``[1, …]`` start of the path to ``x``; None stands for zero.
        crops: ``[crop]`` crop numbers, if equal crops should share work.
    """

    x: Tensor
    bypass: tuple[Tensor, ...]
    kept: Mapping[Key, Tensor]
    baseline: Tensor | None = None
    crops: Tensor | None = None

    @classmethod
    def of(cls, segment: Segment, kept: Mapping[Key, Tensor]) -> Observed:
        """Make it from the values of ``segment.observed``, the first of which is the lower layer's."""
        lower, *_ = segment.observed
        return cls(kept[lower], tuple(kept[key] for key in segment.bypass), kept)

    def starting(self, baseline: Tensor | None) -> Observed:
        """Return a copy with another baseline."""
        return self if baseline is None else replace(self, baseline=baseline.to(self.x))

    def trunk(self, keys: Sequence[Key]) -> list[Tensor]:
        """Return the values of a specialised segment's trunk; empty unless all of them are stored."""
        return [self.kept[key] for key in keys] if self.kept.keys() >= set(keys) else []


class _Store(Protocol):
    """A store with one flat row for each slot."""

    def write(self, first: int, rows: Tensor) -> None:
        """Fill the slots from ``first`` on with ``rows`` ``[slot, value]``."""

    def read(self, slots: np.ndarray) -> Tensor:
        """Return the rows ``[slot, value]`` of some slots, in any order, possibly repeated."""


class _InMemory:
    def __init__(self, slots: int, form: _Form, device: torch.device) -> None:
        self._rows = torch.empty((slots, form.values), dtype=form.dtype, device=device)

    def write(self, first: int, rows: Tensor) -> None:
        self._rows[first : first + len(rows)] = rows

    def read(self, slots: np.ndarray) -> Tensor:
        return self._rows.index_select(0, torch.from_numpy(slots).to(self._rows.device))


class _OnDisk:
    """A store in a file that is removed with the store; its disk space is allocated at once.

    The file is read and written instead of mapped, because the pages of a mapped file count as memory
    of the process.
    """

    def __init__(self, slots: int, form: _Form, file: Path) -> None:
        self._form, self._bytes = form, form.values * form.dtype.itemsize
        with guard_disk(file):
            file.unlink(missing_ok=True)  # left by a run that was killed
            self._file = create(file)
            weakref.finalize(self, self._file.close)
            reserve(self._file, slots * self._bytes)
        with contextlib.suppress(PermissionError):  # some systems do not remove a file in use
            file.unlink()

    def write(self, first: int, rows: Tensor) -> None:
        self._file.seek(first * self._bytes)
        self._file.write(_as_bytes(rows.contiguous()).data)

    def read(self, slots: np.ndarray) -> Tensor:
        rows = torch.empty((len(slots), self._form.values), dtype=self._form.dtype)
        for row, slot in zip(_as_bytes(rows), slots.tolist(), strict=True):
            self._file.seek(slot * self._bytes)
            self._file.readinto(row)  # type: ignore[attr-defined]
        return rows


def _as_bytes(rows: Tensor) -> np.ndarray:
    """Return ``[slot, byte]`` of rows, without a copy."""
    return rows.view(torch.uint8).numpy()


class SegmentMaps:
    """The feature maps that one segment needs.

    Args:
        maps: feature maps of all segments.
        place: position of the segment among them.
    """

    def __init__(self, maps: FeatureMaps, place: int) -> None:
        self._maps, self._place = maps, place

    @property
    def bytes_each(self) -> int:
        """Number of bytes that the segment needs of one crop."""
        return self._maps.bytes_of(self._place)

    def blocks(self, needed: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the crops ``needed`` ``[crop]``, ascending, in blocks.

        :meth:`take` accepts the crops of a block until the next iteration.
        """
        return self._maps.blocks(self._place, needed)

    def take(self, numbers: np.ndarray) -> Observed:
        """Return the segment's inputs on some crops of the block, in any order, possibly repeated."""
        return self._maps.take(self._place, numbers)

    def mean(self) -> Tensor:
        """Return the mean output ``[1, …]`` of the lower layer over D, for each position.

        If D is large, the mean is over :data:`MAX_AVERAGED` crops spread over it. Crops of an earlier
        block are no longer available afterwards.
        """
        return self._maps.mean(self._place)


class FeatureMaps:
    """Values of the network on crops, by key.

    Args:
        model: the network.
        crops: the concept set.
        segments: segments that will be attributed, in this order, from the target down.
        folder: folder for files.
        memory: memory for the maps, in bytes.
        batch: number of crops to run at once.

    Attributes:
        keeps_all: whether there is room for all crops.
    """

    def __init__(
        self,
        model: Model,
        crops: CropSet,
        segments: Sequence[Segment],
        *,
        folder: Path,
        memory: int,
        batch: Batch,
    ) -> None:
        self._model, self._crops, self._batch = model, crops, batch
        self._folder = folder
        self._segments = tuple(segments)
        self._wanted = [tuple(segment.observed) for segment in segments]
        self._survey({k: a for s in segments for k, a in s.observed.items()})
        on_cpu = self._device.type == "cpu"
        disk = min(SCRATCH, shutil.disk_usage(folder).free // 2) if on_cpu else 0
        self._memory, self._capacity = memory, max(memory, disk)
        self._kept: dict[Key, _Store] = {}
        self._means: dict[int, Tensor] = {}
        self._slot = np.full(len(crops), -1)
        self._slots = self._used = 0
        self.keeps_all = len(crops) * self._bytes(self._forms) <= self._capacity
        if self.keeps_all:
            self._allocate(tuple(self._forms), len(crops))

    def _survey(self, axes: Mapping[Key, tuple[int, int]]) -> None:
        """Find the layout of every value by running one crop."""
        values = self._run(tuple(axes), np.array([0]))
        self._device = values[0].device
        self._forms = {
            key: _form(value, *place)
            for (key, place), value in zip(axes.items(), values, strict=True)
        }

    def _run(self, keys: Sequence[Key], numbers: Sequence[int] | np.ndarray) -> tuple[Tensor, ...]:
        with torch.inference_mode():
            return self._model.outputs(keys)(self._model.feed(self._crops.pixels(numbers)))

    def _bytes(self, keys: Iterable[Key]) -> int:
        """Return the number of bytes of some values of one crop."""
        return sum(self._forms[key].values * self._forms[key].dtype.itemsize for key in keys)

    def of(self, segment: Segment) -> SegmentMaps:
        """Return the maps that one of the segments needs."""
        ends = [(each.lower.name, each.upper.name) for each in self._segments]
        return SegmentMaps(self, ends.index((segment.lower.name, segment.upper.name)))

    def bytes_of(self, place: int) -> int:
        """Return the number of bytes that the segment at a place needs of one crop."""
        return self._bytes(self._wanted[place])

    @property
    def needs_all_crops(self) -> bool:
        """Whether the streaming pass should ``add`` all crops: they fit, and none is stored yet."""
        return self.keeps_all and not self._used

    @property
    def keys(self) -> tuple[Key, ...]:
        """Keys of the values that are currently stored of a crop."""
        return tuple(self._kept)

    def discard(self) -> None:
        """Remove the maps that were computed for a trial, unless all crops are stored anyway.

        Which crops are run together affects the last digits of their values. After this call, these
        do not depend on the trial.
        """
        if not self.keeps_all:
            self._kept.clear()
            self._slot[:] = -1
            self._slots = self._used = 0

    def _allocate(self, keys: Sequence[Key], slots: int) -> None:
        """Make room for the values of some crops: in memory if they fit, else in files."""
        self._kept.clear()
        self._slot[:] = -1
        self._slots, self._used = slots, 0
        fits = slots * self._bytes(keys) <= self._memory
        in_memory = (
            fits or self._device.type != "cpu"
        )  # a single crop may be larger than the budget
        for number, key in enumerate(keys):
            form, file = self._forms[key], self._folder / f"features-{number}.bin"
            self._kept[key] = (
                _InMemory(slots, form, self._device) if in_memory else _OnDisk(slots, form, file)
            )

    def add(self, numbers: np.ndarray, values: Sequence[Tensor]) -> None:
        """Store the values of :attr:`keys` of some crops."""
        first, self._used = self._used, self._used + len(numbers)
        for (key, store), value in zip(self._kept.items(), values, strict=True):
            store.write(first, self._forms[key].rows(value))
        self._slot[numbers] = np.arange(first, self._used)

    def blocks(self, place: int, needed: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the crops that a segment needs in blocks, each valid until the next iteration."""
        self._select_values(place, needed)
        for start in range(0, len(needed), self._slots):
            block = needed[start : start + self._slots]
            missing = block[self._slot[block] < 0]
            if len(missing) > self._slots - self._used:
                self._slot[:], self._used = -1, 0
                missing = block
            for together in self._together(missing):
                for part, values in self._batch.map(partial(self._run, self.keys), together):
                    self.add(part, values)
            yield block

    def _together(self, missing: np.ndarray) -> Iterable[np.ndarray]:
        """Return the crops to run: with room for all, whole images, batched as in the streaming pass.

        The last digits of a value depend on its batch. A run that resumes after a kill, or that takes
        its activations from another run, thus has the same values as a run with its own streaming
        pass.
        """
        if not self.keeps_all:
            return [missing]
        return [self._crops.of_image(i) for i in np.unique(self._crops.image_of(missing)).tolist()]

    def _select_values(self, place: int, needed: np.ndarray) -> None:
        """Select the values to store: those of this segment, and of lower segments as they fit."""
        own = self._wanted[place]
        missing = np.count_nonzero(self._slot[needed] < 0)
        if set(own) <= self._kept.keys() and missing <= self._slots - self._used:
            return
        keys = tuple(dict.fromkeys(key for wanted in self._wanted[place:] for key in wanted))
        if len(needed) * self._bytes(keys) > self._capacity:
            keys = own
        slots = max(1, self._capacity // self._bytes(keys))
        self._allocate(keys, min(slots, len(self._crops)))

    def mean(self, place: int) -> Tensor:
        """Return the mean output ``[1, …]`` over D of the lower layer of the segment at a place."""
        if place not in self._means:
            count = min(MAX_AVERAGED, len(self._crops))
            numbers = np.linspace(0, len(self._crops) - 1, count).round().astype(np.int64)
            total = torch.zeros((), dtype=torch.float64)
            for block in self.blocks(place, numbers):
                for part in np.array_split(block, -(-len(block) // 16)):
                    total = total + self.take(place, part).x.double().sum(0, keepdim=True).cpu()
            self._means[place] = total / count
        return self._means[place]

    def take(self, place: int, numbers: np.ndarray) -> Observed:
        """Return the inputs of the segment at a place on some crops of the block."""
        slots = self._slot[numbers]
        kept = {
            key: self._forms[key].value(self._kept[key].read(slots)) for key in self._wanted[place]
        }
        return Observed.of(self._segments[place], kept)


def _form(value: Tensor, axis: int, per_sample: int) -> _Form:
    plain = value.ndim == 4 and (axis, per_sample) == (0, 1)
    last = plain and value.is_contiguous(memory_format=torch.channels_last)
    return _Form(tuple(value.shape), value.dtype, axis, per_sample, last)
