"""Tests whether a judge that sees only a label can tell the group's crops from others.

1. Crops of the group that the labeler did not see are mixed with others, about half of them hard
   (``sampling``), in random order. The judge scores each crop by the label.
2. The measure is the AUPRC: the average precision of the scores. Crops are weighted by the number of
   exemplars that they represent, so that the group has its true share among all exemplars. If half of
   the weight were the group's, labels that fit many other crops too would pass. Accuracy and AUC are
   not used, because they hardly fall when labels are missing or superfluous (Oikarinen, Yan and Weng,
   2025).
3. The interval is Wilson's, with the effective number of the group's crops. If all of eight crops are
   found, it is 0.68 to 1, whereas a bootstrap would give 1 to 1 (Boyd, Eng and Page, 2013, also use a
   binomial interval).
4. Chance is the AUPRC of the same scores in random order. A label beats chance if its AUPRC lies above
   the 95 % range of chance.
5. Crops of a group are similar, and even a judge that guesses may give similar scores to similar crops.
   The same judge therefore also scores the crops by *other labels*: those of other groups and the words
   of its vocabulary. At most one in twenty of them may do as well. For a judge that can find the
   meaningless texts that it prefers (``Controls``), none of these may do as well. A judge that pays for
   each request scores all these texts at once (``Comparer``). The label must then beat them with both
   of its scores: the one given alone and the one given among the others.
6. With eight other labels, a judge that guesses still prefers the right one in one group of nine. Its
   preferences are therefore counted over all groups (``probability_by_guessing``). No label passes if
   a judge that guesses could reach the same count.
7. A constant text, the name of the target, shows what the label adds. The interval of the gain is a
   paired bootstrap over crops.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

import numpy as np

from neurflow.circuit import Circuit
from neurflow.circuit.evidence import Constant, Rivals, Validation
from neurflow.errors import WorkError
from neurflow.labels.labeler import Comparer, Judge, JudgeRequest, LabelFailed
from neurflow.labels.sampling import Sample, picture
from neurflow.refs import Crop
from neurflow.stats import CONFIDENCE, Interval, wilson

PICKED = 0.5
"""score from which on a crop counts as picked, as in the published accuracy"""
REPEATS = 1000
"""number of shuffles, and of bootstrap samples"""
TAIL = 100 * (1 - CONFIDENCE) / 2


@dataclass(frozen=True)
class Claim:
    """A label, and the texts that it is compared with.

    Attributes:
        label: a few words. The judge gets only these and the caption.
        caption: one sentence, if there is one.
        constant: a text that is the same for every group; None omits this comparison.
        others: labels of other groups, and words of the judge's vocabulary.
        nonsense: meaningless texts.
    """

    label: str
    caption: str | None = None
    constant: str | None = None
    others: tuple[str, ...] = ()
    nonsense: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """The crops that a label is tested on, by kind, with their weights.

    Attributes:
        kinds: numbers of held-out, random and hard crops.
        population: number of exemplars that each kind represents.
    """

    kinds: tuple[int, int, int]
    population: tuple[int, int, int]

    @property
    def truth(self) -> np.ndarray:
        """``[crop]`` True for the group's own."""
        return np.repeat([True, False, False], self.kinds)

    @property
    def weights(self) -> np.ndarray:
        """``[crop]`` number of exemplars that each crop represents."""
        _, random, hard = self.kinds
        stands = list(self.population)
        if not random or not hard:  # the kind that is present represents both
            stands[1] = stands[2] = sum(stands[1:])
        each = [stood / max(count, 1) for stood, count in zip(stands, self.kinds, strict=True)]
        return np.repeat(each, self.kinds)

    @property
    def share(self) -> float:
        """Share of the group's crops among the exemplars."""
        return self.population[0] / sum(self.population)

    @property
    def effective_size(self) -> float:
        """Kish's effective size: the group's crops in an unweighted sample that is as informative."""
        return max(self.share * self.weights.sum() ** 2 / (self.weights**2).sum(), 1.0)


def validate(
    circuit: Circuit, sample: Sample, claim: Claim, judge: Judge, *, seed: int
) -> Validation | None:
    """Validate one label.

    Args:
        circuit: has the pictures of the crops.
        sample: the group's crops.
        claim: the label, and the texts it is compared with.
        judge: scores the crops.
        seed: seed of the order of the crops and of the intervals.

    Returns:
        The result; None if there are no held-out or no other crops.

    Raises:
        WorkError: the judge does not return one score from 0 to 1 for each crop.
    """
    if not sample.held_out or not (sample.random or sample.hard):
        return None
    trial = Trial((len(sample.held_out), len(sample.random), len(sample.hard)), sample.population)
    crops = list(chain(sample.held_out, sample.random, sample.hard))
    # The order must not reveal the group's crops. It depends on the group, but not on the judge.
    rng = np.random.default_rng([seed, zlib.crc32(repr(crops).encode())])
    panel = _Panel(circuit, crops, rng.permutation(len(crops)), judge)
    given = panel.scores(claim.label, claim.caption)
    auprc = _auprc(trial, given)
    compared = {claim.label: given} | panel.compared(claim, rng)
    own = compared[claim.label]
    to_beat = min(auprc.value, _auprc(trial, own).value)
    against = None
    if claim.constant is not None and claim.constant in compared:
        plain = compared[claim.constant]
        against = Constant(
            text=claim.constant, auprc=_auprc(trial, plain), gain=gain(trial, own, plain, rng)
        )

    def rivals(texts: Sequence[str]) -> Rivals | None:
        found = {text: _auprc(trial, compared[text]).value for text in texts if text in compared}
        if not found:
            return None
        best = max(found, key=found.__getitem__)
        as_good = sum(value >= to_beat for value in found.values())
        return Rivals(count=len(found), as_good=as_good, best=best, auprc=found[best])

    hits, random, hard = np.split(given >= PICKED, np.cumsum(trial.kinds)[:2])
    return Validation(
        judge=judge.name,
        held_out=len(sample.held_out),
        random=len(sample.random),
        hard=len(sample.hard),
        share=trial.share,
        auprc=auprc,
        chance=chance(trial, given, rng),
        found=float(hits.mean()),
        random_rejected=float(1 - random.mean()) if len(random) else None,
        hard_rejected=float(1 - hard.mean()) if len(hard) else None,
        constant=against,
        others=rivals(claim.others),
        nonsense=rivals(claim.nonsense),
    )


