"""Fidelity, completeness, overlap of methods and faithfulness against hooks on the whole network."""

import numpy as np
import pytest
import torch

from neurflow.errors import ImagesError, RequestError
from neurflow.evaluation.faithfulness import faithfulness, kept_at, neuron_reach, rankings
from neurflow.evaluation.fidelity import completeness, f1, fidelity, overlap_of_methods
from neurflow.evaluation.subjects import Subjects, circuit_at, drawn_like
from tests.debugging.conftest import labelled, pictures
from tests.reference import evaluation as reference


def others(neurons, count):
    return [s for s in range(count) if s not in neurons]


@pytest.mark.parametrize("scope", [["block3"], ["block3", "block2"]])
@pytest.mark.parametrize("keep", [False, True])
def test_answers_are_those_of_hooks(lab, model, circuit, studied, scope, keep):
    neurons = {name: circuit_at(circuit, 2)[name] for name in scope}
    changes = {
        name: reference.zeroed(
            others(neurons[name], model.layer(name).neurons) if keep else neurons[name]
        )
        for name in scope
    }
    known = reference.answers(model, studied, circuit.target.neuron, changes)
    plain = reference.answers(model, studied, circuit.target.neuron, {})
    right, logit = Subjects(lab).answers([neurons], "zero", keep=keep)
    assert right[1].tolist() == known
    assert right[0].tolist() == plain
    assert logit.shape == (2, len(studied))


def test_mean_and_resample_put_other_values_in_place(lab, model, circuit, studied):
    subjects = Subjects(lab)
    means = lab.own.means("block3")
    neurons = {"block3": [0, 3]}

    def to_mean(output):
        for s in (0, 3):
            output[:, s] = means[s]
        return output

    _, logit = subjects.answers([neurons], "mean")
    handle = model.module.block3.register_forward_hook(lambda _, __, o: to_mean(o.clone()))
    with torch.no_grad():
        known = model.module(studied)[:, circuit.target.neuron]
    handle.remove()
    assert logit[1] == pytest.approx(known.numpy(), rel=1e-4, abs=1e-5)

    _, logit = subjects.answers([neurons], "resample")
    kept = []
    handle = model.module.block3.register_forward_hook(lambda _, __, o: kept.append(o))
    with torch.no_grad():
        model.module(subjects._donors)
    handle.remove()

    def swapped(output):
        output[:, [0, 3]] = kept[0][:, [0, 3]]
        return output

    handle = model.module.block3.register_forward_hook(lambda _, __, o: swapped(o.clone()))
    with torch.no_grad():
        known = model.module(studied)[:, circuit.target.neuron]
    handle.remove()
    assert logit[1] == pytest.approx(known.numpy(), rel=1e-4, abs=1e-5)


def test_fidelity_table(lab, model, circuit, studied):
    table = fidelity(lab)
    found = {(r.layer, r.scope, r.mode, r.tau, r.ablation): r for r in table.rows}
    assert len(found) == len(table.rows) == 5 * 2 * 2 * 3
    core = circuit_at(circuit, 4)["block3"]
    known = reference.answers(
        model, studied, circuit.target.neuron, {"block3": reference.zeroed(core)}
    )
    row = found["block3", "single", "masking", 4, "zero"]
    assert row.core.value == pytest.approx(np.mean(known))
    assert row.kept == pytest.approx(len(core) / 16)
    assert any("--held-out" in note for note in table.notes)


def test_a_smaller_circuit_is_a_part_of_the_one_found(circuit):
    top = circuit.layers[-1].neurons[circuit.target.neuron]
    small, large = circuit_at(circuit, 2), circuit_at(circuit, 4)
    assert small["block3"] == sorted(list(top.importance)[:2])
    for name, neurons in small.items():
        assert set(neurons) <= set(large[name]) == set(circuit.layer(name).neurons)
    with pytest.raises(RequestError, match="--tau 9"):
        circuit_at(circuit, 9)


def test_random_sets_are_of_equal_size():
    drawn = drawn_like({"a": [1, 2], "b": [0]}, {"a": 5, "b": 3}, 4, 0)
    assert len(drawn) == 4
    assert all(len(set(each["a"])) == 2 and len(each["b"]) == 1 for each in drawn)
    assert drawn == drawn_like({"a": [1, 2], "b": [0]}, {"a": 5, "b": 3}, 4, 0)


