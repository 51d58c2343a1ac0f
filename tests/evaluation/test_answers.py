"""Fidelity, completeness, overlap and faithfulness, compared with hooks on the whole network."""

import numpy as np
import pytest
import torch

from neurflow.errors import ImagesError, RequestError
from neurflow.evaluation.class_pictures import ClassPictures, circuit_at, drawn_like
from neurflow.evaluation.contribution_order import (
    KEPT_SHARES,
    first_share,
    ordered,
    scores,
    through,
)
from neurflow.evaluation.faithfulness import FaithfulnessRow, faithfulness, rankings
from neurflow.evaluation.fidelity import completeness, f1, fidelity, overlap_of_methods
from tests.debugging.conftest import labelled, pictures
from tests.reference import evaluation as reference


def others(neurons, count):
    return [s for s in range(count) if s not in neurons]


@pytest.mark.parametrize("scope", [["block3"], ["block3", "block2"]])
@pytest.mark.parametrize("keep", [False, True])
def test_accuracies_equal_those_with_hooks(lab, model, circuit, studied, scope, keep):
    neurons = {name: circuit_at(lab, 2)[name] for name in scope}
    changes = {
        name: reference.zeroed(
            others(neurons[name], model.layer(name).neurons) if keep else neurons[name]
        )
        for name in scope
    }
    known = reference.answers(model, studied, circuit.target.neuron, changes)
    plain = reference.answers(model, studied, circuit.target.neuron, {})
    right, logit = ClassPictures(lab).predictions([neurons], "zero", keep=keep)
    assert right[1].tolist() == known
    assert right[0].tolist() == plain
    assert logit.shape == (2, len(studied))


def test_mean_and_resample_ablation_equal_hooks(lab, model, circuit, studied):
    subjects = ClassPictures(lab)
    means = lab.own.means("block3")
    neurons = {"block3": [0, 3]}

    def to_mean(output):
        for s in (0, 3):
            output[:, s] = means[s]
        return output

    _, logit = subjects.predictions([neurons], "mean")
    handle = model.module.block3.register_forward_hook(lambda _, __, o: to_mean(o.clone()))
    with torch.no_grad():
        known = model.module(studied)[:, circuit.target.neuron]
    handle.remove()
    assert logit[1] == pytest.approx(known.numpy(), rel=1e-4, abs=1e-5)

    _, logit = subjects.predictions([neurons], "resample")
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
    core = circuit_at(lab, 4)["block3"]
    known = reference.answers(
        model, studied, circuit.target.neuron, {"block3": reference.zeroed(core)}
    )
    row = found["block3", "single", "masking", 4, "zero"]
    assert row.core.value == pytest.approx(np.mean(known))
    assert row.kept == pytest.approx(len(core) / 16)
    assert any("--held-out" in note for note in table.notes)


def test_a_smaller_tau_gives_a_subset_of_the_circuit(lab, circuit):
    top = circuit.layers[-1].neurons[circuit.target.neuron]
    small, large = circuit_at(lab, 2), circuit_at(lab, 4)
    assert small["block3"] == sorted(list(top.importance)[:2])
    for name, neurons in small.items():
        assert set(neurons) <= set(large[name]) == set(circuit.layer(name).neurons)
    with pytest.raises(RequestError, match="--tau 9"):
        circuit_at(lab, 9)


def test_random_sets_are_of_equal_size():
    drawn = drawn_like({"a": [1, 2], "b": [0]}, {"a": 5, "b": 3}, 4, 0)
    assert len(drawn) == 4
    assert all(len(set(each["a"])) == 2 and len(each["b"]) == 1 for each in drawn)
    assert drawn == drawn_like({"a": [1, 2], "b": [0]}, {"a": 5, "b": 3}, 4, 0)


def test_completeness_compares_equal_numbers_of_neurons(lab, model, circuit, studied):
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
    count = len(circuit_at(lab, 4)["block3"])
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


def test_overlap_of_methods(lab, circuit):
    table = overlap_of_methods(lab)
    assert {r.pair for r in table.rows} == {
        "NeurFlow – NeuronMCT",
        "NeurFlow – NeuCEPT",
        "NeuronMCT – NeuCEPT",
    }
    scores = lab.scoring.scores_of_target("neuron_mct", "block3", circuit.config)
    ours = sorted(circuit.layer("block3").neurons)
    mct = sorted(range(16), key=lambda s: (-scores[s], s))[: len(ours)]
    row = next(r for r in table.rows if (r.layer, r.pair) == ("block3", "NeurFlow – NeuronMCT"))
    assert row.f1 == pytest.approx(len(set(ours) & set(mct)) / len(ours))
    assert (row.neurons, row.chance) == (len(ours), len(ours) / 16)
    assert len({r.f1 for r in table.rows}) > 2
    assert f1([1, 2, 3], [2, 3, 4, 5]) == pytest.approx(4 / 7)