class _Panel:
    """A judge and the crops of one trial, which are shown in random order.

    Args:
        circuit: has the pictures of the crops.
        crops: in the order of the trial.
        order: ``[crop]`` in which they are shown.
        judge: scores them.
    """

    def __init__(
        self, circuit: Circuit, crops: Sequence[Crop], order: np.ndarray, judge: Judge
    ) -> None:
        self._judge, self._order = judge, order
        self._pictures = tuple(picture(circuit, crops[i]) for i in order)

    def scores(self, text: str, sentence: str | None = None) -> np.ndarray:
        """Return scores ``[crop]`` by one text."""
        return self._restored(self._judge.judge(JudgeRequest(text, sentence, self._pictures)))

    def compared(self, claim: Claim, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return text → scores ``[crop]`` for all texts that the label is compared with.

        A ``Comparer`` gets all texts at once, the label among them, in random order. If it fails,
        nothing is compared, and the label stays in doubt.
        """
        plain = () if claim.constant is None else (claim.constant,)
        texts = list(dict.fromkeys((*plain, *claim.others, *claim.nonsense)))
        if not texts or not isinstance(self._judge, Comparer):
            return {text: self.scores(text) for text in texts}
        mixed = rng.permutation(list(dict.fromkeys((claim.label, *texts)))).tolist()
        try:
            rows = self._judge.compare(mixed, self._pictures)
        except LabelFailed:
            return {}
        if len(rows) != len(mixed):
            self._reject(f"scores for {len(rows)} instead of {len(mixed)} labels")
        return {text: self._restored(row) for text, row in zip(mixed, rows, strict=True)}

    def _restored(self, answered: Sequence[float]) -> np.ndarray:
        """Return scores in the order of the trial."""
        found = np.asarray(answered, dtype=float)
        if found.shape != self._order.shape:
            self._reject(f"{found.size} scores")
        if not ((found >= 0) & (found <= 1)).all():
            self._reject(f"scores from {found.min():g} to {found.max():g}")
        restored = np.empty(len(self._order))
        restored[self._order] = found
        return restored

    def _reject(self, answer: str) -> NoReturn:
        raise WorkError(
            f"The judge {self._judge.name} must return a score from 0 to 1 for each of "
            f"{len(self._order)} crops, but returned {answer}. Correct the judge, or use another."
        )


def _auprc(trial: Trial, scores: np.ndarray) -> Interval:
    return wilson(
        float(average_precision(trial.truth, scores, trial.weights)), trial.effective_size
    )


def average_precision(
    truth: np.ndarray, scores: np.ndarray, weights: np.ndarray | float = 1.0
) -> np.ndarray:
    """Return the area under the precision-recall curve: mean precision at the group's crops.

    Args:
        truth: ``[..., crop]`` bool, at least one True.
        scores: ``[..., crop]``. Crops of equal score enter together, so their order does not matter,
            and equal scores everywhere give the share of True.
        weights: ``[..., crop]`` weight of each crop.

    Returns:
        ``[...]``, from 0 to 1.
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


def chance(trial: Trial, scores: np.ndarray, rng: np.random.Generator) -> Interval:
    """Return the AUPRC of the same scores in random order: mean and central 95 %."""
    shuffled = rng.permuted(np.tile(scores, (REPEATS, 1)), axis=1)
    found = average_precision(trial.truth, shuffled, trial.weights)
    low, high = np.percentile(found, [TAIL, 100 - TAIL])
    return Interval(float(np.mean(found)), float(low), float(high))


def gain(trial: Trial, scores: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> Interval:
    """Return the AUPRC of ``scores`` minus that of ``other``; the bootstrap is stratified by kind."""
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
    # Crops that are drawn twice raise the precision. Remove this bias from the interval.
    low, high = np.percentile(drawn, [TAIL, 100 - TAIL]) + (value - drawn.mean())
    return Interval(value, float(low), float(high))


def probability_by_guessing(found: Sequence[Rivals]) -> float:
    """Return the probability that a judge that guesses prefers the groups' own labels as often.

    Such a judge is equally likely to prefer each of a group's ``count + 1`` texts. The number of groups
    whose own label beats all others then has a Poisson binomial distribution.
    """
    chances = [1 / (each.count + 1) for each in found]
    wins = sum(each.as_good == 0 for each in found)
    distribution = np.ones(1)
    for chance in chances:
        distribution = np.convolve(distribution, (1 - chance, chance))
    return float(distribution[wins:].sum())
