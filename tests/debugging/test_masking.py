"""Masking through the cut equals masking with a hook on the full network, and changes nothing."""

import copy
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neurflow import Model, audit, debug, load_images
from neurflow.debugging.masking import Mask, Masker, mask_of, matched_neurons, matched_sets
from neurflow.debugging.what_if import _effect
from neurflow.errors import ImagesError, LayerError, ModelError, RequestError
from neurflow.model.cut.hooked import HookedNetwork
from neurflow.model.outputs import Outputs
from neurflow.refs import Target
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Silent
from tests.debugging.conftest import CLASSES, labelled, pictures
from tests.networks import Awkward, SmallNet, settle, tiny_vit
from tests.reference.debugging import masked_logits

NETWORKS = {
    "one layer": (SmallNet, 32, ["block2"]),
    "skip over the layer": (Awkward, 8, ["second"]),
    "tokens": (tiny_vit, 32, ["encoder.layers.encoder_layer_0"]),
    "several layers": (SmallNet, 32, ["block3", "block1"]),
    "a skip between layers": (Awkward, 8, ["second", "first"]),
    "tokens twice": (tiny_vit, 32, [f"encoder.layers.encoder_layer_{i}" for i in (0, 1)]),
}


@cache
def cut_model(network, hooked):
    """A network of ``NETWORKS``, exported once for all tests, or cut by hooks."""
    make, side, _ = NETWORKS[network]
    torch.manual_seed(1)
    model = Model(settle(make()), transform=lambda _: torch.zeros(3, side, side))
    if hooked:
        example = torch.randn(2, 3, side, side)
        model.__dict__["network"] = HookedNetwork(model.module, example, "asked for")
    return model


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("ablation", "keep"), [("zero", False), ("mean", False), (0.5, False), ("zero", True)]
)
def test_masking_through_the_cut_equals_masking_by_hooks(network, ablation, keep, hooked):
    _, side, names = NETWORKS[network]
    model = cut_model(network, hooked)
    images = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    masker = Masker(model, names)
    neurons = {name: [place, 2] for place, name in enumerate(names)}
    means = {layer.name: tuple(np.linspace(-1, 1, layer.neurons)) for layer in masker.layers}
    mask = mask_of(masker.layers, neurons, ablation, keep=keep, means=means)

    def change_in(layer):
        def change(neuron, part):
            if (neuron in neurons[layer.name]) == keep:
                return part
            to_mean = torch.full_like(part, means[layer.name][neuron])
            return {"zero": part * 0, "mean": to_mean}.get(ablation, part * 0.5)

        return layer.axis, change

    with torch.no_grad():
        untouched = model.module(images)
    before, (after,), _ = masker.run(images, [mask])
    expected = masked_logits(model, images, {x.name: change_in(x) for x in masker.layers})
    assert before == pytest.approx(untouched.numpy(), rel=1e-4, abs=1e-5)
    assert after == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-5)
    assert not np.allclose(before, after)


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_masks_run_in_one_batch_give_the_same_results(network, hooked):
    _, side, names = NETWORKS[network]
    model = cut_model(network, hooked)
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(2))
    masker = Masker(model, names)
    masks = [mask_of(masker.layers, {names[0]: [i]}) for i in range(3)]
    before, alone, _ = masker.run(image, masks)
    seen, runs = masker.observe(image), []
    segment = masker.segment
    run = segment.run
    masker.segment = SimpleNamespace(run=lambda *given: runs.append(len(given[0])) or run(*given))
    together = masker.together(seen, masks, Batch(2, Silent()))
    assert seen.before == pytest.approx(before, abs=1e-6)
    assert together == pytest.approx(np.concatenate(alone), rel=1e-4, abs=1e-5)
    assert runs == ([2, 1] if len(names) == 1 else [1] * 3)
    assert np.ptp(together, axis=0).max() > 1e-3


def test_the_network_is_not_changed(model, circuit, studied, common):
    with torch.no_grad():
        before = model.module(studied)
    digest = model.info.digest
    hooks = sum(len(part._forward_hooks) for part in model.module.modules())
    low, high = (circuit.layer(name).groups[0].id for name in ("block1", "block3"))
    data = load_images(labelled(model, studied), model)
    debug(circuit, model, data, mask=[low], errors=True, draws=2)
    debug(circuit, model, data, keep=[low, high], ablation="mean", draws=2)
    audit(circuit, model, data)
    with torch.no_grad():
        after = model.module(studied)
    assert torch.equal(before, after)
    assert Model(model.module).info.digest == digest
    assert sum(len(part._forward_hooks) for part in model.module.modules()) == hooks


def test_random_sets_have_equal_size_matched_activation_and_other_neurons():
    phi = np.arange(40, dtype=float)
    sets = matched_neurons(phi, [10, 20, 30], 50, seed=3, pool=4)
    assert len(sets) == 50
    for drawn in sets:
        assert len(set(drawn)) == 3
        assert not {10, 20, 30} & set(drawn)
        assert np.abs(np.array(drawn) - [10, 20, 30]).max() <= 4
    assert len({tuple(drawn) for drawn in sets}) > 10
    assert sets == matched_neurons(phi, [10, 20, 30], 50, seed=3, pool=4)
    assert matched_neurons(phi[:5], [0, 1, 2], 5, seed=0) == []


def test_random_neurons_are_drawn_in_every_layer():
    phi = {"low": np.arange(20.0), "high": np.arange(30.0)}
    sets = matched_sets(phi, {"low": [3], "high": [4, 20]}, 6, seed=0)
    assert [(len(drawn["low"]), len(drawn["high"])) for drawn in sets] == [(1, 2)] * 6
    assert all(drawn["low"] != [3] and not {4, 20} & set(drawn["high"]) for drawn in sets)
    assert matched_sets({**phi, "low": phi["low"][:1]}, {"low": [0], "high": [4]}, 6, seed=0) == []


