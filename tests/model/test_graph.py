"""The exported graph: named layers, exact outputs, exact segments."""

import itertools

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from neurflow import Model
from neurflow.errors import LayerError, ModelError
from neurflow.model.network.graph import export_network
from tests.networks import FAMILIES, Awkward, TwoLayer, settle
from tests.studies import family


def model_of(module, size, channels=3):
    return Model(module, transform=lambda picture: torch.zeros(channels, size, size))


@pytest.fixture(scope="module", params=FAMILIES)
def exported(request):
    model = family(request.param)
    images = torch.randn(3, *model.input_size, generator=torch.Generator().manual_seed(1))
    return model, images


def first_tensor(output):
    return output[0] if isinstance(output, tuple) else output


def hooked(module, images, names):
    """Outputs seen by forward hooks, which are removed afterwards."""
    seen = {}
    handles = [
        module.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: seen.__setitem__(name, first_tensor(output).clone())
        )
        for name in names
    ]
    try:
        with torch.no_grad():
            module(images)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def test_outputs_of_layers_equal_those_seen_by_hooks(exported):
    model, images = exported
    names = [info.name for info in model.layers() if info.name != "output"]
    seen = hooked(model.module, images, names)
    with torch.no_grad():
        values = model.outputs([model.node(name) for name in names])(images)
    for name, value in zip(names, values, strict=True):
        rounding = 3e-5 * float(value.abs().max())
        torch.testing.assert_close(value, seen[name].view_as(value), rtol=1e-4, atol=rounding)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_batch_norm_leaves_the_batch_dynamic(device):
    """On a GPU its kernel depends on the batch. Fake tensors need no GPU."""
    with FakeTensorMode(shape_env=ShapeEnv()), torch.device(device):
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2)
        )
        example = torch.empty(2, 3, 8, 8)
    graph = export_network(module.eval(), example)
    assert graph.batch_axis(graph.modules["1"]) == (0, 1)


def test_segments_between_proposed_layers_equal_the_network(exported):
    model, images = exported
    names = model.proposed_layers()
    assert len(names) >= 3
    for lower, upper in itertools.pairwise(names):
        segment = model.segment(lower, upper)
        with torch.no_grad():
            x, expected, *bypass = model.outputs(
                [model.node(lower), model.node(upper), *segment.bypass]
            )(images)
            rounding = 1e-5 * float(expected.abs().max())
            torch.testing.assert_close(segment.run(x, bypass), expected, rtol=1e-4, atol=rounding)


def test_proposed_layers_end_with_the_logits(exported):
    model, images = exported
    with torch.no_grad():
        (logits,) = model.outputs([model.node(model.proposed_layers()[-1])])(images)
        rounding = 1e-5 * float(logits.abs().max())
    torch.testing.assert_close(logits, model.module(images), rtol=1e-4, atol=rounding)


def test_segments_of_a_dense_block_hold_the_skipped_tensors():
    model = family("densenet")
    images = torch.randn(3, *model.input_size)
    segment = model.segment("features.denseblock2.denselayer1", "features.denseblock2")
    assert segment.bypass
    with torch.no_grad():
        x, expected, *bypass = model.outputs(
            [model.node(segment.lower.name), model.node(segment.upper.name), *segment.bypass]
        )(images)
        torch.testing.assert_close(segment.run(x, bypass), expected)
        # bypass values stay when x is removed: the channels that bypass the layer do not change
        zeroed = segment.run(torch.zeros_like(x), bypass)
    bypassing = bypass[0].shape[1]
    torch.testing.assert_close(zeroed[:, :bypassing], expected[:, :bypassing])


def test_vit_hidden_units_across_the_residual_stream():
    model = family("vit")
    images = torch.randn(3, *model.input_size)
    lower, upper = (f"encoder.layers.encoder_layer_{i}.mlp.1" for i in (0, 1))
    segment = model.segment(lower, upper)
    assert len(segment.bypass) == 1  # the residual stream around the MLP
    with torch.no_grad():
        x, expected, *bypass = model.outputs(
            [model.node(lower), model.node(upper), *segment.bypass]
        )(images)
        torch.testing.assert_close(segment.run(x, bypass), expected)


def test_tokens_are_pooled_over_tokens_and_channels_are_neurons():
    model = family("vit")
    layer = model.layer("encoder.layers.encoder_layer_0")
    tokens = torch.arange(2 * 17 * 16.0).view(2, 17, 16)
    assert layer.kind == "tokens"
    assert layer.neurons == 16
    expected = torch.stack([tokens[:, :, c].sum(1) / 17 for c in range(16)], dim=1)
    torch.testing.assert_close(layer.pool(tokens), expected)


def test_a_complex_module_equals_a_hand_written_reference():
    module = settle(Awkward())
    model = model_of(module, 8)
    images = torch.randn(5, 3, 8, 8)
    with torch.no_grad():
        a = module.first(images).clamp_min(0)
        twice = module.shared(module.shared(a).clamp_min(0)).clamp_min(0)
        second = module.second(twice)
        third = module.third(second * 1.5)
        logits = (third + a).clamp_min(0).reshape(5, -1) @ module.head.weight.T + module.head.bias
        segment = model.segment("second", "head")
        x, *bypass = model.outputs([model.node("second"), *segment.bypass])(images)
        assert len(bypass) == 1
        torch.testing.assert_close(x, second)
        torch.testing.assert_close(bypass[0], a)
        torch.testing.assert_close(segment.run(x, bypass), logits)
        bare = a.reshape(5, -1) @ module.head.weight.T
        constant = (module.third.bias.view(1, 4, 1, 1) + a).clamp_min(0).reshape(5, -1)
        torch.testing.assert_close(
            segment.run(torch.zeros_like(x), bypass),
            constant @ module.head.weight.T + module.head.bias,
        )
        assert not torch.allclose(bare, logits)


def test_hooks_are_removed_and_the_module_is_restored(exported):
    model, _images = exported
    model.layers()
    for part in model.module.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
        assert not part._backward_hooks
    assert not model.module.training


def test_errors_for_unknown_layers_suggest_similar_names():
    model = model_of(TwoLayer(), 1, channels=2)
    with pytest.raises(LayerError, match=r"'frist' does not exist. Near names: first"):
        model.layer("frist")


def test_layers_in_the_wrong_order_are_refused():
    model = model_of(TwoLayer(), 1, channels=2)
    with pytest.raises(LayerError, match="'first' does not depend on 'head'"):
        model.segment("head", "first")


def test_weights_that_are_not_finite_are_refused():
    module = TwoLayer()
    module.first.weight.data[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"first\.weight has NaN"):
        Model(module)


def test_a_plain_sequence_proposes_its_nonlinear_outputs():
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 2),
    )
    assert model_of(module, 16).proposed_layers() == ("1", "3", "4", "6")
