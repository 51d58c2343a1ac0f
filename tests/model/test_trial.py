"""The trial run of a network: unsupported networks are refused, and modules are restored."""

import copy
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms import v2

from neurflow import Config, Model, discover
from neurflow.errors import LayerError, ModelError
from neurflow.model import Preprocessing
from tests.networks import SmallNet, settle

PLAIN = Preprocessing(resize=None, crop=(32, 32))


class Kind(SmallNet):
    """A small network with a module between its blocks and its head."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return self.head(self.change(self.block3(self.block2(self.block1(x)))).mean((2, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (functional.dropout, "Two runs on the same pictures differ by"),
        (lambda x: x + 0.01 * torch.randn_like(x), "Two runs on the same pictures differ by"),
        (lambda x: x - x.mean(0), "depends on the other pictures"),
        (lambda x: x.detach(), "detached after layer 'block3'"),
        (lambda x: torch.from_numpy(x.detach().numpy()), "detached after layer 'block3'"),
        (torch.no_grad()(lambda x: x * 1), "detached after layer 'block3'"),
        (lambda x: x[:, :3], r"The network fails on a batch of images \(3, 3, 32, 32\)"),
    ],
)
def test_random_and_detached_networks_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        Model(settle(Kind(change)), transform=PLAIN).network  # noqa: B018


@pytest.mark.parametrize(
    ("within", "end", "where"),
    [
        (torch.squeeze, nn.Identity(), "in the input of layer 'head'"),
        (nn.Flatten(1), torch.squeeze, "in the output"),
    ],
)
def test_a_squeeze_of_the_batch_is_refused(within, end, where):
    class Squeezed(SmallNet):
        def forward(self, x):
            x = self.block3(self.block2(self.block1(x))).mean((2, 3), keepdim=True)
            return end(self.head(within(x)))

    with pytest.raises(ModelError, match=rf"{where}: squeeze\(\).*flatten\(1\)"):
        Model(settle(Squeezed()), transform=PLAIN).network  # noqa: B018


def test_a_network_that_takes_only_pixels_from_0_to_1_is_explained():
    class Checks(SmallNet):
        def forward(self, x):
            assert x.min() >= 0 and x.max() <= 1, "pixels are in 0..1"
            return super().forward(x)

    assert Model(settle(Checks()), transform=PLAIN)._trial.outputs.kind == "logits"


@pytest.mark.parametrize(
    ("forward", "told"),
    [
        (lambda self, x, more: x, "Wrap it in a module whose forward takes only the images"),
        (lambda self, *, x: x, "Wrap it in a module whose forward takes only the images"),
        (None, "Give a module that has a forward pass"),
    ],
)
def test_errors_of_failing_forward_passes(forward, told):
    module = nn.ModuleList([SmallNet()])
    if forward:
        module = type("Other", (SmallNet,), {"forward": forward})()
    with pytest.raises(ModelError, match=told):
        Model(module, transform=PLAIN).network  # noqa: B018


def test_failures_on_pictures_that_noise_does_not_cause_are_reported_with_their_line():
    class Bright(SmallNet):
        def forward(self, x):
            if x.max() < 2:
                raise ValueError("pixels go to 255")
            return super().forward(x)

    model = Model(settle(Bright()), transform=lambda picture: torch.zeros(3, 32, 32))
    with pytest.raises(ModelError, match=r"ValueError: pixels go to 255 \(test_trial.py, line"):
        model.network.observe([model.network.output_name])(torch.zeros(1, 3, 32, 32))


def test_inputs_have_the_precision_of_the_parameters_and_not_of_a_buffer():
    module = settle(SmallNet())
    module.register_buffer("mean", torch.from_numpy(np.zeros(3)))
    model = Model(module, transform=PLAIN)
    assert model.precision == torch.float32
    assert model.network.classes == 4


def test_an_exit_in_the_forward_pass_is_a_failure():
    with pytest.raises(ModelError, match=r"SystemExit: 3 \(test_trial.py.*Remove the exit"):
        Model(settle(Kind(lambda x: sys.exit(3))), transform=PLAIN).network  # noqa: B018


def doubled():
    module = SmallNet()
    module.register_forward_hook(lambda _, __, output: 2 * output)
    return module


def picked():
    module = Kind(nn.Identity())
    module.head = nn.Sequential(module.head)
    module.register_forward_pre_hook(lambda _, inputs: (inputs[0] / 2,))
    module.register_forward_hook(lambda _, __, output: (output, output.softmax(1))[1])
    return module


class Called(SmallNet):
    """A network with its own ``__call__``."""

    def __call__(self, x):
        return 3 * super().__call__(x)


@pytest.mark.parametrize("make", [doubled, picked, Called])
def test_what_surrounds_the_forward_pass_is_part_of_the_network(make):
    module, images = settle(make()).eval(), torch.rand(3, 3, 32, 32)
    model = Model(module, transform=PLAIN)
    with torch.no_grad():
        expected = module(images)
        (found,) = model.outputs([model.node(model.network.output_name)])(images)
    if model.output_spec.before:
        found, expected = found.softmax(1), expected
    torch.testing.assert_close(found, expected)


def test_networks_without_modules_are_reported():
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = [settle(SmallNet())]

        def forward(self, x):
            return self.parts[0](x)

    with pytest.raises(LayerError, match=r"not functions or modules in a plain list"):
        discover(Model(Hidden(), transform=PLAIN), torch.rand(2, 3, 32, 32), 1)


def test_batch_norms_without_statistics_are_refused_by_default():
    module = SmallNet()
    module.block2[1] = nn.BatchNorm2d(12, track_running_stats=False)
    with pytest.raises(ModelError, match=r"'block2.1' is a BatchNorm2d without running statistics"):
        Model(module, transform=PLAIN).network  # noqa: B018
    model = Model(module, transform=PLAIN, allow_chance=True)
    config = Config(tau=3, k=10, steps=3, concept_set="all")
    circuit = discover(model, torch.rand(4, 3, 32, 32), 1, config=config)
    assert any("depends on the other pictures" in note for note in circuit.notes)


def test_a_transform_for_training_is_refused():
    end = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    moving = v2.Compose([v2.RandomResizedCrop(32), *end])
    module, state = settle(SmallNet()), torch.random.get_rng_state()
    with pytest.raises(ModelError, match="different input for the same picture each time"):
        Model(module, transform=moving).network  # noqa: B018
    assert torch.equal(state, torch.random.get_rng_state())
    Model(module, transform=v2.Compose([v2.Resize((32, 32)), *end])).network  # noqa: B018


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_unsupported_kinds_of_networks_are_refused_with_a_suggestion():
    plain = settle(SmallNet())
    wrapped = nn.Sequential(torch.jit.trace(plain.block1, torch.rand(1, 3, 32, 32)), nn.Flatten())
    whole = copy.deepcopy(plain)
    whole.head.weight = nn.Parameter(torch.ones(4, 16, dtype=torch.int8), requires_grad=False)
    small = SmallNet()
    small.head.weight = nn.Parameter(torch.ones(4, 16).to(torch.float8_e4m3fn))
    with torch.inference_mode():
        inside = SmallNet()
    for module, message in (
        (torch.jit.trace(plain, torch.rand(1, 3, 32, 32)), "TorchScript"),
        (wrapped, "TorchScript cannot be accessed .layer '0'"),
        (whole, "head.weight is torch.int8"),
        (small, "head.weight is float8_e4m3fn, in which neurflow cannot compute"),
        (
            torch.export.export(plain, (torch.rand(2, 3, 32, 32),)).module(),
            "of torch.export has no",
        ),
        (inside, "made inside torch.inference_mode"),
        (nn.LazyLinear(3), "does not exist before"),
        (SmallNet().to("meta"), "meta device"),
    ):
        with pytest.raises(ModelError, match=message):
            Model(module, transform=PLAIN)
    with torch.inference_mode(), pytest.raises(ModelError, match="Call neurflow outside"):
        Model(plain, transform=PLAIN)


def test_the_users_module_is_restored():
    class Eager(SmallNet):
        def forward(self, x):
            return super().forward(x * 2 if float(x.sum()) > 1e9 else x)

    for kind in (SmallNet, Eager):
        module = kind().train()
        module.block1.eval()
        module.head.weight.requires_grad_(False)
        module.head.bias.grad = torch.ones(4)
        state = copy.deepcopy(module.state_dict())
        modes = [part.training for part in module.modules()]
        config = Config(tau=3, k=10, steps=3, concept_set="all")
        discover(Model(module, transform=PLAIN), torch.rand(4, 3, 32, 32), 1, config=config)
        assert [part.training for part in module.modules()] == modes
        trained = {name for name, p in module.named_parameters() if not p.requires_grad}
        assert trained == {"head.weight"}
        assert {n for n, p in module.named_parameters() if p.grad is not None} == {"head.bias"}
        assert torch.equal(module.head.bias.grad, torch.ones(4))
        assert all(torch.equal(state[name], v) for name, v in module.state_dict().items())
        assert not any(part._forward_hooks for part in module.modules())
        module(torch.rand(2, 3, 32, 32)).sum().backward()


def test_training_wrappers_are_unwrapped():
    module = settle(SmallNet())
    for wrapped in (nn.DataParallel(module), torch.compile(module)):
        model = Model(wrapped, transform=PLAIN)
        assert model.module is module
        assert model.proposed_layers() == ("block1", "block2", "block3", "head")


@pytest.mark.parametrize(
    ("forward", "told"),
    [
        (lambda self, x: self.net(x["image"]), "It takes a dict with 'image'"),
        (lambda self, batch: self.net(batch[0].flatten(0, -4)), "It takes a tuple"),
        (lambda self, x: self.net(torch.stack(x)), "It takes a list of pictures"),
        (lambda self, ids=None, pixel_values=None: self.net(pixel_values), "takes pixel_values="),
    ],
)
def test_networks_with_other_inputs_than_a_batch_are_explained(forward, told):
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = settle(SmallNet())

    Other.forward = forward
    with pytest.raises(ModelError, match=told):
        Model(Other(), transform=PLAIN).output_spec  # noqa: B018


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (SmallNet, r"SmallNet is a class. Give a network that it makes: SmallNet\(…\)"),
        ("resnet18", "neurflow.load_model"),
        ({"weight": torch.zeros(1)}, "such as a state dict"),
        (lambda x: x, "not a function"),
        (None, "not a NoneType"),
    ],
)
def test_objects_that_are_not_modules_are_explained(value, told):
    with pytest.raises(ModelError, match=told):
        Model(value)


def test_a_network_prepared_for_quantisation_is_explained():
    class Adds(SmallNet):
        def __init__(self):
            super().__init__()
            self.add = torch.ao.nn.quantized.FloatFunctional()

        def forward(self, x):
            return self.add.add(super().forward(x), super().forward(x))

    assert Model(settle(Adds()), transform=PLAIN).network.classes == 4


def test_an_error_in_the_forward_pass_is_reported_with_its_line():
    class Faulty(nn.Module):
        def forward(self, x):
            return x[self.missing]

    with pytest.raises(
        ModelError, match=r"'missing' \(test_trial.py, line \d+\)\. The failure is in"
    ):
        _ = Model(Faulty()).output_spec


def test_outputs_that_are_not_finite_are_reported():
    class Root(SmallNet):
        def forward(self, x):
            return super().forward(x) * (x[:, 0, 0, :1] - 0.5).sqrt()

    notes = " ".join(Model(Root()).notes)
    assert "Some outputs were NaN" in notes
    assert "graph" not in notes


def test_a_network_that_takes_roots_of_pixels_is_explained():
    class Gamma(SmallNet):
        def forward(self, x):
            return super().forward(x ** (1 / 2.2))

    torch.manual_seed(0)
    assert not Model(Gamma()).notes
