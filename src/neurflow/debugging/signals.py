"""The signals of a shortcut audit, each a figure with its 95 % interval.

What masking a group does to the answers on labelled pictures:

1. *raises*: how much probability of the class the group adds on pictures of other classes (that without
   minus that with its neurons masked);
2. *mends*: pictures that become right less those that become wrong, over the pictures that are of the
   class or taken for it;
3. *fixes*: the share of false positives that are no longer called the class;
4. *cost*: the share of right answers that become wrong.

Where it looks, on the pictures that the network calls the class:

5. *fixed*: how alike its heat maps are from picture to picture: mean correlation over all pairs;
6. *apart*: how far its heat lies from that of the layer's other groups that speak for the class:
   ``(1 − correlation) / 2`` with their mean, weighted by what each carries to the target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from neurflow.circuit.scores import EPSILON
from neurflow.model.outputs import Outputs
from neurflow.stats import Interval, from_error, normal_mean, wilson


@dataclass(frozen=True)
class Answers:
    """What the network answers on labelled pictures as it is.

    Attributes:
        logits: ``[picture, class]``.
        labels: ``[picture]`` true classes.
        target: the class that is audited.
        probabilities: of logits ``[picture, class]``, as the model reads them.
    """

    logits: np.ndarray
    labels: np.ndarray
    target: int
    probabilities: Callable[[np.ndarray], np.ndarray] = Outputs().probabilities

    @cached_property
    def said(self) -> np.ndarray:
        """``[picture]`` first class."""
        return np.asarray(self.logits.argmax(1))

    @property
    def own(self) -> np.ndarray:
        """``[picture]`` whether it is of the class."""
        return self.labels == self.target

    @property
    def called(self) -> np.ndarray:
        """``[picture]`` whether it is called the class."""
        return self.said == self.target

    @property
    def right(self) -> np.ndarray:
        """``[picture]`` whether the answer is right."""
        return self.said == self.labels

    @property
    def false_positives(self) -> np.ndarray:
        """``[picture]`` whether it is called the class and is not of it."""
        return self.called & ~self.own

    def with_logits(self, logits: np.ndarray) -> Answers:
        """The same pictures, answered otherwise."""
        return replace(self, logits=logits)


def raises(before: Answers, after: Answers) -> Interval:
    """Probability of the class that a group adds on pictures of other classes."""
    of_class = [each.probabilities(each.logits)[:, each.target] for each in (before, after)]
    return normal_mean((of_class[0] - of_class[1])[~before.own], -1.0, 1.0)


def mends(before: Answers, after: Answers) -> Interval:
    """Right answers won less right answers lost, over the pictures of the class or taken for it."""
    change = normal_mean(after.right.astype(float) - before.right, -1.0, 1.0)
    scale = len(before.labels) / int((before.own | before.called).sum())
    return Interval(*(end * scale for end in change))


def fixes(before: Answers, after: Answers) -> Interval | None:
    """Share of false positives no longer called the class; None of none."""
    return _share(~after.called, before.false_positives)


def cost(before: Answers, after: Answers) -> Interval | None:
    """Share of right answers that become wrong; None of none."""
    return _share(~after.right, before.right)


def _share(hits: np.ndarray, among: np.ndarray) -> Interval | None:
    return wilson(float(hits[among].mean()), int(among.sum())) if among.any() else None


def fixed(maps: np.ndarray) -> Interval | None:
    """Mean correlation of ``[picture, cell]`` maps over all pairs, with a jackknife interval.

    None for fewer than three pictures with a map that is not flat.
    """
    unit = _unit(maps)
    count = len(unit)
    if count < 3:
        return None
    total = unit.sum(axis=0)
    pairs = total @ total - count
    # leaving picture i out takes away its pairs with all others, each counted twice
    left_out = (pairs - 2 * (unit @ total - 1)) / ((count - 1) * (count - 2))
    error = np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum())
    return from_error(float(pairs / (count * (count - 1))), float(error))


def apart(maps: np.ndarray, others: np.ndarray) -> Interval | None:
    """How far a group's heat lies from others': 0 same place, 1 opposite; both ``[picture, cell]``.

    None where one of them is flat on every picture.
    """
    centred = [each - each.mean(axis=1, keepdims=True) for each in (maps, others)]
    lengths = np.linalg.norm(centred[0], axis=1) * np.linalg.norm(centred[1], axis=1)
    some = lengths > EPSILON**2
    if not some.any():
        return None
    correlation = (centred[0] * centred[1]).sum(axis=1)[some] / lengths[some]
    return normal_mean((1 - correlation) / 2, 0.0, 1.0)


def _unit(maps: np.ndarray) -> np.ndarray:
    """``[picture, cell]`` maps without their mean, of length 1; flat maps are left out."""
    centred = maps - maps.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    return np.asarray(centred[length > EPSILON] / length[length > EPSILON, None])
