"""Overlaps and the protocols that use them, compared with hooks on the whole network."""

import numpy as np
import pytest

from neurflow.evaluation.ablation import overlaps, shuffled_inputs
from neurflow.evaluation.effect_of_k import core_sets, effect_of_k
from neurflow.evaluation.optimality import beaten, matched_overlaps, optimality
from neurflow.evaluation.weight_norm import ig_against_weight_norm
from neurflow.evaluation.weights import (
    attribution_methods,
    correlations,
    fidelity_of_weights,
    sum_against_mean,
    trial_sets,
)
from tests.reference import evaluation as reference

UPPER, LOWER = "block3", "block2"
EACH = 10
"""number of crops of an image"""
SETS = [[0, 5], [1, 2, 7], []]


def changed(ablation, neurons, lower_means, donors):
    """The change that a hook applies to the lower layer's output."""

    def change(output):
        source = output.clone()
        for s in neurons:
            if ablation == "zero":
                output[:, s] = 0
            elif ablation == "mean":
                output[:, s] = lower_means[s]
            else:
                for crop in range(len(output)):
                    output[crop, s] = source[donors[crop], s]
        return output

    return change


def left_of(lab, model, crops, a, change):
    """The overlap of the reference implementation, with the circuit's limit of crops per image."""
    most = lab.trial.per_image
    assert most is not None and most < EACH
    return reference.overlap_left(model, crops, LOWER, UPPER, a, change, 10, EACH, most)


@pytest.mark.parametrize("ablation", ["zero", "mean", "resample"])
def test_overlap_is_that_of_a_hook_on_the_whole_network(lab, model, circuit, crops, ablation):
    found = overlaps(lab, UPPER, SETS, ablation, "tried")
    means = lab.trial.means(LOWER)
    donors = shuffled_inputs(len(crops), lab.settings.seed)
    for i, neurons in enumerate(SETS):
        change = changed(ablation, neurons, means, donors)
        for j, a in enumerate(lab.sampled(UPPER)):
            known = left_of(lab, model, crops, a, change)
            assert found[i, j] == pytest.approx(known)
    assert (found[-1] == 1).all(), "nothing ablated, nothing changed"
    assert (found[:-1] < 1).any()


def test_resample_ablation_uses_values_of_other_inputs():
    other = shuffled_inputs(7, 3)
    assert sorted(other) == list(range(7))
    assert (other != np.arange(7)).all()


def test_optimality_equals_hooks(lab, model, circuit, crops):
    row = next(
        r for r in optimality(lab).rows if (r.layer, r.tau, r.ablation) == (UPPER, 4, "zero")
    )
    left = []
    for a in lab.sampled(UPPER):
        core = circuit.layer(UPPER).neurons[a].core_neurons[:4]
        left.append(left_of(lab, model, crops, a, reference.zeroed(core)))
    assert row.core.value == pytest.approx(np.mean(left))
    assert row.core.low <= row.core.value <= row.core.high
    assert row.difference.value == pytest.approx(row.core.value - row.random.value)


def test_matched_sets_are_those_of_each_target(lab, monkeypatch):
    tried = []

    def count(lab, upper, sets, ablation, name):
        tried.extend(sets)
        return np.arange(len(sets) * 3, dtype=float).reshape(len(sets), 3)

    monkeypatch.setattr("neurflow.evaluation.optimality.overlaps", count)
    found = matched_overlaps(lab, UPPER, [[0, 1], [2, 3], [4, 5]], "zero")
    assert len(tried) == 6
    assert not set(tried[0]) & {0, 1} and not set(tried[5]) & {4, 5}
    # rows 0-1 are the first target's sets, 2-3 the second's; columns are targets
    assert found.tolist() == [[0, 7, 14], [3, 10, 17]]


def test_ties_count_half():
    core = np.array([0.5, 0.2])
    assert beaten(core, np.array([[0.4, 0.2], [0.6, 0.1]])) == (1 + 0.5 + 0 + 1) / 4


def test_weights_are_pearsons_correlation(lab, model, crops):
    sets = trial_sets(lab, UPPER, 3)
    importance = lab.importance(UPPER)
    left = overlaps(lab, UPPER, sets, "zero", "sets of 3")
    known = []
    for i, a in enumerate(lab.sampled(UPPER)):
        after = [left_of(lab, model, crops, a, reference.zeroed(s)) for s in sets]
        assert left[:, i] == pytest.approx(after)
        known.append(reference.pearson([sum(importance[i][j] for j in s) for s in sets], after))
    row = next(r for r in fidelity_of_weights(lab).rows if (r.layer, r.m) == (UPPER, 3))
    assert row.correlation.value == pytest.approx(np.mean(known))
    assert correlations(importance, sets, left) == pytest.approx(known)


def test_all_single_neurons_are_tried_by_default(lab_of):
    lab = lab_of()
    assert trial_sets(lab, UPPER, 1) == [[s] for s in range(12)]
    assert len(trial_sets(lab_of(single_neurons=5), UPPER, 1)) == 5
    assert trial_sets(lab, UPPER, 12) == []


def test_methods_are_compared_on_the_same_sets(lab):
    weights, methods = fidelity_of_weights(lab), attribution_methods(lab)
    ours = {(r.layer, r.m): r.correlation for r in weights.rows}
    found = {(r.layer, r.m): r for r in methods.rows if r.method == "integrated_gradients"}
    assert ours.keys() == found.keys()
    for key, row in found.items():
        assert row.correlation.value == pytest.approx(ours[key].value)
        assert row.seconds > 0
    assert {r.method for r in methods.rows} == {"integrated_gradients", "gradient"}


def test_sum_and_mean_use_the_same_sets(lab):
    rows = sum_against_mean(lab).rows
    found = {(r.layer, r.importance): r.correlation.value for r in rows}
    assert found[UPPER, "summed"] != found[UPPER, "averaged"]
    importance = np.array([[1.0, 2.0, 3.0]])
    left = np.array([[0.9], [0.5], [0.1]])
    sets = [[0], [0, 1], [0, 1, 2]]
    assert correlations(importance, sets, left)[0] == pytest.approx(
        reference.pearson([1, 3, 6], [0.9, 0.5, 0.1])
    )
    assert correlations(importance, sets, left, mean=True)[0] == pytest.approx(
        reference.pearson([1, 1.5, 2], [0.9, 0.5, 0.1])
    )


def test_ig_against_weight_norm(lab, model, circuit, crops):
    table = ig_against_weight_norm(lab)
    row = next(r for r in table.rows if (r.layer, r.method, r.top) == (UPPER, "weight_norm", 2))
    weight = model.module.block3[0].weight.detach()
    norms = [float((weight[:, s] ** 2).sum()) for s in range(weight.shape[1])]
    first = sorted(range(len(norms)), key=lambda s: -norms[s])[:2]
    left = [left_of(lab, model, crops, a, reference.zeroed(first)) for a in lab.sampled(UPPER)]
    assert row.overlap.value == pytest.approx(np.mean(left))


def test_effect_of_k(lab, circuit):
    for neurons, a in zip(core_sets(lab, UPPER, 10), lab.sampled(UPPER), strict=True):
        assert tuple(neurons) == circuit.layer(UPPER).neurons[a].core_neurons
    rows = {(r.layer, r.k): r for r in effect_of_k(lab).rows}
    assert rows[UPPER, 10].same.value == 4
    fewer = core_sets(lab, UPPER, 5)
    shared = [
        len(set(one) & set(other))
        for one, other in zip(fewer, core_sets(lab, UPPER, 10), strict=True)
    ]
    assert rows[UPPER, 5].same.value == pytest.approx(np.mean(shared))
