"""Stability, significance, crop sizes, score error."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from neurflow import discover, load_images
from neurflow.circuit import Neuron, SemanticGroup
from neurflow.errors import RequestError
from neurflow.evaluation.crop_sizes import available, crop_sizes
from neurflow.evaluation.integration import IntegrationRow, errors, integration
from neurflow.evaluation.meanings import agreement, meanings
from neurflow.evaluation.rediscovery import as_found, rediscover
from neurflow.evaluation.significance import (
    Memberships,
    contributions,
    memberships,
    p_values,
    significance,
)
from neurflow.evaluation.stability import compare, match, stability
from neurflow.evaluation.statistics import mean_interval
from neurflow.refs import Crop
from neurflow.stats import Interval, adjusted_rand, jaccard
from tests.evaluation.conftest import CONFIG, SMALL
from tests.reference import evaluation as reference
from tests.reference.method import integrated_gradients


def test_the_same_crops_give_the_same_circuit(lab, circuit):
    bench = lab.own
    again = rediscover(bench, np.arange(len(bench)), circuit.config)
    found = compare(as_found(circuit, bench.crops), again, lab.names)
    for name, values in found["layers"].items():
        assert values["neurons"] == values["groups"] == 1, name
        assert values["core"] in (1, None) and values["edges"] in (None, pytest.approx(1))
    assert set(found["groups"].values()) == {1.0}
    assert all(same for *_, same in found["edges"])


def test_a_subset_of_images_gives_the_circuit_of_that_subset(lab, model, studied, circuit):
    chosen = [1, 3, 4, 6, 8, 9]
    known = discover(model, load_images(studied[chosen], model), circuit.target, config=CONFIG)
    numbers = np.concatenate([lab.own.crops.of_image(i) for i in chosen])
    found = rediscover(lab.own, numbers, circuit.config)
    for layer in known.layers:
        assert {a: n.core_neurons for a, n in layer.neurons.items()} == (
            {a: tuple(s) for a, s in found.cores[layer.name].items()}
            or dict.fromkeys(layer.neurons, ())
        )
        assert [tuple(g.members) for g in layer.groups] == [
            tuple(g) for g in found.groups[layer.name].values()
        ]
    edges = {(e.upper, e.lower): e.weight for e in known.edges}
    assert edges == pytest.approx(found.edges, rel=1e-3, abs=1e-6)


def test_stability_of_every_group_and_edge(lab, circuit):
    table = stability(lab)
    assert {r.images for r in table.rows} == {"resamples", "halves"}
    top = next(r for r in table.rows if (r.layer, r.images) == ("head", "resamples"))
    assert top.neurons.value == 1 and 0 < top.core.value <= 1
    for row in table.rows:  # halves have no common crops to compare groups
        assert (row.groups is None) == (row.images == "halves")
    assert table.robustness.groups.keys() == {g.id for lay in circuit.layers for g in lay.groups}
    assert len(table.robustness.edges) == len(circuit.edges)


def test_one_image_cannot_be_resampled(lab_of, circuit):
    alone = circuit.model_copy(update={"images": circuit.images[:1]})
    with pytest.raises(RequestError, match="two images"):
        stability(lab_of(alone))


def test_too_few_crops_for_halves_are_reported(lab_of, model, studied):
    few = discover(model, load_images(studied[:2], model), 0, config=CONFIG.model_copy(
        update={"k": 15}
    ))  # fmt: skip
    table = stability(lab_of(few, studied[:2]))
    assert "k=15 is more than the 10 crops" in table.notes[0]
    assert {r.images for r in table.rows} == {"resamples"}


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_rand_index(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 3, 20).tolist(), rng.integers(0, 4, 20).tolist()
    assert adjusted_rand(one, other) == pytest.approx(adjusted_rand_score(one, other))
    assert adjusted_rand(one, other) == pytest.approx(reference.rand_index(one, other))
    assert adjusted_rand([0, 0], [1, 1]) == 1


def test_groups_are_matched_by_their_neurons():
    groups = {"l/4": [(1, 0), (2, 0)], "l/9": [(3, 0), (3, 1)]}
    others = {"l/0": [(3, 0)], "l/1": [(1, 1), (2, 0), (5, 0)]}
    assert match(groups, others) == {"l/4": ("l/1", pytest.approx(2 / 3)), "l/9": ("l/0", 1.0)}
    assert jaccard([], []) == 1


@pytest.mark.parametrize("sharing", ["conserving", "published"])
def test_weights_of_pairs_sum_to_the_edges(model, studied, circuit, sharing):
    config = CONFIG.model_copy(update={"sharing": sharing})
    known = discover(model, load_images(studied, model), circuit.target, config=config)
    for lower, upper in itertools.pairwise(known.layers):
        given = contributions(known, upper, lower)
        weights = given @ memberships(known, lower).matrix()
        for edge in known.edges:
            if edge.upper.layer == upper.name:
                g, h = edge.upper.number, edge.lower.number
                assert weights[g, h] == pytest.approx(edge.weight, rel=1e-4, abs=1e-7)


def test_p_values_are_shares_of_random_assignments():
    given = np.array([[4.0, 3.0, 0.1, -0.2]])
    members = Memberships(np.array([0, 0, 1, 1]), np.arange(4), 4)
    found = p_values(given, members, 4000, 0)
    deals = [set(pair) for pair in itertools.combinations(range(4), 2)]
    as_large = [abs(sum(given[0, list(d)])) >= 7 - 1e-9 for d in deals]
    assert found[0, 0] == pytest.approx(np.mean(as_large), abs=0.03)
    assert found[0, 1] == pytest.approx(1, abs=0.01)
    assert (p_values(given, members, 9, 0) >= 0.1).all(), "never zero"


def test_significance_of_every_edge(lab, circuit):
    table = significance(lab)
    assert [(e.upper, e.lower) for e in table.robustness.edges] == [
        (e.upper, e.lower) for e in circuit.edges
    ]
    assert all(0 < e.significance <= 1 for e in table.robustness.edges)
    for row in table.rows:
        own = [e.significance for e in table.robustness.edges if e.upper.layer == row.layer]
        assert row.significant == pytest.approx(np.mean([p < 0.05 for p in own]))
        assert row.discovered <= row.significant


def test_crop_sizes(lab, circuit):
    rows = {(r.layer, r.granularity): r for r in crop_sizes(lab).rows}
    for layer in circuit.layers:
        crops = [crop for neuron in layer.neurons.values() for crop in neuron.crops]
        small = sum(crop.box[2] - crop.box[0] == 16 for crop in crops) / len(crops)
        assert rows[layer.name, "0.5"].share.value == pytest.approx(small)
        assert rows[layer.name, "1"].share.value == pytest.approx(1 - small)
    assert available(circuit) == pytest.approx([1 / 10, 9 / 10])


def test_meanings_by_crop_size_or_image_are_detected(lab, circuit):
    layer = circuit.layer("block3")
    crops = [Crop(i // 2, (0, 0, 16 * (1 + i % 2), 16 * (1 + i % 2))) for i in range(8)]

    def divided(*parts):
        groups = tuple(
            SemanticGroup(crops=part, weights={}, concept_vector=np.zeros(1)) for part in parts
        )
        return Neuron(index=0, crops=tuple(crops), activations=(1.0,) * 8, semantic_groups=groups)

    by_size, by_image = divided((0, 2, 4, 6), (1, 3, 5, 7)), divided((0, 1, 2, 3), (4, 5, 6, 7))
    assert agreement(by_size)[0] == pytest.approx(1)
    assert agreement(by_size)[1] < 0.1
    assert agreement(by_image)[0] < 0.1
    assert agreement(by_image)[1] > 0.4
    neurons = {0: by_size, 1: divided(tuple(range(8)))}
    lab = replace(
        lab,
        circuit=circuit.model_copy(
            update={"layers": (layer.model_copy(update={"neurons": neurons}),)}
        ),
    )
    (row,) = meanings(lab).rows
    assert (row.several, row.meanings) == (0.5, 1.5)
    assert row.size.value == pytest.approx(1)
    assert row.one_image.value == 0.25


def test_score_error_against_many_points(lab, model, circuit, crops):
    """Compared with plain autograd on the block, on the crops of the table."""
    table = integration(lab)
    rows = {(r.layer, r.steps): r for r in table.rows}
    used = rows["block3", "as used"]
    stored = circuit.layer("block3").neurons
    assert used.stated == max(stored[a].score_error for a in lab.sampled("block3"))
    a = lab.sampled("block3")[0]
    kept = []
    handle = model.module.block2.register_forward_hook(lambda _, __, o: kept.append(o))
    with torch.no_grad():
        model.module(crops)
    handle.remove()

    def phi(x):
        return model.module.block3(x[None])[0, a].mean()

    def importance(steps):
        chosen = stored[a].crops[:: -(-len(stored[a].crops) // 5)]
        maps = [kept[0][lab.own.crops.number(crop)] for crop in chosen]
        return sum(integrated_gradients(phi, x, steps).sum((1, 2)).abs() for x in maps)

    limit = importance(400)
    error = float((importance(4) - limit).abs().sum() / limit.sum())
    assert errors(lab, "block3", {a: ("gauss", 4)}) == [pytest.approx(error, rel=1e-2)]
    assert rows["block3", "50"].error.value < rows["block3", "4"].error.value


def test_an_interval_contains_its_mean():
    values = np.random.default_rng(0).normal(3, 1, 40)
    interval = mean_interval(values, SMALL)
    assert interval.value == pytest.approx(values.mean())
    assert interval.low < interval.value < interval.high
    wide = mean_interval(values, SMALL, level=0.99)
    assert wide.low <= interval.low and wide.high >= interval.high
    half = 1.96 * values.std() / np.sqrt(40)
    many = SMALL.model_copy(update={"bootstrap": 4000})
    assert mean_interval(values, many).low == pytest.approx(values.mean() - half, abs=0.05)
    assert mean_interval([2.0], SMALL) == (2, 2, 2)


def test_stored_tables_may_have_the_former_names_of_columns():
    one = Interval(0, 0, 0)
    row = IntegrationRow.model_validate(
        {"layer": "a", "steps": "8", "neurons": 1, "error": one, "worst": 0, "told": 0.2}
    )
    assert row.stated == 0.2
    with pytest.warns(DeprecationWarning, match="'stated'"):
        assert row.told == 0.2
