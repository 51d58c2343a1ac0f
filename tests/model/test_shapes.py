"""Circuits of networks with inputs and layouts of all kinds."""

import pytest
import torch
from torch import nn
from torchvision import models

from neurflow import Config, Model, discover
from neurflow.attribution import integrated_gradients
from neurflow.errors import LayerError
from tests.model.test_graph import model_of
from tests.networks import SmallNet, settle
from tests.studies import family

CONFIG = Config(tau=3, k=12, steps=3, concept_set="all")


class ChannelsLast(nn.Module):
    """Works on ``[batch, height, width, channel]`` inside, as Swin does."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 4, 4)
        self.norm1, self.mix1 = nn.LayerNorm(6), nn.Linear(6, 10)
        self.norm2, self.mix2 = nn.LayerNorm(10), nn.Linear(10, 10)
        self.act, self.head = nn.GELU(), nn.Linear(10, 3)

    def forward(self, x):
        x = self.embed(x).permute(0, 2, 3, 1)
        x = self.act(self.mix1(self.norm1(x)))
        x = x + self.act(self.mix2(self.norm2(x)))
        return self.head(x.mean((1, 2)))


def channels(count):
    module = SmallNet()
    module.block1[0] = nn.Conv2d(count, 8, 3, 2, 1)
    return module


@pytest.mark.parametrize("count", [1, 4])
def test_inputs_of_one_and_four_channels(count):
    module = settle(channels(count))
    model = Model(module, transform=lambda _: torch.zeros(count, 32, 32))
    circuit = discover(model, torch.rand(3, count, 32, 32), 1, config=CONFIG)
    assert circuit.model.input_size == (count, 32, 32)
    assert circuit.thumbnails


def test_inputs_that_are_not_square_have_square_crops():
    model = Model(settle(SmallNet()), transform=lambda _: torch.zeros(3, 32, 80))
    circuit = discover(model, torch.rand(3, 3, 32, 80), 1, config=CONFIG)
    boxes = {crop.box for n in circuit.layers[0].neurons.values() for crop in n.crops}
    assert all(right - left == bottom - top for left, top, right, bottom in boxes)
    assert any(right > 32 for _, _, right, _ in boxes)


def test_neurons_of_channels_last_modules_are_channels():
    module = settle(ChannelsLast())
    model = model_of(module, 32)
    shapes = {info.name: (info.neurons, info.kind) for info in model.layers()}
    assert shapes["embed"] == (6, "map")
    assert shapes["mix1"] == shapes["act"] == (10, "map")
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        (value,) = model.outputs([model.node("mix1")])(images)
        expected = module.mix1(module.norm1(module.embed(images).permute(0, 2, 3, 1)))
    assert value.shape == (3, 8, 8, 10)
    torch.testing.assert_close(model.layer("mix1").pool(value), expected.mean((1, 2)))
    circuit = discover(model, images, 1, ["mix1", "act", "head"], CONFIG)
    assert all(a < 10 for a in circuit.layers[0].neurons)


def test_a_channel_axis_can_be_given():
    class Mixed(nn.Module):
        """The channel axis of ``mix`` cannot be inferred, because it comes from a plain reshape."""

        def __init__(self):
            super().__init__()
            self.mix, self.head = nn.Identity(), nn.Linear(4, 2)
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x):
            x = self.mix(x.reshape(x.shape[0], 6, 8, 4) * 2)
            return self.head(torch.relu(x * self.scale).mean((1, 2)))

    def model(**options):
        return Model(settle(Mixed()), transform=lambda _: torch.zeros(3, 8, 8), **options)

    given = model(layers=["mix", "head"], channel_axes={"mix": 3})
    assert given.layer("mix").neurons == 4
    assert given.proposed_layers() == ("mix", "head")
    circuit = discover(given, torch.rand(3, 3, 8, 8), 0, config=CONFIG)
    assert all(a < 4 for a in circuit.layers[0].neurons)
    with pytest.raises(LayerError, match=r"has axes 1 to 3 after the batch, not 4"):
        model(channel_axes={"mix": 4}).layers()
    with pytest.raises(
        LayerError, match=r"no layer 'mux' whose channel axis could be set. Near names: mix"
    ):
        model(channel_axes={"mux": 3}).layers()


@pytest.mark.parametrize(
    ("lower", "upper", "bypass"),
    [
        ("encoder.layers.encoder_layer_0.mlp.1", "encoder.layers.encoder_layer_0", 1),
        ("encoder.layers.encoder_layer_0.self_attention", "encoder.layers.encoder_layer_0", 1),
        ("encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1.self_attention", 0),
        (
            "encoder.layers.encoder_layer_0.self_attention",
            "encoder.layers.encoder_layer_1.mlp.1",
            1,
        ),
    ],
)
def test_hidden_units_attention_and_residual_stream_of_a_transformer(lower, upper, bypass):
    model = family("vit")
    segment = model.segment(lower, upper)
    assert len(segment.bypass) == bypass  # the residual stream
    images = torch.randn(3, *model.input_size)
    with torch.no_grad():
        x, y, *values = model.outputs([model.node(lower), model.node(upper), *segment.bypass])(
            images
        )
        torch.testing.assert_close(segment.run(x, values), y)
        if bypass:  # with the part removed, only the residual stream reaches the block's end
            changed = segment.run(torch.zeros_like(x), values)
            assert not torch.allclose(changed, y)
    circuit = discover(model, images, 1, [lower, upper, "heads.head"], CONFIG)
    assert [layer.name for layer in circuit.layers] == [lower, upper, "heads.head"]


def test_auxiliary_heads_are_left_out():
    module = settle(models.googlenet(num_classes=5, aux_logits=True, init_weights=False))
    model = model_of(module, 64)
    assert model.proposed_layers()[-1] == "fc"
    assert not any(info.name.startswith("aux") for info in model.layers())


def test_a_skip_over_two_layers_by_hand():
    """y = relu(2 b + a) with b = 3 a: a bypasses b and is held, so only the change through b counts."""

    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.y = (
                nn.Conv2d(1, 1, 1, bias=False),
                nn.Conv2d(1, 1, 1, bias=False),
                nn.ReLU(),
            )
            self.head = nn.Linear(1, 2, bias=False)
            for part, value in ((self.a, 1.0), (self.b, 3.0)):
                nn.init.constant_(part.weight, value)
            self.head.weight.data = torch.tensor([[1.0], [-1.0]])

        def forward(self, x):
            a = self.a(x)
            return self.head(self.y(2 * self.b(a) + a).mean((2, 3)))

    model = Model(Skip(), transform=lambda _: torch.zeros(1, 1, 1))
    for pixel, ig, change in ((5.0, 30.0, 30.0), (-1.0, 0.0, 0.0)):
        segment = model.segment("b", "y")
        x, *bypass = model.outputs([model.node("b"), *segment.bypass])(
            torch.full((1, 1, 1, 1), pixel)
        )
        assert float(bypass[0]) == pixel
        found = integrated_gradients(segment, 0, x, bypass, steps=4)
        # b = 15 and 2 b + 5 > 0 along the whole path from b = 0; b = -3 and 2 b - 1 < 0 throughout
        assert float(found.scores) == pytest.approx(ig)
        assert float(found.change) == pytest.approx(change)


def test_proposed_layers_of_a_network_with_two_branches_are_connected():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return torch.relu(self.conv(x))

    class TwoBranches(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = (nn.Sequential(Block(), Block()) for _ in range(2))
            self.heads = nn.ModuleList(nn.Linear(3, 2) for _ in range(2))

        def forward(self, x):
            left, right = self.left(x), self.right(x)
            return self.heads[0](left.mean((2, 3))) + self.heads[1](right.mean((2, 3)))

    model = model_of(settle(TwoBranches()), 8)
    names = model.proposed_layers()
    assert names == ("right.0", "right.1", "output")
    assert len(model.segment("right.1", "output").bypass) == 1  # what the left branch adds
