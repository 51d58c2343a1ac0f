"""Tests whether a judge that sees only a label can tell the group's crops from others.

1. Crops of the group that the labeler did not see are mixed with others, about half of them hard
   (``sampling``), in random order. The judge scores each crop by the label.
2. The figure is the AUPRC, the average precision of the scores. A crop counts for as many exemplars as
   it was drawn from, so the group has the share that it has among all exemplars. In a sample of which
   half are the group's crops, a label that fits many others too would pass. Accuracy and AUC are not
   used: they hardly fall when labels are missing or superfluous (Oikarinen, Yan and Weng, 2025).
3. The interval is Wilson's, with as many of the group's crops as an unweighted sample of the same
   information would hold. If all of eight crops are found it is 0.68 to 1, where a bootstrap gives 1 to
   1 (Boyd, Eng and Page, 2013, use the binomial interval too).
4. Chance is the AUPRC of the same scores in random order. A label beats chance if its AUPRC lies above
   the upper end of that range.
5. Crops of a group are similar, and even a judge that guesses may give similar scores to
   similar crops. So the same judge scores the same crops by *other labels*, those of other groups and
   the words of its vocabulary; at most one in twenty may do as well. A judge that can name the
   meaningless texts it prefers (``Controls``) must not find one that does as well. A judge that pays
   for each request scores all these texts at once (``Comparer``), and the label must beat them with
   both of its scores: the one given alone and the one given among the others.
6. Among eight other labels, a judge that guesses still prefers the right one in one group of nine. So
   its preferences are counted over all groups (``probability_by_guessing``). No label passes if a
   judge that guesses would reach the same count.
7. A constant text, the name of the target, shows what the label adds. The interval of the gain is a
   paired bootstrap over crops.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from neurflow.circuit import Circuit
from neurflow.circuit.evidence import Constant, Rivals, Validation
from neurflow.errors import WorkError
from neurflow.labels.labeler import Comparer, Judge, JudgeRequest, LabelFailed
from neurflow.labels.sampling import Sample, picture
from neurflow.refs import Crop
from neurflow.stats import CONFIDENCE, Interval, wilson

PICKED = 0.5
"""scores from here on mean that a crop is picked, as for the published accuracy"""
REPEATS = 1000
"""number of shuffles, and of bootstrap samples"""
TAIL = 100 * (1 - CONFIDENCE) / 2


@dataclass(frozen=True)
class Claim:
    """A label, and the texts that it is compared with.

    Attributes:
        label: a few words. The judge is given these and the caption, and nothing else.
        caption: one sentence, if there is one.
        constant: a text that is the same for every group; None omits that comparison.
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
    """The crops that a label is tested on, by kind, with their weights.

    Attributes:
        kinds: numbers of held-out, random and hard crops.
        population: numbers of exemplars that each kind stands for.
    """

    kinds: tuple[int, int, int]
    population: tuple[int, int, int]

    @property
    def truth(self) -> np.ndarray:
        """``[crop]`` True for the group's own."""
        return np.repeat([True, False, False], self.kinds)

    @property
    def weights(self) -> np.ndarray:
        """``[crop]`` number of exemplars that each stands for."""
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
        The figures; None where no crop of the group is left for the judge.

    Raises:
        WorkError: the judge gives something other than one score from 0 to 1 for each crop.
    """
    if not sample.held_out or not (sample.random or sample.hard):
        return None
    trial = Trial((len(sample.held_out), len(sample.random), len(sample.hard)), sample.population)
    crops = list(chain(sample.held_out, sample.random, sample.hard))
    # The order must not give the group away: it differs between groups and is the same for all judges.
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
        """Return text → scores ``[crop]``, for all texts that the label is compared with.

        A judge that can score several texts by one request gets all of them at once, the label among
        them, in random order. If it fails at that, nothing is compared, and the label is doubted.
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
        return {text: self._restored(row) for text, row in zip(mixed, rows, strict=True)}

    def _restored(self, answered: Sequence[float]) -> np.ndarray:
        """Return scores in the order of the trial."""
        found = np.asarray(answered, dtype=float)
        if found.shape != self._order.shape or not ((found >= 0) & (found <= 1)).all():
            raise WorkError(
                f"{self._judge.name} must judge {len(self._order)} crops by numbers from 0 to 1; it "
                f"gives {len(found)} numbers from {found.min():g} to {found.max():g}."
            )
        restored = np.empty(len(self._order))
        restored[self._order] = found
        return restored


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
    """Return the AUPRC of the same scores dealt to the crops at random: mean and central 95 %."""
    dealt = rng.permuted(np.tile(scores, (REPEATS, 1)), axis=1)
    found = average_precision(trial.truth, dealt, trial.weights)
    low, high = np.percentile(found, [TAIL, 100 - TAIL])
    return Interval(float(np.mean(found)), float(low), float(high))


def gain(trial: Trial, scores: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> Interval:
    """Return the AUPRC of ``scores`` minus that of ``other``; the bootstrap draws each kind of crop
    separately.
    """
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
    # Crops drawn twice raise the precision. The interval is shifted back by the mean effect.
    low, high = np.percentile(drawn, [TAIL, 100 - TAIL]) + (value - drawn.mean())
    return Interval(value, float(low), float(high))


def probability_by_guessing(found: Sequence[Rivals]) -> float:
    """Return the probability that a judge that guesses prefers the groups' own labels as often.

    Such a judge prefers each of the ``count + 1`` texts that it compares for a group equally often. The
    number of groups whose own label beats all others then has a Poisson binomial distribution.
    """
    chances = [1 / (each.count + 1) for each in found]
    wins = sum(each.as_good == 0 for each in found)
    distribution = np.ones(1)
    for chance in chances:
        distribution = np.convolve(distribution, (1 - chance, chance))
    return float(distribution[wins:].sum())


def mean(values: Sequence[float], seed: int) -> Interval | None:
    """Return the mean of values with a bootstrap interval; None where there are none."""
    if not values:
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.choice(np.asarray(values), (REPEATS, len(values))).mean(1)
    low, high = np.percentile(drawn, [TAIL, 100 - TAIL])
    return Interval(float(np.mean(values)), float(low), float(high))
