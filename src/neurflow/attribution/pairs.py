"""Targets paired with their crops, the unit of work of attribution."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from neurflow.attribution.task import Exemplars

SAMPLE = 5
"""largest number of crops of each target on which the score error is measured"""
ORDER_SEED = 5
"""seed of the order in which crops are drawn; fixed, so that all targets share one order"""


@dataclass(frozen=True)
class Pairs:
    """Targets and their crops; every array has the axis ``[pair]``.

    Attributes:
        neuron: the target ``a``.
        crop: number of a crop of ``V_a``.
        meaning: its semantic group.
        steps: N of the target.
        place: position of the crop in ``V_a``.
    """

    neuron: np.ndarray
    crop: np.ndarray
    meaning: np.ndarray
    steps: np.ndarray
    place: np.ndarray

    @classmethod
    def of(
        cls, concepts: Mapping[int, Exemplars], steps: Mapping[int, int], most: int | None = None
    ) -> Pairs:
        """Make the pairs of the targets in ``steps`` (target → N), with at most ``most`` crops each."""
        chosen = [_drawn(concepts[a].crops, most) for a in steps]
        counts = list(map(len, chosen))
        return cls(
            np.repeat(list(steps), counts),
            np.concatenate([concepts[a].crops[i] for a, i in zip(steps, chosen, strict=True)]),
            np.concatenate([concepts[a].meaning[i] for a, i in zip(steps, chosen, strict=True)]),
            np.repeat(list(steps.values()), counts),
            np.concatenate(chosen),
        )

    def __getitem__(self, chosen: np.ndarray) -> Pairs:
        return Pairs(*(values[chosen] for values in vars(self).values()))

    def by_target(self) -> Iterator[tuple[int, slice]]:
        """Yield (target, slice of its pairs)."""
        starts = np.flatnonzero(np.diff(self.neuron, prepend=-1))
        for first, last in pairwise([*starts.tolist(), len(self.neuron)]):
            yield int(self.neuron[first]), slice(first, last)

    def key(self, what: str, place: slice) -> str:
        """Return the key of one target's pairs in a journal."""
        digest = hashlib.sha256(what.encode())
        for values in vars(self).values():
            digest.update(np.asarray(values[place], dtype=np.int64).tobytes())
        return digest.hexdigest()[:32]


def _drawn(crops: np.ndarray, most: int | None) -> np.ndarray:
    """Return the positions of at most ``most`` crops, drawn at random.

    All crops of D are put in one random order, and the first crops in this order are chosen. Each
    target thus gets a random sample, and different targets mostly get the same crops, which share
    work.
    """
    if most is None:
        return np.arange(len(crops))
    count = -(-len(crops) // -(-len(crops) // most))  # all crops, a half of them, a third, …
    order = np.random.default_rng(ORDER_SEED).random(int(crops.max()) + 1)[crops]
    return np.sort(np.argsort(order, kind="stable")[:count])
