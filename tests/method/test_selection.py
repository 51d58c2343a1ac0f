"""The rules that choose core neurons, compared with slow definitions and with ablation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neurflow import planted
from neurflow.attribution import Scores, attribute
from neurflow.errors import RequestError
from neurflow.method import core_neurons
from neurflow.method.core_neurons import make_core, select_cores
from neurflow.method.core_rules import POINTS, Contrast, contrast_crops
from tests.guide import example
from tests.reference import selection as slow


@pytest.fixture(scope="module")
def study():
    with planted.study(planted.build(3, 3, traits=("veto",), each=14)) as found:
        yield found


def select(task, rule, tau, seed=0):
    config = task.config.model_copy(update={"steps": 16, "seed": seed})
    taus = tau if isinstance(tau, dict) else dict.fromkeys(task.concepts, tau)
    return select_cores(replace(task, config=config), rule, taus)


@pytest.fixture
def asked(monkeypatch):
    """Calls of ``attribute``: (N, pairs, whether another measure is used)."""
    calls = []

    def counting(task, *, steps=None, measure=None, **options):
        pairs = sum(len(concept.crops) for concept in task.concepts.values())
        calls.append((steps or task.config.steps, pairs, measure is not None))
        return attribute(task, steps=steps, measure=measure, **options)

    monkeypatch.setattr("neurflow.method.core_neurons.attribute", counting)
    return calls


@pytest.fixture(scope="module")
def parts(study):
    """The task of the parts, which are driven by a colour and a pattern and inhibited by a veto."""
    return study.tasks[-1]


def x_of(task, crops):
    """Detectors' output on crops."""
    keys = [task.model.node(task.segment.lower.name)]
    with torch.no_grad():
        pixels = torch.cat([task.activations.crops.pixels([n]) for n in crops])
        return task.model.outputs(keys)(pixels)[0]


def block_of(task):
    return getattr(task.model.module, task.segment.upper.name)


@pytest.mark.parametrize("rule", ["published", "signed", "contrast", "stepwise"])
def test_rules_equal_their_slow_definitions(parts, rule):
    tau, phi = 4, np.asarray(parts.activations["parts"])
    found = select(parts, rule, tau)
    others = contrast_crops(parts.concepts, phi)
    for a, concept in list(parts.concepts.items())[:1]:
        own, other = (x_of(parts, crops) for crops in (concept.crops, others[a]))
        expected = slow.select(rule, block_of(parts), a, own, other, tau)
        assert set(found[a].importance) == set(expected)


def test_weights_do_not_depend_on_the_rule(parts):
    published, contrast = (select(parts, rule, 48) for rule in ("published", "contrast"))
    for a in parts.concepts:
        assert published[a].importance.keys() == contrast[a].importance.keys()
        assert list(contrast[a].importance.values()) == sorted(
            contrast[a].importance.values(), reverse=True
        )
        for one, other in zip(published[a].weights, contrast[a].weights, strict=True):
            assert one == pytest.approx(other)


@pytest.mark.parametrize("rule", ["published", "signed", "contrast", "stepwise"])
def test_rules_find_driving_neurons_but_no_full_veto(study, parts, rule):
    """A unit that a veto silences along the whole path has no gradient anywhere."""
    truth = {a: study.planted.circuit["parts"][a] for a in parts.concepts}
    vetoes = {
        a: {s for part in neuron.weights for s, weight in part.items() if weight < 0}
        for a, neuron in truth.items()
    }
    found = select(parts, rule, {a: len(truth[a].core - vetoes[a]) for a in truth})
    for a, neuron in truth.items():
        assert vetoes[a]
        assert set(found[a].importance) == neuron.core - vetoes[a]


def test_contrast_crops_are_of_near_and_of_random_ranks(parts):
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


def test_contrast_without_other_crops_equals_signed(parts, asked):
    crops = np.arange(len(parts.activations["parts"]))
    whole = {a: Contrast(crops, np.zeros(len(crops), dtype=int)) for a in list(parts.concepts)[:2]}
    task = replace(parts, concepts=whole)
    contrast = select(task, "contrast", 3)
    assert asked == [(16, 2 * len(crops), False)]
    signed = select(task, "signed", 3)
    assert {a: list(c.importance) for a, c in contrast.items()} == {
        a: list(c.importance) for a, c in signed.items()
    }


def test_rules_compute_only_the_scores_that_they_need(parts, asked):
    pairs = sum(len(c.crops) for c in parts.concepts.values())
    for rule, calls in {"published": 1, "signed": 1, "contrast": 2, "stepwise": 4}.items():
        asked.clear()
        select(parts, rule, 6)
        assert len(asked) == calls
        assert asked[0] == (16, pairs, False)
        assert all(points == POINTS and count <= pairs for points, count, _ in asked[1:])
        assert [other for *_, other in asked[1:]] == [True] * (calls - 1)


def test_the_rule_of_the_guide(parts):
    exec(example("A core-neuron rule").partition("neurflow.discover(")[0], {"__name__": "guide"})

    found, scores = select(parts, "net", 3), attribute(parts, steps=16)
    for a, core in found.items():
        sizes = np.bincount(parts.concepts[a].meaning)
        mean = np.abs(np.average(scores[a].signed, axis=0, weights=sizes))
        assert set(core.importance) == set(np.argsort(-mean, kind="stable")[:3].tolist())
    with pytest.raises(RequestError, match=r"no core-neuron rule 'nett'\. Near names: net"):
        select(parts, "nett", 3)


def test_a_rule_that_chooses_more_than_tau_is_refused(parts):
    @core_neurons.register("greedy")
    def greedy(choice):
        return {a: np.arange(5) for a in choice.concepts}

    with pytest.raises(RequestError, match="'greedy' must choose at most 4 neurons"):
        select(parts, "greedy", 4)


def test_a_large_tau_gives_all_neurons_with_an_effect(parts):
    score = attribute(parts, steps=16)
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
