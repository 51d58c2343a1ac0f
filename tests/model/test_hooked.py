"""Modules that cannot be exported: hooks on the full forward pass give the same results."""

import itertools
import re

import pytest
import torch
from torch import nn

from neurflow import Config, Model, discover
from neurflow.attribution import integrated_gradients
from neurflow.errors import LayerError, ModelError
from neurflow.model.cut.exported import ExportedNetwork
from neurflow.model.cut.hooked import HookedNetwork
from tests.model.test_graph import model_of
from tests.networks import FAMILIES, Awkward, SmallNet, settle
from tests.studies import family


class Branching(SmallNet):
    """Has control flow that depends on values and cannot be exported; outputs do not change."""

    def forward(self, x):
        if float(x.sum()) > 1e9:
            x = x * 2
        return super().forward(x)


def both(name):
    """The same module cut on its graph and by hooks."""
    if name in FAMILIES:
        model = family(name)
        graph, module, size = model.network, model.module, model.input_size[1]
    else:
        module, size = settle(Awkward()), 8
        graph = ExportedNetwork(module, torch.zeros(2, 3, size, size))
    example = torch.zeros(2, 3, size, size)
    return graph, HookedNetwork(module, example, "for the test"), size


@pytest.mark.parametrize("name", [*FAMILIES, "awkward"])
def test_hooks_and_graph_give_the_same_results(name):
    graph, hooks, size = both(name)
    images = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    names = (
        [n for n in hooks.proposed() if n in graph.layers]
        if name != "awkward"
        else ["second", "head"]
    )
    assert len(names) >= 2
    for lower, upper in list(itertools.pairwise(names))[-3:]:
        found = []
        for network in (graph, hooks):
            segment = network.segment(lower, upper)
            keys = [network.key(lower), network.key(upper), *segment.bypass]
            with torch.no_grad():
                x, y, *bypass = network.observe(keys)(images)
                rounding = 1e-5 * float(y.abs().max())
                torch.testing.assert_close(segment.run(x, bypass), y, rtol=1e-4, atol=rounding)
            assert segment.upper.axis == graph.layers[upper].axis
            scores = integrated_gradients(segment, 1, x, bypass, steps=4)
            found.append((x, y, scores.scores, scores.change))
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(
                one.flatten(1) if one.ndim > 1 else one,
                other.flatten(1) if other.ndim > 1 else other,
                rtol=1e-3,
                atol=1e-4,
            )


def test_a_model_that_cannot_be_exported_is_explained_with_a_note():
    module = settle(Branching())
    model = model_of(module, 32)
    assert isinstance(model.network, HookedNetwork)
    assert model.network.note.startswith("Cut by hooks on the full forward pass, which is slower: ")
    assert model.network.note.endswith("branches on the values of the images.")
    assert model.proposed_layers() == ("block1", "block2", "block3", "head")
    images = torch.rand(4, 3, 32, 32)
    config = Config(tau=3, k=10, steps=3, concept_set="all")
    hooked = discover(model, images, 1, config=config)
    plain = SmallNet()
    plain.load_state_dict(module.state_dict())
    exported = discover(model_of(plain, 32), images, 1, config=config)
    assert hooked.notes[0] == model.network.note
    for one, other in zip(hooked.layers, exported.layers, strict=True):
        assert {a: n.core_neurons for a, n in one.neurons.items()} == {
            a: n.core_neurons for a, n in other.neurons.items()
        }


def test_layers_are_proposed_for_networks_without_blocks():
    class Flat(nn.Sequential):
        def forward(self, x):
            return super().forward(x * 2 if float(x.sum()) > 1e9 else x)

    flat = Flat(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    network = HookedNetwork(settle(flat), torch.rand(2, 3, 8, 8), "for the test")
    assert network.proposed() == ["1", "2", "3", "4"]


def test_a_fixed_batch_size_is_reported(capfd):
    class Lengths(SmallNet):
        def forward(self, x):
            return self.head(
                self.block3(self.block2(self.block1(x))).reshape(len(x), 16, -1).mean(2)
            )

    for module, words in ((Lengths(), r"len\(x\)"), (Branching(), "values of the images")):
        assert re.search(words, model_of(settle(module), 32).network.note)
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


def test_hooks_are_removed_if_the_module_fails():
    class Fails(Branching):
        broken = False

        def forward(self, x):
            if self.broken:
                raise RuntimeError("out of luck")
            return super().forward(x)

    module = settle(Fails())
    network = model_of(module, 32).network
    module.broken = True
    with pytest.raises(ModelError, match="out of luck"):
        network.observe(["block1"])(torch.zeros(1, 3, 32, 32))
    assert all(not part._forward_hooks for part in module.modules())


def test_layers_that_do_not_feed_each_other_are_refused():
    class TwoBranches(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right, self.head = (
                nn.Conv2d(3, 4, 1),
                nn.Conv2d(3, 4, 1),
                nn.Linear(8, 2),
            )

        def forward(self, x):
            if float(x.sum()) > 1e9:
                x = x * 2
            both = torch.cat([self.left(x), self.right(x)], 1)
            return self.head(both.mean((2, 3)))

    model = model_of(settle(TwoBranches()), 8)
    assert isinstance(model.network, HookedNetwork)
    with pytest.raises(LayerError, match="'right' does not depend on 'left'"):
        model.segment("left", "right")
    assert model.segment("left", "head").bypass == ("images",)


class Wrapped(nn.Module):
    """Returns its logits inside a container."""

    def __init__(self, form):
        super().__init__()
        self.inner, self.form = settle(SmallNet()), form

    def forward(self, x):
        features = self.inner.block1(x)
        return self.form(features, self.inner(x))


@pytest.mark.parametrize(
    "form",
    [
        lambda f, y: (f, y),
        lambda f, y: {"features": f, "logits": y},
        lambda f, y: [y, y * 2],
    ],
)
def test_outputs_may_be_tuples_lists_and_dicts(form):
    model = model_of(Wrapped(form), 32)
    assert isinstance(model.network, ExportedNetwork)
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        (logits,) = model.outputs([model.node(model.network.output_name)])(images)
        torch.testing.assert_close(logits, model.module.inner(images))


def test_a_model_without_logits_is_refused():
    with pytest.raises(ModelError, match=r"no tensor of shape \[batch, class\]"):
        model_of(nn.Conv2d(3, 4, 1), 8).network  # noqa: B018


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_models_are_fed_in_their_own_precision(dtype):
    model = model_of(settle(SmallNet()).to(dtype), 32)
    config = Config(tau=3, k=10, steps=4, concept_set="all")
    circuit = discover(model, torch.rand(3, 3, 32, 32), 0, config=config)
    assert len(circuit.layers[-1].neurons[0].core_neurons) == 3


def test_layers_inside_autocast_are_found():
    class Cast(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = SmallNet()

        def forward(self, x):
            with torch.autocast("cpu", torch.bfloat16):
                return self.net(x)

    model = Model(Cast())
    assert "autocast" in model.network.note
    assert len(model.proposed_layers()) > 1
