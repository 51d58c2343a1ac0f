"""Attribution of many targets in batches, with the number of points that each target needs."""

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from neurflow.attribution import integrated_gradients, streaming
from neurflow.attribution.integrated_gradients import graded_midpoints, secants, sinh
from neurflow.attribution.score_error import (
    AUTO_STEPS,
    PROJECTED_STEPS,
    SMOOTH_STEPS,
    upper_limit,
)
from neurflow.attribution.streaming import RULES, attribute
from neurflow.errors import WorkError
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Silent
from neurflow.study.features import Observed
from tests.model.test_graph import model_of
from tests.networks import settle
from tests.studies import family, task_on


@dataclass(frozen=True)
class Concept:
    crops: np.ndarray
    meaning: np.ndarray


class Held:
    """A replacement for ``SegmentMaps`` with blocks of four crops that counts requests."""

    def __init__(self, segment, values):
        self.segment, self.values, self.taken = segment, values, Counter()

    def blocks(self, needed):
        for start in range(0, len(needed), 4):
            yield needed[start : start + 4]

    def take(self, numbers):
        self.taken.update(numbers.tolist())
        rows = torch.from_numpy(numbers)
        return Observed.of(self.segment, {key: v[rows] for key, v in self.values.items()})


@cache
def setting(name, count=9):
    model = family(name)
    layers = model.proposed_layers()
    segment = model.segment(layers[-3], layers[-2])
    keys = list(segment.observed)
    images = torch.randn(count, *model.input_size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        values = dict(zip(keys, model.outputs(keys)(images), strict=True))
    generator = np.random.default_rng(0)
    concepts = {
        a: Concept(generator.permutation(count)[:6], np.array([0, 1, 0, 0, 1, 0]))
        for a in range(0, segment.upper.neurons, max(1, segment.upper.neurons // 7))
    }
    return segment, values, concepts


def run(segment, values, concepts, **options):
    maps = Held(segment, values)
    task = task_on(segment, maps, concepts, Batch(5, Silent()), **{"steps": 6} | options)
    return attribute(task), maps


@pytest.mark.parametrize("name", ["resnet18", "vit"])
def test_filled_batches_do_not_change_scores(name, monkeypatch):
    """As on a GPU, where a batch is filled with copies of its last pair."""
    segment, values, concepts = setting(name)
    expected, _ = run(segment, values, concepts)
    monkeypatch.setattr(streaming, "rounded_batch", lambda count, device: -(-count // 4) * 4)
    found, _ = run(segment, values, concepts)
    for a, scores in found.items():
        scale = expected[a].importance.max()
        np.testing.assert_allclose(scores.signed, expected[a].signed, atol=1e-5 * scale)
        np.testing.assert_allclose(scores.importance, expected[a].importance, atol=1e-5 * scale)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v2", "vit"])
@pytest.mark.parametrize("minus", [None, 3])
def test_batching_targets_does_not_change_scores(name, minus):
    segment, values, concepts = setting(name)
    found, _ = run(segment, values, concepts, minus=minus)
    x, *_ = values.values()
    bypass = [values[key] for key in segment.bypass]
    for a, concept in concepts.items():
        rows = torch.from_numpy(concept.crops)
        own = [h[rows] for h in bypass]
        plain = integrated_gradients(segment, a, x[rows], own, steps=6)
        scores, change = plain.scores, plain.change
        if minus is not None:
            other = integrated_gradients(segment, minus, x[rows], own, steps=6)
            scores, change = scores - other.scores, change - other.change
        scores, scale = scores.double().numpy(), float(scores.abs().max())
        close = {"rtol": 1e-4, "atol": 1e-5 * scale}
        np.testing.assert_allclose(found[a].importance, np.abs(scores).mean(0), **close)
        for i in (0, 1):
            part = scores[concept.meaning == i].mean(0)
            np.testing.assert_allclose(found[a].signed[i], part, **close)
        gap = np.abs(scores.sum(1) - change.double().numpy()).sum()
        moved = np.abs(change.double().numpy()).sum()
        error = gap / moved if moved else gap
        assert found[a].completeness_error == pytest.approx(error, rel=1e-2, abs=1e-5)
        assert found[a].steps == 6


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "vit"])
def test_auto_steps_reach_the_tolerance_with_few_points(name):
    segment, values, concepts = setting(name)
    found, _ = run(segment, values, concepts, steps="auto", tolerance=0.02)
    assert list(found) == list(concepts)
    for scores in found.values():
        assert scores.steps in {*AUTO_STEPS, *PROJECTED_STEPS, *SMOOTH_STEPS}
        assert 0 <= scores.score_error <= 0.02
    strict, _ = run(segment, values, concepts, steps="auto", tolerance=1e-4)
    assert sum(s.steps for s in strict.values()) > sum(s.steps for s in found.values())


def limit_of(segment, values, a, concept):
    """``[crop, lower neuron]`` T with so many points that it has converged."""
    rows = torch.from_numpy(concept.crops)
    x, *_ = values.values()
    bypass = [values[key][rows] for key in segment.bypass]
    fine = integrated_gradients(segment, a, x[rows], bypass, steps=2000, rule=graded_midpoints)
    return fine.scores.double().numpy()


@pytest.mark.parametrize("steps", ["auto", 6])
def test_the_score_error_is_the_distance_from_the_limit(steps):
    """The error of the mean |T| rarely exceeds the stated one, which is not much larger."""
    stated, true = [], []
    for name in ("resnet18", "mobilenet_v2", "googlenet"):
        segment, values, concepts = setting(name)
        found, _ = run(segment, values, concepts, steps=steps, tolerance=0.005)
        for a, concept in concepts.items():
            limit = np.abs(limit_of(segment, values, a, concept)).mean(0)
            if limit.any():  # the target fires
                true.append(np.abs(found[a].importance - limit).sum() / limit.sum())
                stated.append(found[a].score_error)
    true, stated = np.array(true), np.array(stated)
    assert len(true) >= 18
    if steps == "auto":
        assert (true <= 0.005).mean() >= 0.95
        assert (stated <= 0.005).all()
    assert (true <= stated + 2e-4).mean() >= 0.9  # three of six crops are sampled
    assert true.mean() <= stated.mean() + 1e-4
    assert stated.mean() <= 4 * true.mean() + 5e-4, (stated, true)


def test_completeness_is_reported_only_if_it_is_informative():
    segment, values, concepts = setting("resnet18")
    auto, _ = run(segment, values, concepts, steps="auto")
    fixed, _ = run(segment, values, concepts, steps=6)
    for a in concepts:
        assert (auto[a].rule, auto[a].completeness_error) == ("secants", None)
        assert fixed[a].rule == "gauss"
        assert fixed[a].completeness_error > 0


@pytest.mark.parametrize(("name", "rule"), [("resnet18", secants), ("vit", sinh)])
def test_auto_reports_the_points_it_used(name, rule):
    """Scores equal those of the reported rule at the reported N; after norms, the rule is ``sinh``."""
    segment, values, concepts = setting(name)
    found, _ = run(segment, values, concepts, steps="auto")
    x, *_ = values.values()
    for a, concept in concepts.items():
        assert RULES[found[a].rule] is rule
        rows = torch.from_numpy(concept.crops)
        bypass = [values[key][rows] for key in segment.bypass]
        plain = integrated_gradients(segment, a, x[rows], bypass, steps=found[a].steps, rule=rule)
        expected = plain.scores.abs().mean(0).double().numpy()
        scale = float(np.abs(expected).max())
        np.testing.assert_allclose(found[a].importance, expected, rtol=1e-3, atol=1e-4 * scale)


def test_the_upper_confidence_limit_by_hand():
    """Ratio 0.2; residuals ±0.1 of two crops of three: 0.2 + 12.71 · 0.1 · √(1/3)."""
    sample = np.array([[0.1, 1.0], [0.3, 1.0]])
    assert upper_limit(sample, 2) == pytest.approx(0.2)
    assert upper_limit(sample, 3) == pytest.approx(0.2 + 12.7062 * 0.1 / 3**0.5, rel=1e-4)
    assert upper_limit(np.zeros((2, 2)), 3) == 0.0
    assert np.isnan(upper_limit(np.array([[0.1, 0.0], [0.0, 0.0]]), 3))


def test_the_upper_confidence_limit_has_its_coverage():
    rng = np.random.default_rng(0)
    above = 0
    for _ in range(400):
        goal = rng.uniform(1, 2, 50)
        crops = np.stack([goal * rng.uniform(0, 0.02, 50), goal], 1)
        truth = crops[:, 0].sum() / crops[:, 1].sum()
        above += upper_limit(crops[rng.permutation(50)[:5]], 50) >= truth
    assert 0.94 <= above / 400 <= 0.997


class Pooled(nn.Module):
    """Generalised-mean pooling, with or without an ε inside the root."""

    def __init__(self, least):
        super().__init__()
        self.lower, self.head, self.least = nn.Conv2d(3, 6, 1), nn.Linear(6, 4), least

    def forward(self, x):
        y = self.lower(x)
        if not self.least:
            return self.head((y * y).mean((2, 3)).sqrt())
        return self.head(torch.relu(y).clamp(min=self.least).pow(3).mean((2, 3)).pow(1 / 3))


def pooled(least):
    model = model_of(settle(Pooled(least)), 8)
    segment = model.segment("lower", "head")
    keys = list(segment.observed)
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        values = dict(zip(keys, model.outputs(keys)(images), strict=True))
    return segment, values, {a: Concept(np.arange(6), np.zeros(6, dtype=int)) for a in range(4)}


@pytest.mark.parametrize("steps", ["auto", 50])
def test_roots_after_pooling_have_scores(steps):
    segment, values, concepts = pooled(1e-6)
    assert segment.specialised(0).secants
    found, _ = run(segment, values, concepts, steps=steps)
    for a, concept in concepts.items():
        limit = np.abs(limit_of(segment, values, a, concept)).mean(0)
        assert np.abs(found[a].importance - limit).sum() <= 0.01 * limit.sum()
        assert found[a].score_error <= 0.02


@pytest.mark.parametrize("steps", ["auto", 50])
def test_scores_that_are_not_finite_are_refused(steps):
    """The slope of the root at 0 is infinite, and a channel is 0 along the whole path."""
    segment, values, concepts = pooled(0.0)
    x = next(iter(values.values()))
    x[:, 2] = 0.0
    with pytest.raises(WorkError, match=r"scores of lower for neuron 0 of head are not finite"):
        run(segment, values, concepts, steps=steps)


def test_an_affine_segment_needs_no_points():
    model = family("resnet18")
    segment = model.segment("layer4.1", "fc")
    with torch.no_grad():
        (x,) = model.outputs(list(segment.observed)[:1])(torch.randn(3, *model.input_size))
    assert segment.specialised(1).affine
    one, many = (integrated_gradients(segment, 1, x, steps=n) for n in (1, 40))
    torch.testing.assert_close(one.scores, many.scores)
    assert float(one.gap.max()) < 1e-4 * float(one.change.abs().max())
