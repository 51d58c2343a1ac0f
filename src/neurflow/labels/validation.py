"""Does a label tell the group's crops from others? A judge who reads the text alone finds out.

1. Crops of the group that the labeler did not see are mixed with others, about half of them hard
   (``sampling``), in random order. The judge scores each crop by the label.
2. The figure is the AUPRC, the average precision of the scores. A crop counts for as many as it was
   drawn from, so that the group has the share that it has among the circuit's exemplars: in a sample
   made half of its own crops, a label that fits many others would pass. Accuracy and AUC are not
   used: neither notices labels that are missing or too many (Oikarinen, Yan and Weng, 2025).
3. The interval is Wilson's, of as many of the group's crops as a plain sample would hold that tells as
   much: at eight crops all found it is 0.68 to 1, where a bootstrap would say 1 to 1 (Boyd, Eng and
   Page, 2013, use the binomial interval too).
4. Chance is what the same scores reach when they are dealt out at random; a label beats it if its
   AUPRC lies above the upper end of that range.
5. Crops of a group look alike, and a judge who understands nothing may still score alike what looks
   alike. So the same judge scores the same crops by *other labels*, those of other groups and the
   words of the vocabulary: at most one in twenty may do as well. A judge that can tell which texts
   without meaning it prefers (``Controls``) is held against these, too.
6. A constant text, the target's name, tells what the label adds. The interval of the gain is a
   bootstrap over crops, paired.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from neurflow.circuit import Circuit
from neurflow.circuit.evidence import Constant, Rivals, Validation
from neurflow.errors import WorkError
from neurflow.labels.labeler import Judge, JudgeRequest
from neurflow.labels.sampling import Sample, picture
from neurflow.refs import Crop
from neurflow.stats import CONFIDENCE, Interval, wilson_bounds

PICKED = 0.5
"""score from which on a crop is picked: the published accuracy"""
REPEATS = 1000
"""of shuffling and of the bootstrap"""
TAIL = 100 * (1 - CONFIDENCE) / 2


@dataclass(frozen=True)
class Claim:
    """What is said of a group, and what it is held against.

    Attributes:
        label: the words, and all that the judge is told but the caption.
        caption: the sentence, if there is one.
        constant: a text that is the same for every group; None leaves that comparison out.
        others: labels that are not the group's.
        nonsense: texts without meaning.
    """

    label: str
    caption: str | None = None
    constant: str | None = None
    others: tuple[str, ...] = ()
    nonsense: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """The crops that a label is tried on, by kind, and what each counts.

    Attributes:
        kinds: numbers of held-out, random and hard crops.
        population: numbers of exemplars that they stand for.
    """

    kinds: tuple[int, int, int]
    population: tuple[int, int, int]

    @property
    def truth(self) -> np.ndarray:
        """``[crop]`` whether it is the group's."""
        return np.repeat([True, False, False], self.kinds)

    @property
    def weights(self) -> np.ndarray:
        """``[crop]`` how many exemplars it stands for."""
        _, random, hard = self.kinds
        stands = list(self.population)
        if not random or not hard:  # the kind that is there stands for both
            stands[1] = stands[2] = sum(stands[1:])
        each = [stood / max(count, 1) for stood, count in zip(stands, self.kinds, strict=True)]
        return np.repeat(each, self.kinds)

    @property
    def share(self) -> float:
        """Of the group's crops among the exemplars."""
        return self.population[0] / sum(self.population)

    @property
    def worth(self) -> float:
        """Crops of the group in a plain sample that tells as much (Kish's effective size)."""
        return max(self.share * self.weights.sum() ** 2 / (self.weights**2).sum(), 1.0)


def validate(
    circuit: Circuit, sample: Sample, claim: Claim, judge: Judge, *, seed: int
) -> Validation | None:
    """Validate one label; None where the group has no crops to spare.

    Args:
        circuit: gives the pictures.
        sample: the group's crops.
        claim: the label, and what it is held against.
        judge: scores crops.
        seed: of the order of crops and of the intervals.
    """
    if not sample.held_out or not (sample.random or sample.hard):
        return None
    trial = Trial((len(sample.held_out), len(sample.random), len(sample.hard)), sample.population)
    crops = list(chain(sample.held_out, sample.random, sample.hard))
    # The order must not tell; every group has its own, and any judge of the group the same.
    rng = np.random.default_rng([seed, zlib.crc32(repr(crops).encode())])
    scores = _scorer(circuit, crops, rng.permutation(len(crops)), judge)
    given = scores(claim.label, claim.caption)
    auprc = _auprc(trial, given)
    own, random, hard = np.split(given >= PICKED, np.cumsum(trial.kinds)[:2])
    against = None
    if claim.constant is not None:
        plain = scores(claim.constant, None)
        against = Constant(
            text=claim.constant, auprc=_auprc(trial, plain), gain=gain(trial, given, plain, rng)
        )

    def rivals(texts: Sequence[str]) -> Rivals | None:
        found = {text: _auprc(trial, scores(text, None)).value for text in texts}
        if not found:
            return None
        best = max(found, key=found.__getitem__)
        as_good = sum(value >= auprc.value for value in found.values())
        return Rivals(count=len(found), as_good=as_good, best=best, auprc=found[best])

    return Validation(
        judge=judge.name,
        held_out=len(sample.held_out),
        random=len(sample.random),
        hard=len(sample.hard),
        share=trial.share,
        auprc=auprc,
        chance=chance(trial, given, rng),
        found=float(own.mean()),
        random_rejected=float(1 - random.mean()) if len(random) else None,
        hard_rejected=float(1 - hard.mean()) if len(hard) else None,
        constant=against,
        others=rivals(claim.others),
        nonsense=rivals(claim.nonsense),
    )


