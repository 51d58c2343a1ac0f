"""Does a label tell the group's crops from others? A judge who reads the text alone finds out.

1. Crops of the group that the labeler did not see are mixed with as many others, half of them hard
   (``sampling``), in random order.
2. The judge scores each crop by the label; from 0.5 on it is picked.
3. Accuracy is the share told rightly, AUPRC the average precision of the scores. Their intervals are
   Wilson's, of all crops and of the group's crops: at eight crops all found, the interval is 0.68 to
   1, where a bootstrap would say 1 to 1 (Boyd, Eng and Page, 2013, use the binomial interval too).
4. Chance is what the same scores reach when they are dealt out at random; a label beats it if its
   AUPRC lies above the upper end of that range.
5. The same judge on the same crops with a constant text, the target's name, tells what the label adds.
   The interval of the gain is a bootstrap over crops, paired.

The published validation compares numbers of neurons with numbers of pictures, and lets a judge who
picks everything find everything; here that judge gets an accuracy of 0.5.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import chain

import numpy as np

from neurflow.circuit import Circuit
from neurflow.errors import WorkError
from neurflow.evidence import CONFIDENCE, Constant, Interval, Validation
from neurflow.intervals import wilson_bounds
from neurflow.labels.labeler import Judge, JudgeRequest
from neurflow.labels.sampling import Sample, picture

PICKED = 0.5
REPEATS = 1000
"""of shuffling and of the bootstrap"""
TAIL = 100 * (1 - CONFIDENCE) / 2


def validate(
    circuit: Circuit,
    sample: Sample,
    label: str,
    caption: str | None,
    judge: Judge,
    *,
    constant: str | None,
    seed: int,
) -> Validation | None:
    """Validate one label; None where the group has no crops to spare.

    Args:
        circuit: gives the pictures.
        sample: the group's crops.
        label: the words, and all that the judge is told but the caption.
        caption: the sentence, if there is one.
        judge: scores crops.
        constant: the text to compare with; None leaves that out.
        seed: of the order of crops and of the intervals.
    """
    if not sample.held_out or not (sample.random or sample.hard):
        return None
    crops = list(chain(sample.held_out, sample.random, sample.hard))
    # The order must not tell; every group has its own, and any judge of the group the same.
    rng = np.random.default_rng([seed, zlib.crc32(repr(crops).encode())])
    order = rng.permutation(len(crops))
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

    given = scores(label, caption)
    truth = np.arange(len(crops)) < len(sample.held_out)
    picked = given >= PICKED
    kinds = np.split(picked, np.cumsum([len(sample.held_out), len(sample.random)]))
    against = None
    if constant is not None:
        plain = scores(constant, None)
        against = Constant(
            text=constant,
            accuracy=wilson(float(np.mean((plain >= PICKED) == truth)), len(truth)),
            auprc=wilson(float(average_precision(truth, plain)), int(truth.sum())),
            gain=gain(truth, given, plain, rng),
        )
    return Validation(
        judge=judge.name,
        held_out=len(sample.held_out),
        random=len(sample.random),
        hard=len(sample.hard),
        accuracy=wilson(float(np.mean(picked == truth)), len(truth)),
        auprc=wilson(float(average_precision(truth, given)), int(truth.sum())),
        chance=chance(truth, given, rng),
        found=float(kinds[0].mean()),
        random_rejected=float(1 - kinds[1].mean()) if len(kinds[1]) else None,
        hard_rejected=float(1 - kinds[2].mean()) if len(kinds[2]) else None,
        constant=against,
    )


def average_precision(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Area under the precision-recall curve: mean precision at the group's crops.

    Args:
        truth: ``[..., crop]`` bool, at least one True.
        scores: ``[..., crop]``; crops of equal score enter together, so equal scores give the share
            of True, and no order among them matters.

    Returns:
        ``[...]``
    """
    truth, scores = np.broadcast_arrays(truth, scores)
    order = np.argsort(-scores, axis=-1, kind="stable")
    truth, scores = (np.take_along_axis(array, order, -1) for array in (truth, scores))
    hits, places = np.cumsum(truth, -1), np.arange(truth.shape[-1])
    is_last = np.append(np.diff(scores) != 0, np.ones_like(truth[..., :1]), -1)  # of its score
    last = np.minimum.accumulate(np.where(is_last, places, places[-1])[..., ::-1], -1)[..., ::-1]
    precision = np.take_along_axis(hits, last, -1) / (last + 1)
    return (precision * truth).sum(-1) / hits[..., -1]


def wilson(share: float, n: int) -> Interval:
    """Wilson's 95 % interval of a share of ``n``, which stays within 0 to 1 and is never empty."""
    return Interval(share, *wilson_bounds(share, n))


def chance(truth: np.ndarray, scores: np.ndarray, rng: np.random.Generator) -> Interval:
    """AUPRC of the same scores dealt out at random: mean and central 95 %."""
    dealt = average_precision(rng.permuted(np.tile(truth, (REPEATS, 1)), axis=1), scores)
    low, high = np.percentile(dealt, [TAIL, 100 - TAIL])
    return Interval(float(np.mean(dealt)), float(low), float(high))


def gain(
    truth: np.ndarray, scores: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> Interval:
    """AUPRC of ``scores`` less that of ``other``; the bootstrap draws each kind of crop by itself."""

    def difference(rows: np.ndarray) -> np.ndarray:
        one, two = (average_precision(truth[rows], given[rows]) for given in (scores, other))
        return one - two

    value = float(difference(np.arange(len(truth))))
    kinds = (np.flatnonzero(truth), np.flatnonzero(~truth))
    drawn = difference(
        np.concatenate([rng.choice(kind, (REPEATS, len(kind))) for kind in kinds], 1)
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
