"""The missing-label and extra-label tests (arXiv 2506.05774) of measures for labels.

A label is worse if it fits only half of the right crops, or as many wrong crops as well, so a measure
must decrease. A measure passes a test if it decreases by ``CLEARLY`` in nearly all cases.
Average precision passes both tests. Accuracy, AUC and the share of crops found each fail at least one,
so no decision depends on them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from neurflow.labels.validation import PICKED, Trial, average_precision

CROPS, SHARE = 1200, 0.03
"""number of crops, and the share of them that belongs to the group"""
CLEARLY = 0.05
CASES = 100
NEARLY_ALL = 0.95

Measure = Callable[[np.ndarray, np.ndarray], float]


def precision(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(average_precision(truth, scores))


def accuracy(truth: np.ndarray, scores: np.ndarray) -> float:
    return float((truth == (scores >= PICKED)).mean())


def found(truth: np.ndarray, scores: np.ndarray) -> float:
    return float((scores >= PICKED)[truth].mean())


def auc(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(roc_auc_score(truth, scores))


def scored(fits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``[crop]`` scores of a judge: above one half if the label fits, with errors."""
    return 1 / (1 + np.exp(-rng.normal(np.where(fits, 2.5, -2.5), 1.0)))


def missing(fits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``[crop]`` whether a worse label fits: one that fits only half of these crops."""
    lost = rng.permutation(np.flatnonzero(fits))[: fits.sum() // 2]
    return fits & ~np.isin(np.arange(len(fits)), lost)


def extra(fits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``[crop]`` whether a worse label fits: one that also fits as many wrong crops."""
    more = rng.permutation(np.flatnonzero(~fits))[: fits.sum()]
    return fits | np.isin(np.arange(len(fits)), more)


@pytest.mark.parametrize(
    ("measure", "passes"),
    [
        (precision, {"missing", "extra"}),
        (accuracy, set()),
        (auc, {"missing"}),
        (found, {"missing"}),
    ],
)
def test_only_average_precision_notices_missing_and_extra_labels(measure: Measure, passes):
    """The group's crops are the ground truth, and the judge scores by the label."""
    rng = np.random.default_rng(0)
    fell: dict[str, list[bool]] = {"missing": [], "extra": []}
    for _ in range(CASES):
        group = rng.permutation(CROPS) < SHARE * CROPS
        before = measure(group, scored(group, rng))
        for name, spoil in (("missing", missing), ("extra", extra)):
            after = measure(group, scored(spoil(group, rng), rng))
            fell[name].append(before - after >= CLEARLY)
    assert {name for name, each in fell.items() if np.mean(each) >= NEARLY_ALL} == passes


@pytest.mark.parametrize(
    ("measure", "passes"), [(precision, {"missing", "extra"}), (auc, {"extra"})]
)
def test_the_same_on_pictures_of_named_concepts(measure: Measure, passes):
    """As on pictures of named concepts: the label says which pictures should activate the group."""
    rng = np.random.default_rng(0)
    fell: dict[str, list[bool]] = {"missing": [], "extra": []}
    for _ in range(CASES):
        named = rng.permutation(CROPS) < SHARE * CROPS
        response = scored(named, rng)
        before = measure(named, response)
        for name, spoil in (("missing", missing), ("extra", extra)):
            fell[name].append(before - measure(spoil(named, rng), response) >= CLEARLY)
    assert {name for name, each in fell.items() if np.mean(each) >= NEARLY_ALL} == passes


def test_a_sample_shows_extra_labels_only_with_the_true_share():
    """The judge sees 12 crops of the group and 20 others; weights restore the true share."""
    rng = np.random.default_rng(0)
    own = CROPS // 10
    trial = Trial(kinds=(12, 10, 10), population=(own, (CROPS - own) // 2, (CROPS - own) // 2))
    truth = trial.truth
    fall: dict[str, list[float]] = {"whole": [], "weighted": [], "plain": []}
    for _ in range(300):
        group = np.arange(CROPS) < own
        good, bad = scored(group, rng), scored(extra(group, rng), rng)
        seen = [rng.choice(own, 12, replace=False), own + rng.choice(CROPS - own, 20, False)]
        rows = np.concatenate(seen)
        for name, weights in (("weighted", trial.weights), ("plain", np.ones(32))):
            values = [float(average_precision(truth, s[rows], weights)) for s in (good, bad)]
            fall[name].append(values[0] - values[1])
        fall["whole"].append(precision(group, good) - precision(group, bad))
    whole, weighted, plain = (float(np.mean(fall[name])) for name in fall)
    assert whole > 0.3
    assert weighted > 0.6 * whole
    assert plain < 0.3 * whole
