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


@dataclass(frozen=True)
class Pairs:
    """Targets and their crops: ``[pair]`` each.

    Attributes:
        neuron: the target ``a``.
        crop: number of a crop of ``V_a``.
        meaning: the semantic group it belongs to.
        steps: N for the target.
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
        """Pairs of the targets that ``steps`` are given for, with ``most`` crops of each."""
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
        """(target, where its pairs are): they lie side by side."""
        starts = np.flatnonzero(np.diff(self.neuron, prepend=-1))
        for first, last in pairwise([*starts.tolist(), len(self.neuron)]):
            yield int(self.neuron[first]), slice(first, last)

    def key(self, what: str, place: slice) -> str:
        """The key in a journal of what is computed of one target's pairs."""
        digest = hashlib.sha256(what.encode())
        for values in vars(self).values():
            digest.update(np.asarray(values[place], dtype=np.int64).tobytes())
        return digest.hexdigest()[:32]


def _drawn(crops: np.ndarray, most: int | None) -> np.ndarray:
    """Positions of at most ``most`` crops, drawn at random.

    All crops of D are in one random order, and the first ones of it are taken. So every target's
    crops are a random sample, and different targets mostly draw the same ones, which share work.
    """
    if most is None:
        return np.arange(len(crops))
    count = -(-len(crops) // -(-len(crops) // most))  # of a few crops every second one, and so on
    order = np.random.default_rng(SAMPLE).random(int(crops.max()) + 1)[crops]
    return np.sort(np.argsort(order, kind="stable")[:count])