def _scorer(
    circuit: Circuit, crops: Sequence[Crop], order: np.ndarray, judge: Judge
) -> Callable[[str, str | None], np.ndarray]:
    """Asks the judge for the scores ``[crop]`` by a text; the crops are shown in ``order``."""
    pictures = tuple(picture(circuit, crops[i]) for i in order)

    def scores(text: str, sentence: str | None) -> np.ndarray:
        answered = np.asarray(judge.judge(JudgeRequest(text, sentence, pictures)), dtype=float)
        if answered.shape != order.shape or not ((answered >= 0) & (answered <= 1)).all():
            raise WorkError(
                f"{judge.name} must judge {len(order)} crops by numbers from 0 to 1; it gives "
                f"{len(answered)} numbers from {answered.min():g} to {answered.max():g}."
            )
        restored = np.empty(len(order))
        restored[order] = answered
        return restored

    return scores


def _auprc(trial: Trial, scores: np.ndarray) -> Interval:
    return wilson(float(average_precision(trial.truth, scores, trial.weights)), trial.worth)


def average_precision(
    truth: np.ndarray, scores: np.ndarray, weights: np.ndarray | float = 1.0
) -> np.ndarray:
    """Area under the precision-recall curve: mean precision at the group's crops.

    Args:
        truth: ``[..., crop]`` bool, at least one True.
        scores: ``[..., crop]``; crops of equal score enter together, so equal scores give the share
            of True, and no order among them matters.
        weights: ``[..., crop]`` how much each crop counts.

    Returns:
        ``[...]``
    """
    weights = np.asarray(weights, dtype=np.float64)
    truth, scores, weights = np.broadcast_arrays(truth, scores, weights)
    order = np.argsort(-scores, axis=-1, kind="stable")
    truth, scores, weights = (
        np.take_along_axis(array, order, -1) for array in (truth, scores, weights)
    )
    own = truth * weights
    hits, taken = np.cumsum(own, -1), np.cumsum(weights, -1)
    places = np.arange(truth.shape[-1])
    is_last = np.append(np.diff(scores) != 0, np.ones_like(truth[..., :1]), -1)  # of its score
    last = np.minimum.accumulate(np.where(is_last, places, places[-1])[..., ::-1], -1)[..., ::-1]
    precision = np.take_along_axis(hits / taken, last, -1)
    return np.asarray((precision * own).sum(-1) / hits[..., -1])


def wilson(share: float, n: float) -> Interval:
    """Wilson's 95 % interval of a share of ``n``, which stays within 0 to 1 and is never empty."""
    return Interval(share, *wilson_bounds(share, n))


def chance(trial: Trial, scores: np.ndarray, rng: np.random.Generator) -> Interval:
    """AUPRC of the same scores dealt out at random: mean and central 95 %."""
    dealt = rng.permuted(np.tile(scores, (REPEATS, 1)), axis=1)
    found = average_precision(trial.truth, dealt, trial.weights)
    low, high = np.percentile(found, [TAIL, 100 - TAIL])
    return Interval(float(np.mean(found)), float(low), float(high))


def gain(trial: Trial, scores: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> Interval:
    """AUPRC of ``scores`` less that of ``other``; the bootstrap draws each kind of crop by itself."""
    truth, weights = trial.truth, trial.weights

    def difference(rows: np.ndarray) -> np.ndarray:
        one, two = (
            average_precision(truth[rows], given[rows], weights[rows]) for given in (scores, other)
        )
        return one - two

    value = float(difference(np.arange(len(truth))))
    kinds = np.split(np.arange(len(truth)), np.cumsum(trial.kinds)[:2])
    drawn = difference(
        np.concatenate([rng.choice(kind, (REPEATS, len(kind))) for kind in kinds if len(kind)], 1)
    )
    # Crops drawn twice raise the precision: the interval is put back by what that does on average.
    low, high = np.percentile(drawn, [TAIL, 100 - TAIL]) + (value - drawn.mean())
    return Interval(value, float(low), float(high))


def mean(values: Sequence[float], seed: int) -> Interval | None:
    """Mean over groups with a bootstrap over them; None of nothing."""
    if not values:
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.choice(np.asarray(values), (REPEATS, len(values))).mean(1)
    low, high = np.percentile(drawn, [TAIL, 100 - TAIL])
    return Interval(float(np.mean(values)), float(low), float(high))
