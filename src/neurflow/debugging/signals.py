"""The signals of a shortcut audit, each with a 95 % interval.

Signals from the effect of masking a group on the predictions for labelled pictures:

1. *raises*: what the group adds to the probability of the class on pictures of other classes: the
   probability without a mask minus that with its neurons masked.
2. *mends*: the number of predictions that become correct minus those that become wrong, relative to the
   number of pictures that are of the class or predicted as it.
3. *fixes*: the share of false positives that are no longer predicted as the class.
4. *cost*: the share of correct predictions that become wrong.

Signals from the position of the group's heat maps on the pictures predicted as the class:

5. *fixed*: the mean correlation of its heat maps over all pairs of pictures.
6. *apart*: the distance of its heat map from those of the layer's other groups that support the class:
   ``(1 − correlation) / 2`` with their mean, weighted by their path weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from neurflow.circuit.scores import EPSILON
from neurflow.model.outputs import Outputs
from neurflow.stats import Interval, from_error, normal_mean, wilson


@dataclass(frozen=True)
class Answers:
    """The network's predictions for labelled pictures.

    Attributes:
        logits: ``[picture, class]``.
        labels: ``[picture]`` true classes.
        target: the class that is audited.
        outputs: interpretation of the model's outputs.
    """

    logits: np.ndarray
    labels: np.ndarray
    target: int
    outputs: Outputs = field(default_factory=Outputs)

    @cached_property
    def predicted(self) -> np.ndarray:
        """``[picture, class]`` whether the picture is predicted as the class."""
        return self.outputs.classes(self.logits)

    @property
    def own(self) -> np.ndarray:
        """``[picture]`` whether it is a picture of the class."""
        return self.labels == self.target

    @property
    def predicted_as_target(self) -> np.ndarray:
        """``[picture]`` whether it is predicted as the target's class."""
        return np.asarray(self.predicted[:, self.target])

    @property
    def correct(self) -> np.ndarray:
        """``[picture]`` whether the prediction is correct."""
        return np.asarray(self.predicted[np.arange(len(self.labels)), self.labels])

    @property
    def false_positives(self) -> np.ndarray:
        """``[picture]`` whether it is predicted as the class without being of it."""
        return self.predicted_as_target & ~self.own

    def with_logits(self, logits: np.ndarray) -> Answers:
        """Return the same pictures with other logits."""
        return replace(self, logits=logits)


def raises(before: Answers, after: Answers) -> Interval:
    """Return what a group adds to the probability of the class on pictures of other classes."""
    of_class = [each.outputs.probabilities(each.logits)[:, each.target] for each in (before, after)]
    return normal_mean((of_class[0] - of_class[1])[~before.own], -1.0, 1.0)


def mends(before: Answers, after: Answers) -> Interval:
    """Return predictions won minus lost, relative to the pictures of the class or predicted as it."""
    change = normal_mean(after.correct.astype(float) - before.correct, -1.0, 1.0)
    scale = len(before.labels) / int((before.own | before.predicted_as_target).sum())
    return Interval(*(end * scale for end in change))


def fixes(before: Answers, after: Answers) -> Interval | None:
    """Return the share of false positives that masking corrects; None if there are none."""
    return _share(~after.predicted_as_target, before.false_positives)


def cost(before: Answers, after: Answers) -> Interval | None:
    """Return the share of correct predictions that become wrong; None if there are none."""
    return _share(~after.correct, before.correct)


def _share(hits: np.ndarray, among: np.ndarray) -> Interval | None:
    return wilson(float(hits[among].mean()), int(among.sum())) if among.any() else None


def fixed(maps: np.ndarray) -> Interval | None:
    """Return the mean correlation of all pairs of maps ``[picture, cell]``, with a jackknife interval.

    None if fewer than three pictures have a map that is not constant.
    """
    unit = _unit(maps)
    count = len(unit)
    if count < 3:
        return None
    total = unit.sum(axis=0)
    pairs = total @ total - count
    # Leaving picture i out removes its pairs with all others, each of which is counted twice.
    left_out = (pairs - 2 * (unit @ total - 1)) / ((count - 1) * (count - 2))
    error = np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum())
    return from_error(float(pairs / (count * (count - 1))), float(error))


def apart(maps: np.ndarray, others: np.ndarray) -> Interval | None:
    """Return the distance of a group's heat maps from those of others, both ``[picture, cell]``.

    It is 0 for the same place and 1 for the opposite. None if one of the two is constant on every
    picture.
    """
    centred = [each - each.mean(axis=1, keepdims=True) for each in (maps, others)]
    lengths = np.linalg.norm(centred[0], axis=1) * np.linalg.norm(centred[1], axis=1)
    some = lengths > EPSILON**2
    if not some.any():
        return None
    correlation = (centred[0] * centred[1]).sum(axis=1)[some] / lengths[some]
    return normal_mean((1 - correlation) / 2, 0.0, 1.0)


def _unit(maps: np.ndarray) -> np.ndarray:
    """Centre maps ``[picture, cell]`` and scale them to unit length; constant maps are left out."""
    centred = maps - maps.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    return np.asarray(centred[length > EPSILON] / length[length > EPSILON, None])