def test_groups_of_several_layers_can_be_masked(model, circuit):
    image = pictures(1, seed=5)[0]
    groups = [circuit.layer(name).groups[0] for name in ("block3", "block1")]
    found = debug(circuit, model, image, mask=[g.id for g in groups], draws=3).what_if
    changes = {g.id.layer: (1, lambda n, part, g=g: part * (n not in g.neurons)) for g in groups}
    masked = masked_logits(model, image[None], changes)[0]
    assert found.effects[0].target_after == pytest.approx(
        float(masked[circuit.target.neuron]), rel=1e-4
    )
    assert list(found.change.neurons) == ["block1", "block3"]
    assert found.draws == 3


def test_what_if_equals_a_hook(model, circuit):
    image = pictures(1, seed=5)[0]
    group = circuit.layer("block2").groups[0]
    found = debug(circuit, model, image, mask=[group.id], draws=5).what_if
    (effect,) = found.effects
    target = circuit.target.neuron
    masked = masked_logits(
        model, image[None], {"block2": (1, lambda n, part: part * (n not in group.neurons))}
    )[0]
    assert effect.target_after == pytest.approx(float(masked[target]), rel=1e-4)
    assert effect.after[0].index == int(masked.argmax())
    assert effect.random.low <= effect.random.value <= effect.random.high
    assert found.draws == 5
    assert [c.after - c.before for c in found.crops] == sorted(
        c.after - c.before for c in found.crops
    )
    assert found.overall is None


def test_classes_are_reported_before_and_after_masking():
    """Twelve classes: the target is first before and last after, and a class of neither is left out."""
    names = [f"c{i}" for i in range(12)]
    model = SimpleNamespace(class_names=names, probabilities=Outputs().probabilities)
    before = np.arange(12, 0, -1.0)  # best first: 0, 1, 2, 3, 4
    after = np.array([-9.0, 0, 0.5, 1, 2, 3, 4, 10, 11, 12, 13, 14])  # 11, 10, 9, 8, 7
    target = Target(layer="head", neuron=0, minus=5, name="c0-c5")
    effect = _effect(model, target, "x", None, before, [after])
    assert [p.index for p in effect.before] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert [p.index for p in effect.after] == [11, 10, 9, 8, 7, 5, 4, 3, 2, 1, 0]
    assert {p.index: p.logit for p in effect.after}[0] == -9
    assert (effect.target_before, effect.target_after) == (12 - 7, -9 - 3)


def test_accuracy_of_a_set_of_pictures(model, circuit, studied):
    data = labelled(model, studied)
    group = circuit.layer("block3").groups[0]
    found = debug(circuit, model, data, keep=[group.id], draws=4).what_if
    images, labels = torch.stack([x for x, _ in data]), torch.tensor([y for _, y in data])
    masked = masked_logits(
        model, images, {"block3": (1, lambda n, part: part * (n in group.neurons))}
    ).argmax(1)
    with torch.no_grad():
        before = model.module(images).argmax(1)
    overall = found.overall
    assert overall.accuracy_before == pytest.approx((before == labels).double().mean().item())
    assert overall.accuracy_after == pytest.approx((masked == labels).double().mean().item())
    assert len(overall.flips) == int((masked != before).sum())
    assert [e.change for e in found.falls] == sorted(e.change for e in found.effects)


def test_errors_for_wrong_requests_name_the_problem(model, circuit):
    image = pictures(1)[0]
    below = circuit.layer("block2").groups[0].id
    cases = [
        ({"mask": ["block2/99"]}, RequestError, "no group 'block2/99'"),
        ({"mask": ["head/0"]}, RequestError, "is the target itself"),
        ({"mask": [below], "keep": [below]}, RequestError, "not both"),
        ({"mask": [below], "ablation": "half"}, RequestError, "zero, mean or a factor"),
        ({"errors": True}, ImagesError, "--label CLASS"),
    ]
    for options, error, words in cases:
        with pytest.raises(error, match=words):
            debug(circuit, model, image, **options)
    with pytest.raises(LayerError):
        Masker(model, ["head"])
    with pytest.raises(LayerError, match="Only block2 can be masked here, not 'block3'"):
        Masker(model, ["block2"]).run(image[None], [Mask({"block3": [0]})])
    images = pictures(2)
    for network in (model.network, HookedNetwork(model.module, images, "asked for")):
        segment = network.segment("block2", "head")
        x, *bypass = network.observe([network.key("block2"), *segment.bypass])(images)
        for outside in ("block1", "block2"):
            with pytest.raises(LayerError, match="is not between"):
                segment.run(x, bypass, {outside: torch.relu})


def test_another_model_is_refused(circuit):
    other = Model(settle(SmallNet(), seed=7), transform=lambda _: torch.zeros(3, 32, 32))
    with pytest.raises(ModelError, match="found in another model"):
        debug(circuit, other, pictures(1)[0])


@pytest.mark.parametrize("change", ["transform", "forward pass", "none"])
def test_a_model_of_the_same_weights_with_other_outputs_is_refused(circuit, model, change):
    module = copy.deepcopy(model.module)
    if change == "forward pass":
        module.register_forward_hook(lambda module, args, output: output.flip(1))
    scale = 0.5 if change == "transform" else 1.0
    other = Model(
        module, transform=lambda picture: scale * model.transform(picture), class_names=CLASSES
    )
    if change == "none":
        assert debug(circuit, other, pictures(1)).pictures
        return
    with pytest.raises(
        ModelError, match="has the weights of this circuit, but gives other outputs"
    ):
        debug(circuit, other, pictures(1))
