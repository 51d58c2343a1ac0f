"""Attribution of many targets at once: the same as one by one, with as many points as each needs."""

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch

from neurflow.attribution import integrated_gradients
from neurflow.attribution.integrated_gradients import graded_midpoints, secants, steep_gauss
from neurflow.attribution.streaming import AUTO_STEPS, attribute
from neurflow.memory import Batch
from neurflow.progress import Silent
from tests.networks import FAMILIES, settle
from tests.test_graph import model_of


@dataclass(frozen=True)
class Concept:
    crops: np.ndarray
    meaning: np.ndarray


class Held:
    """Stands for ``FeatureMaps``, in blocks of four crops; counts what is asked for."""

    def __init__(self, values):
        self.values, self.taken = values, Counter()

    def blocks(self, place, needed):
        for start in range(0, len(needed), 4):
            yield needed[start : start + 4]

    def take(self, place, numbers):
        self.taken.update(numbers.tolist())
        return {key: value[torch.from_numpy(numbers)] for key, value in self.values.items()}


@cache
def setting(name, count=9):
    build, size = FAMILIES[name]
    model = model_of(settle(build()), size)
    layers = model.proposed_layers()
    segment = model.segment(layers[-3], layers[-2])
    keys = list(segment.observed)
    images = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        values = dict(zip(keys, model.outputs(keys)(images), strict=True))
    generator = np.random.default_rng(0)
    concepts = {
        a: Concept(generator.permutation(count)[:6], np.array([0, 1, 0, 0, 1, 0]))
        for a in range(0, segment.upper.neurons, max(1, segment.upper.neurons // 7))
    }
    return segment, values, concepts


def run(segment, values, concepts, **options):
    features = Held(values)
    options = {"steps": 6, "tolerance": 0.01, "batch": Batch(5, Silent())} | options
    return attribute(segment, 0, concepts, features, progress=Silent(), **options), features


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v2", "vit"])
@pytest.mark.parametrize("minus", [None, 3])
def test_batches_of_many_targets_give_what_each_gives_alone(name, minus):
    segment, values, concepts = setting(name)
    found, _ = run(segment, values, concepts, minus=minus)
    x, *_ = values.values()
    held = [values[key] for key in segment.held]
    for a, concept in concepts.items():
        rows = torch.from_numpy(concept.crops)
        own = [h[rows] for h in held]
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
        assert scores.steps in AUTO_STEPS
        assert scores.completeness_error <= 0.02 or scores.steps == AUTO_STEPS[-1]
    strict, _ = run(segment, values, concepts, steps="auto", tolerance=1e-4)
    assert sum(s.steps for s in strict.values()) > sum(s.steps for s in found.values())


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_where_all_n_complete_auto_asks_how_far_the_scores_are_from_their_limit(name):
    segment, values, concepts = setting(name)
    found, _ = run(segment, values, concepts, steps="auto", tolerance=0.005)
    x, *_ = values.values()
    for a, concept in concepts.items():
        assert found[a].completeness_error < 1e-4
        rows = torch.from_numpy(concept.crops)
        held = [values[key][rows] for key in segment.held]
        fine = integrated_gradients(segment, a, x[rows], held, steps=2000, rule=graded_midpoints)
        limit = fine.scores.abs().mean(0).double().numpy()
        off = np.abs(found[a].importance - limit).sum() / limit.sum()
        assert off < 0.02  # a look at one crop in five estimates it, so not to the letter


@pytest.mark.parametrize(("name", "rule"), [("resnet18", secants), ("vit", steep_gauss)])
def test_auto_tells_the_points_it_used(name, rule):
    """Scores are those of the rule it chose at the N it tells; behind a layer norm the steep one."""
    segment, values, concepts = setting(name)
    found, _ = run(segment, values, concepts, steps="auto")
    x, *_ = values.values()
    for a, concept in concepts.items():
        rows = torch.from_numpy(concept.crops)
        held = [values[key][rows] for key in segment.held]
        plain = integrated_gradients(segment, a, x[rows], held, steps=found[a].steps, rule=rule)
        expected = plain.scores.abs().mean(0).double().numpy()
        scale = float(np.abs(expected).max())
        np.testing.assert_allclose(found[a].importance, expected, rtol=1e-3, atol=1e-4 * scale)


def test_an_affine_segment_needs_no_points():
    build, size = FAMILIES["resnet18"]
    model = model_of(settle(build()), size)
    segment = model.segment("layer4.1", "fc")
    with torch.no_grad():
        (x,) = model.outputs(list(segment.observed)[:1])(torch.randn(3, 3, size, size))
    assert segment.specialised(1).affine
    one, many = (integrated_gradients(segment, 1, x, steps=n) for n in (1, 40))
    torch.testing.assert_close(one.scores, many.scores)
    assert float(one.gap.max()) < 1e-4 * float(one.change.abs().max())
