"""The rules that say which neurons are core, against slow definitions and what ablation shows."""

from functools import partial

import numpy as np
import pytest
import torch

from neurflow import planted
from neurflow.attribution.streaming import Scores, attribute
from neurflow.method.core_neurons import make_core
from neurflow.method.selection import POINTS, contrast_crops, select_cores
from tests.reference import selection as slow


@pytest.fixture(scope="module")
def study():
    with planted.study(planted.build(3, 3, traits=("veto",), each=14)) as found:
        yield found


def score_of(question):
    score = partial(attribute, question.segment, question.place, features=question.features)
    return partial(
        score, tolerance=question.config.tolerance, batch=question.batch, progress=question.progress
    )


def select(question, rule, tau, seed=0):
    phi = question.activations[question.segment.upper.name]
    score = score_of(question)
    return select_cores(rule, score, question.concepts, phi, tau, steps=16, seed=seed)


@pytest.fixture(scope="module")
def parts(study):
    """The question about the parts: units that a colour, a pattern and a veto act on."""
    return study.questions[-1]


def x_of(question, crops):
    """Detectors' output on crops."""
    keys = [question.model.node(question.segment.lower.name)]
    with torch.no_grad():
        pixels = torch.cat([question.activations.crops.pixels([n]) for n in crops])
        return question.model.outputs(keys)(pixels)[0]


def block_of(question):
    return getattr(question.model.module, question.segment.upper.name)


@pytest.mark.parametrize("rule", ["published", "signed", "contrast", "stepwise"])
def test_a_rule_takes_what_its_slow_definition_takes(parts, rule):
    tau, phi = 4, np.asarray(parts.activations["parts"])
    found = select(parts, rule, tau)
    others = contrast_crops(parts.concepts, phi)
    for a, concept in list(parts.concepts.items())[:1]:
        own, other = (x_of(parts, crops) for crops in (concept.crops, others[a]))
        expected = slow.select(rule, block_of(parts), a, own, other, tau)
        assert set(found[a].importance) == set(expected)


def test_weights_are_the_papers_whatever_the_rule(parts):
    published, contrast = (select(parts, rule, 48) for rule in ("published", "contrast"))
    for a in parts.concepts:
        assert published[a].importance.keys() == contrast[a].importance.keys()
        assert list(contrast[a].importance.values()) == sorted(
            contrast[a].importance.values(), reverse=True
        )
        for one, other in zip(published[a].weights, contrast[a].weights, strict=True):
            assert one == pytest.approx(other)


@pytest.mark.parametrize("rule", ["published", "signed", "contrast", "stepwise"])
def test_every_rule_finds_what_drives_and_none_what_silences_fully(study, parts, rule):
    """A unit that a veto keeps silent all along the path has no gradient anywhere."""
    truth = {a: study.planted.circuit["parts"][a] for a in parts.concepts}
    vetoes = {
        a: {s for part in neuron.weights for s, weight in part.items() if weight < 0}
        for a, neuron in truth.items()
    }
    found = select(parts, rule, {a: len(truth[a].core - vetoes[a]) for a in truth})
    for a, neuron in truth.items():
        assert vetoes[a]
        assert set(found[a].importance) == neuron.core - vetoes[a]


def test_contrast_crops_are_others_near_and_far(parts):
    phi = np.asarray(parts.activations["parts"])
    found = contrast_crops(parts.concepts, phi, seed=1)
    for a, crops in found.items():
        own = parts.concepts[a].crops
        assert not np.intersect1d(own, crops).size
        assert len(np.unique(crops)) == len(crops) == 2 * (len(own) // 4)
        near = np.argsort(-phi[:, a], kind="stable")[len(own) : 4 * len(own)]
        assert np.isin(crops[: len(own) // 4], near).all()
    again = contrast_crops(parts.concepts, phi, seed=1)
    other = contrast_crops(parts.concepts, phi, seed=2)
    assert all((found[a] == again[a]).all() for a in found)
    assert any((found[a] != other[a]).any() for a in found)


def test_where_every_crop_is_the_concepts_own_contrast_is_signed(parts):
    concepts = {a: parts.concepts[a] for a in list(parts.concepts)[:2]}
    calls = []

    def score(asked, *, steps, method=None):
        calls.append(steps)
        rows = np.arange(12.0) - 6
        return {
            a: Scores(np.abs(rows), np.tile(rows, (c.meaning.max() + 1, 1)), 0.0, 1)
            for a, c in asked.items()
        }

    crops = len(next(iter(concepts.values())).crops)
    whole = {a: type(c)(np.arange(crops), c.phi, c.meaning, c.vectors) for a, c in concepts.items()}
    phi = np.random.default_rng(0).random((crops, 200))
    found = select_cores("contrast", score, whole, phi, 3, steps=16)
    assert calls == [16]
    assert all(set(core.importance) == {11, 10, 9} for core in found.values())


def test_each_rule_asks_for_no_more_than_it_needs(parts):
    asked = []

    def score(concepts, *, steps, method=None):
        asked.append((steps, sum(len(c.crops) for c in concepts.values()), method is not None))
        return score_of(parts)(concepts, steps=steps, method=method)

    phi = parts.activations["parts"]
    pairs = sum(len(c.crops) for c in parts.concepts.values())
    for rule, calls in {"published": 1, "signed": 1, "contrast": 2, "stepwise": 4}.items():
        asked.clear()
        select_cores(rule, score, parts.concepts, phi, 6, steps=16)
        assert len(asked) == calls
        assert asked[0] == (16, pairs, False)
        assert all(points == POINTS and count <= pairs for points, count, _ in asked[1:])
        assert [zeroed for *_, zeroed in asked[2:]] == [True] * (calls - 2)


def test_more_core_neurons_than_there_are_gives_all_that_act(parts):
    score = score_of(parts)(parts.concepts, steps=16)
    for rule in ("published", "stepwise"):
        for a, core in select(parts, rule, 500).items():
            acting = set(np.flatnonzero(score[a].importance).tolist())
            assert acting <= set(core.importance)
            assert rule != "published" or acting == set(core.importance)
            assert len(core.importance) < parts.segment.lower.neurons, "else no neuron is dead"


def test_make_core_orders_by_importance():
    scores = Scores(np.array([1.0, 3.0, 2.0]), np.array([[1.0, -3.0, 2.0]]), 0.0, 4)
    core = make_core(scores, np.array([0, 1]))
    assert list(core.importance) == [1, 0]
    assert core.weights[0] == {1: -0.75, 0: 0.25}