def test_completeness_gives_each_method_as_many(lab, model, circuit, studied):
    table = completeness(lab)
    ours = {
        (r.layer, r.scope, r.mode, r.tau): r.accuracy for r in table.rows if r.method == "NeurFlow"
    }
    plain = {
        (r.layer, r.scope, r.mode, r.tau): r.core
        for r in fidelity(lab).rows
        if r.ablation == "zero"
    }
    assert ours == plain
    scores = lab.scoring.scores_of_target("neuron_mct", "block3", circuit.config)
    count = len(circuit_at(circuit, 4)["block3"])
    mct = sorted(range(len(scores)), key=lambda s: (-scores[s], s))[:count]
    known = reference.answers(
        model, studied, circuit.target.neuron, {"block3": reference.zeroed(mct)}
    )
    row = next(
        r
        for r in table.rows
        if (r.method, r.layer, r.scope, r.mode, r.tau)
        == ("NeuronMCT", "block3", "single", "masking", 4)
    )
    assert row.accuracy.value == pytest.approx(np.mean(known))


@pytest.mark.parametrize("method", ["integrated_gradients", "input_x_gradient", "ablation"])
def test_scores_for_the_output_by_any_method(lab, circuit, method):
    """Of a layer that is not the one below the output: what a segment of its own gives."""
    lower = lab.names[0]
    found = lab.scoring.scores_of_target(method, lower, circuit.config)
    assert found.shape == (lab.model.layer(lower).neurons,)
    assert np.isfinite(found).all()
    assert found.any()


def test_overlap_of_methods(lab):
    table = overlap_of_methods(lab)
    assert {r.pair for r in table.rows} == {
        "NeurFlow – NeuronMCT",
        "NeurFlow – NeuCEPT",
        "NeuronMCT – NeuCEPT",
    }
    assert all(0 <= r.f1 <= 1 and 0 < r.chance <= 1 for r in table.rows)
    assert f1([1, 2, 3], [2, 3, 4, 5]) == pytest.approx(4 / 7)


def test_reach_is_the_sum_over_ways(circuit):
    found = neuron_reach(circuit)
    for layer in circuit.layers[:-1]:
        for s in layer.neurons:
            assert found[layer.name][s] == pytest.approx(reference.reach(circuit, layer.name, s))


def test_faithfulness(lab, model, circuit, studied):
    order = rankings(lab)
    assert all(sorted(order[name]["block3"]) == list(range(16)) for name in order), (
        "an order is of all neurons"
    )
    first = order["NeurFlow"]["block3"][: len(circuit.layer("block3").neurons)]
    assert set(first) == set(circuit.layer("block3").neurons)
    assert kept_at({"a": [3, 1, 2]}, 0.4) == {"a": [3, 1]}
    table = faithfulness(lab)
    row = next(r for r in table.rows if (r.order, r.ablation, r.share) == ("NeurFlow", "zero", 0.5))
    kept = kept_at(order["NeurFlow"], 0.5)

    def logits(changes):
        handles = [
            model.module.get_submodule(name).register_forward_hook(
                lambda _, __, o, c=change: c(o.clone())
            )
            for name, change in changes.items()
        ]
        with torch.no_grad():
            found = model.module(studied)[:, circuit.target.neuron]
        for handle in handles:
            handle.remove()
        return float(found.mean())

    def without(keep):
        return {
            name: reference.zeroed(others(keep.get(name, []), model.layer(name).neurons))
            for name in kept
        }

    whole, nothing = logits({}), logits(without({}))
    known = (logits(without(kept)) - nothing) / (whole - nothing)
    assert row.faithfulness.value == pytest.approx(known, rel=1e-4)
    full = [r for r in table.rows if r.share == 1]
    assert [r.faithfulness.value for r in full] == pytest.approx([1] * len(full), rel=1e-4)


def test_held_out_pictures_of_the_class_are_asked(lab_of, model, circuit):
    fresh = pictures(8, seed=5)
    lab = lab_of(held_out=labelled(model, fresh))
    of_class = [i for i, (_, c) in enumerate(labelled(model, fresh)) if c == circuit.target.neuron]
    assert of_class, "the test has pictures of the class"
    subjects = Subjects(lab)
    assert len(subjects) == len(of_class)
    known = reference.answers(model, fresh[of_class], circuit.target.neuron, {})
    right, _ = subjects.answers([{"block3": []}], "zero")
    assert right[0].tolist() == known


def test_held_out_pictures_of_other_classes_are_refused(lab_of, circuit):
    other = (circuit.target.neuron + 1) % 4
    lab = lab_of(held_out=[(picture, other) for picture in pictures(3, seed=5)])
    with pytest.raises(ImagesError, match="No held-out picture is labelled"):
        Subjects(lab)
