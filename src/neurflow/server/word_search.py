"""Search by words: classes of the network, and groups whose crops fit the words."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from neurflow.circuit import Circuit
from neurflow.labels.search import find
from neurflow.labels.zero_shot import ClipLabeler
from neurflow.model import Model
from neurflow.pages.messages import ClassName, Findings, Likeness

LISTED = 20
"""largest number of classes in an answer"""
BEST = 8
"""largest number of groups in an answer"""
LEAST = 0.5
"""standard deviations by which a group's crops must fit the words better than other crops"""


class WordSearch:
    """Searches the classes of a network, and the crops of a circuit if there is a CLIP-style model.

    Args:
        load_clip: function that loads the CLIP-style model at the first search, or None.
    """

    def __init__(self, load_clip: Callable[[], ClipLabeler] | None = None) -> None:
        self._load = load_clip

    @cached_property
    def _clip(self) -> ClipLabeler | None:
        return self._load() if self._load else None

    def find(self, model: Model, circuit: Circuit, words: str) -> Findings:
        """Return the classes with these words in their names, and the groups whose crops fit them."""
        wanted = words.strip().casefold()
        if not wanted:
            return Findings(classes=[], groups=[])
        names = enumerate(model.class_names)
        classes = [ClassName(index=i, name=name) for i, name in names if wanted in name.casefold()]
        looks = find(circuit, words, self._clip)[:BEST] if self._clip else []
        groups = [Likeness(id=each.group, contrast=each.score) for each in looks]
        return Findings(
            classes=classes[:LISTED], groups=[each for each in groups if each.contrast >= LEAST]
        )
