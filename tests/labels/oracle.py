"""A labeler that knows the parts of drawn pictures, and one that shuffles its labels.

The oracle knows which parts are in a crop (``neurflow.demo.pictures`` returns their boxes), but not the
group of a crop. Its figures show how labelling and validation work with perfect recognition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations

import numpy as np

from neurflow.demo.canvas import Part
from neurflow.demo.pictures import SHORTCUT, SIZE
from neurflow.demo.pictures import Picture as Drawn
from neurflow.labels import JudgeRequest, LabelAnswer, LabelRequest
from neurflow.labels.labeler import Picture
from neurflow.labels.validation import average_precision

SIDES = {"near": 4, "middle": 2, "far": 1}
"""words for the size of a crop: how many times its side fits into that of the picture"""
LEAST = 1 / 16
"""share of a crop that a part must cover to count as shown"""


class Oracle:
    """Names the parts and the size that best distinguish the crops from the others.

    A label names one part (``wheel``), two parts (``wheel and lamp``), one part without another
    (``wheel without stamp``) or none (``background``). It can begin with the size of the crop:
    ``near``, ``middle`` or ``far``. The oracle judges by the same words.
    """

    name, source = "oracle", "model"

    def __init__(self, drawn: Sequence[Drawn]) -> None:
        self.drawn = drawn
        self.parts = sorted({part.name for picture in drawn for part in visible(picture)})
        pairs = list(combinations(self.parts, 2))
        what = [*self.parts, "background"]
        what += [f"{one} and {other}" for one, other in pairs]
        what += [
            f"{a} without {b}" for one, other in pairs for a, b in ((one, other), (other, one))
        ]
        self.vocabulary = [*what, *(f"{side} {words}" for side in SIDES for words in what)]
        self._shown = cache(self._shown_of)

    def label(self, request: LabelRequest) -> LabelAnswer:
        crops = (*request.pictures, *request.others)
        truth = np.arange(len(crops)) < len(request.pictures)
        scores = np.stack([self.seen(label, crops) for label in self.vocabulary])
        # the first of equally good labels, which is the simplest
        return LabelAnswer(
            label=self.vocabulary[int(np.argmax(average_precision(truth, scores)))], confidence=1.0
        )

    def judge(self, request: JudgeRequest) -> tuple[float, ...]:
        return tuple(self.seen(request.label, request.pictures).tolist())

    def seen(self, label: str, crops: Sequence[Picture]) -> np.ndarray:
        """``[crop]`` how well each crop fits a label, from 0 to 1."""
        side, _, rest = label.partition(" ")
        words = rest if side in SIDES else label
        fits = np.array([self._fits(words, crop) for crop in crops])
        if side in SIDES:
            fits *= [SIDES[side] == round(SIZE / crop.side) for crop in crops]
        return fits

    def _fits(self, words: str, crop: Picture) -> float:
        shown = self._shown(crop.image, crop.box)
        if " and " in words:
            return min(shown.get(part, 0.0) for part in words.split(" and "))
        if " without " in words:
            one, other = words.split(" without ")
            return shown.get(one, 0.0) * (1 - shown.get(other, 0.0))
        if words == "background":
            return 1 - max(shown.values(), default=0.0)
        return shown.get(words, 0.0)

    def _shown_of(self, image: int, box: tuple[int, int, int, int]) -> dict[str, float]:
        """Part → how much of it a crop shows: all of it, and not too small, is 1."""
        left, top, right, bottom = box
        shown: dict[str, float] = {}
        for part in visible(self.drawn[image]):
            a, b, c, d = part.box
            inside = max(min(right, c) - max(left, a), 0) * max(min(bottom, d) - max(top, b), 0)
            size = inside / ((right - left) * (bottom - top))
            share = max(inside / ((c - a) * (d - b)), size)
            shown[part.name] = max(shown.get(part.name, 0.0), share * min(size / LEAST, 1))
        return shown


class Shuffled(Oracle):
    """The oracle with the labels of other groups: group → label in ``labels``."""

    name = "shuffled"

    def __init__(self, drawn: Sequence[Drawn], labels: dict[str, str]) -> None:
        super().__init__(drawn)
        self.labels = labels

    def label(self, request: LabelRequest) -> LabelAnswer:
        return LabelAnswer(label=self.labels[request.group])


def visible(picture: Drawn) -> Iterator[Part]:
    """All objects in a picture: parts, distractors and the mark."""
    yield from picture.parts
    yield from picture.distractors
    if picture.mark:
        left, top, right, bottom = picture.mark
        area = float((right - left) * (bottom - top))
        yield Part(SHORTCUT.mark, picture.mark, area)