def test_attribution_through_kept_neurons_equals_hooks(lab, model, circuit, crops):
    """Integrated gradients by hooks on the whole network, with other neurons above set to zero."""
    kept = {"block3": [0, 2, 5, 7, 11]}
    (numbers,), _ = lab.own.top("head", [circuit.target.neuron], circuit.config.k)
    change = reference.zeroed(others(kept["block3"], 16))
    known = [
        reference.given(model, crops[n], "block2", circuit.target.neuron, {"block3": change})
        for n in sorted(numbers)
    ]
    found = through(lab, "block2", kept)
    assert found == pytest.approx(np.array(known), rel=1e-3, abs=1e-5)
    plain = through(lab, "block2", {})
    assert not np.allclose(found, plain, rtol=0.05)

    order = {"block3": list(range(16))}
    each = np.stack([through(lab, "block2", first_share(order, share)) for share in KEPT_SHARES])
    assert scores(lab, "block2", order, signed=True) == pytest.approx(each.mean((0, 1)))
    assert scores(lab, "block2", order, signed=False) == pytest.approx(np.abs(each).mean((0, 1)))
    assert scores(lab, "block2", {}, signed=True) == pytest.approx(plain.mean(0))


def test_neurons_of_the_circuit_are_first_and_suppressing_ones_last():
    given = np.array([0.5, -2.0, 3.0, 9.0, 1.0, -1.0])
    assert ordered(given, [0, 1, 2, 5]) == [2, 0, 3, 4, 5, 1]
    assert ordered(np.abs(given), [0, 1, 2, 5]) == [2, 1, 5, 0, 3, 4]


def test_faithfulness(lab, model, circuit, studied):
    order = rankings(lab)
    assert all(sorted(order[name]["block3"]) == list(range(16)) for name in order), (
        "an order is of all neurons"
    )
    first = order["NeurFlow, absolute"]["block3"][: len(circuit.layer("block3").neurons)]
    assert set(first) == set(circuit.layer("block3").neurons)
    assert first_share({"a": [3, 1, 2]}, 0.4) == {"a": [3, 1]}
    table = faithfulness(lab)
    row = next(r for r in table.rows if (r.order, r.ablation, r.share) == ("NeurFlow", "zero", 0.5))
    kept = first_share(order["NeurFlow"], 0.5)

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
    curve = {
        r.share: r.faithfulness.value
        for r in table.rows
        if (r.order, r.ablation) == ("NeurFlow", "zero")
    }
    assert list(curve) == [0.2, 0.5, 1.0]
    a, b, c = curve.values()
    assert row.area.value == pytest.approx(0.2 * a / 2 + 0.3 * (a + b) / 2 + 0.5 * (b + c) / 2)
    one, two, three = (abs(1 - value) for value in (a, b, c))
    distance = 0.2 * (1 + one) / 2 + 0.3 * (one + two) / 2 + 0.5 * (two + three) / 2
    assert row.distance.value == pytest.approx(distance)
    for each in table.rows:
        assert each.area.low <= each.area.value <= each.area.high
        assert each.distance.low <= each.distance.value <= each.distance.high
    assert FaithfulnessRow.model_validate({**row.model_dump(), "area": 0.5}).area == (0.5,) * 3
    assert any(
        note.startswith("CPR of NeurFlow minus that of NeuronMCT, signed") for note in table.notes
    )
    full = [r for r in table.rows if r.share == 1]
    assert [r.faithfulness.value for r in full] == pytest.approx([1] * len(full), rel=1e-4)


def test_held_out_pictures_of_the_class_are_used(lab_of, model, circuit):
    fresh = pictures(8, seed=5)
    lab = lab_of(held_out=labelled(model, fresh))
    of_class = [i for i, (_, c) in enumerate(labelled(model, fresh)) if c == circuit.target.neuron]
    assert of_class, "the test has pictures of the class"
    subjects = ClassPictures(lab)
    assert len(subjects) == len(of_class)
    known = reference.answers(model, fresh[of_class], circuit.target.neuron, {})
    right, _ = subjects.predictions([{"block3": []}], "zero")
    assert right[0].tolist() == known


def test_held_out_pictures_of_other_classes_are_refused(lab_of, circuit):
    other = (circuit.target.neuron + 1) % 4
    lab = lab_of(held_out=[(picture, other) for picture in pictures(3, seed=5)])
    with pytest.raises(ImagesError, match="No held-out picture is labelled"):
        ClassPictures(lab)
