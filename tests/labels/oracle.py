"""A labeler that knows the truth about drawn pictures, and one that mixes its labels up.

It sees which parts lie in a crop (``neurflow.demo.pictures`` draws them and tells where), never which
group a crop is of. So its figures say what labelling and validation do with a perfect eye.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from neurflow.demo.canvas import Part
from neurflow.demo.pictures import SHORTCUT
from neurflow.demo.pictures import Picture as Drawn
from neurflow.labels import JudgeRequest, LabelAnswer, LabelRequest
from neurflow.labels.labeler import Picture
from neurflow.labels.validation import average_precision

LEAST = 1 / 16
"""share of a crop that a part must cover to be what the crop shows"""


class Oracle:
    """Names the part that tells the crops shown from the others best; judges by the part's place."""

    name, source = "oracle", "model"

    def __init__(self, drawn: Sequence[Drawn]) -> None:
        self.drawn = drawn
        self.parts = sorted({part.name for picture in drawn for part in visible(picture)})

    def label(self, request: LabelRequest) -> LabelAnswer:
        truth = np.arange(len(request.pictures) + len(request.others)) < len(request.pictures)
        crops = (*request.pictures, *request.others)
        best = max(self.parts, key=lambda part: average_precision(truth, self.seen(part, crops)))
        return LabelAnswer(label=best, confidence=1.0)

    def judge(self, request: JudgeRequest) -> tuple[float, ...]:
        return tuple(self.seen(request.label, request.pictures).tolist())

    def seen(self, name: str, crops: Sequence[Picture]) -> np.ndarray:
        return np.array([self._seen(name, crop) for crop in crops])

    def _seen(self, name: str, crop: Picture) -> float:
        """How much of a part a crop shows: all of it, and not too small, is 1."""
        best = 0.0
        left, top, right, bottom = crop.box
        for part in visible(self.drawn[crop.image]):
            if part.name == name:
                a, b, c, d = part.box
                inside = max(min(right, c) - max(left, a), 0) * max(min(bottom, d) - max(top, b), 0)
                size = inside / ((right - left) * (bottom - top))
                share = max(inside / ((c - a) * (d - b)), size)
                best = max(best, share * min(size / LEAST, 1))
        return best


class Shuffled(Oracle):
    """The oracle's eye, but labels that belong to other groups: ``labels`` tells which."""

    name = "shuffled"

    def __init__(self, drawn: Sequence[Drawn], labels: dict[str, str]) -> None:
        super().__init__(drawn)
        self.labels = labels

    def label(self, request: LabelRequest) -> LabelAnswer:
        return LabelAnswer(label=self.labels[request.group])


def visible(picture: Drawn) -> Iterator[Part]:
    """Everything that a picture shows: parts, distractors, the mark."""
    yield from picture.parts
    yield from picture.distractors
    if picture.mark:
        left, top, right, bottom = picture.mark
        area = float((right - left) * (bottom - top))
        yield Part(SHORTCUT.mark, picture.mark, area)
