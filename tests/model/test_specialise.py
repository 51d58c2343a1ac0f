"""Specialised graphs: one channel has the same values with less computation."""

import numpy as np
import pytest
import torch
from torch import fx, nn

from neurflow.attribution.integrated_gradients import (
    graded_midpoints,
    integrated_gradients,
    secants,
)
from neurflow.model.cut.segment import GraphSegment
from neurflow.model.fast.affine import affine_nodes
from neurflow.model.fast.one_row import row_products
from neurflow.model.fast.specialise import select_neurons
from neurflow.model.network.extract import extract
from neurflow.model.network.graph import aten, export_network
from neurflow.model.network.layers import Layer
from tests.networks import settle


class Around(nn.Module):
    """A network with logits and ``inner`` between two named layers."""

    def __init__(self, inner, channels):
        super().__init__()
        self.lower = nn.Conv2d(3, channels, 1)
        self.inner = inner

    def forward(self, x):
        out = self.inner(self.lower(x))
        return out, out.flatten(1)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(8, 3, 1), nn.Conv2d(8, 5, 3, padding=1)

    def forward(self, x):
        return torch.cat([self.left(x), x, torch.relu(self.right(x))], 1)


class Attention(nn.Module):
    """Tokens from a map, a layer norm, a linear map, and back to a map."""

    def __init__(self):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(8), nn.Linear(8, 6)

    def forward(self, x):
        tokens = x.flatten(2).permute(0, 2, 1)
        mixed = self.linear(self.norm(tokens)) * 2 + 1
        return mixed.transpose(1, 2).reshape(x.shape[0], 6, 6, 6)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.gate = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)

    def forward(self, x):
        y = self.conv2(torch.relu(self.norm(self.conv1(x))))
        scale = torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        return torch.relu(y * scale + x)


class Stacked(nn.Module):
    """Has the batch on the second axis in between."""

    def forward(self, x):
        return torch.stack([x.relu(), x.sigmoid()]).mean(0)


class Last(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1)


class First(nn.Module):
    def forward(self, x):
        return x.permute(0, 3, 1, 2)


class Chunks(nn.Module):
    def forward(self, x):
        left, right = x.chunk(2, 1)
        first, second = torch.split(left.relu(), 2, 1)
        return torch.cat([right * 2, second, first.sigmoid()], 1)


INNER = {
    "conv": lambda: nn.Conv2d(8, 6, 3, stride=2, padding=1),
    "conv without bias": lambda: nn.Conv2d(8, 6, 1, bias=False),
    "grouped conv": lambda: nn.Conv2d(8, 12, 3, padding=1, groups=4),
    "depthwise conv": lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8),
    "dilated conv": lambda: nn.Conv2d(8, 6, 3, dilation=2),
    "batch norm": lambda: nn.BatchNorm2d(8),
    "hard swish": lambda: nn.Hardswish(),
    "gelu": lambda: nn.Sequential(nn.Conv2d(8, 6, 1), nn.GELU()),
    "max pooling": lambda: nn.Sequential(nn.Conv2d(8, 6, 3), nn.MaxPool2d(2)),
    "average pooling": lambda: nn.AvgPool2d(2),
    "adaptive pooling": lambda: nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(2)),
    "padded pooling": lambda: nn.Sequential(
        nn.ConstantPad2d(1, float("-inf")), nn.MaxPool2d(3, stride=1)
    ),
    "zero padding": lambda: nn.Sequential(nn.ZeroPad2d(1), nn.ReLU()),
    "upsampling": lambda: nn.Upsample(scale_factor=2, mode="nearest"),
    "layer norm of channels": lambda: nn.Sequential(Last(), nn.LayerNorm(8), First()),
    "chunks": Chunks,
    "stacked": Stacked,
    "branches": Branches,
    "tokens": Attention,
    "residual": Residual,
}


@pytest.fixture(scope="module", params=INNER)
def segment(request):
    module = settle(Around(INNER[request.param](), 8))
    network = export_network(module, torch.zeros(2, 3, 6, 6))
    # the output node of the network is that of the inner module, even if that is functional
    upper = network.graph.output_node().args[0][0]
    network.modules["inner"] = upper
    channels, *space = upper.meta["val"].shape[1:]
    return GraphSegment(
        network, Layer("lower", (8, 6, 6), 1), Layer("inner", (int(channels), *map(int, space)), 1)
    )


def selected(segment, neuron):
    """The segment's graph specialised to a neuron, and the other neurons that it is valid for."""
    selection = select_neurons(
        segment.network, segment.cut.graph, segment.upper.axis, segment.upper.neurons, neuron
    )
    return fx.GraphModule(segment.network.root, selection.graph), selection.serves


def test_a_selected_neuron_equals_the_channel_of_the_whole(segment):
    x = torch.randn(3, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = segment.upper.pool(segment.run(x))
        for neuron in range(segment.upper.neurons):
            module, serves = selected(segment, neuron)
            assert serves[neuron]
            for other in np.flatnonzero(serves).tolist():
                found = module(torch.full((3,), other), x, 3)
                torch.testing.assert_close(found, whole[:, other], rtol=1e-5, atol=1e-6)


def test_samples_of_a_batch_can_have_different_neurons(segment):
    x = torch.randn(4, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    module, serves = selected(segment, 0)
    neurons = torch.from_numpy(np.resize(np.flatnonzero(serves)[::-1], 4).copy())
    with torch.no_grad():
        expected = segment.upper.pool(segment.run(x)).gather(1, neurons[:, None])[:, 0]
        torch.testing.assert_close(module(neurons, x, 4), expected, rtol=1e-5, atol=1e-6)


def split(segment, neuron, x, trunk=()):
    fast = segment.specialised(neuron)
    return fast, fast.path(torch.full((len(x),), neuron), x, [], trunk)


def test_the_split_parts_together_equal_the_whole(segment):
    x = torch.randn(3, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        at_x, at_0 = (segment.upper.pool(segment.run(z)) for z in (x, x * 0))
    for neuron in (0, segment.upper.neurons - 1):
        fast, path = split(segment, neuron, x)
        for frontier, whole in ((path.end, at_x), (path.start, at_0)):
            with torch.no_grad():
                found = fast.tail(3, *frontier, *path.fixed)[0]
            torch.testing.assert_close(found, whole[:, neuron], rtol=1e-5, atol=1e-6)


def test_the_frontier_is_affine(segment):
    """f(0.3 x) = 0.7 f(0) + 0.3 f(x) for every frontier tensor f."""
    x = torch.randn(2, 8, 6, 6)
    path, between = split(segment, 0, x)[1], split(segment, 0, 0.3 * x)[1]
    for low, high, middle in zip(path.start, path.end, between.end, strict=True):
        torch.testing.assert_close(middle, 0.7 * low + 0.3 * high, rtol=1e-4, atol=1e-5)


def test_gradients_equal_those_of_the_whole_segment(segment):
    """With the tail's gradient at ``x`` itself, ``back`` gives the gradient of φ_a at ``x``."""
    x = torch.randn(3, 8, 6, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
    for neuron in (0, segment.upper.neurons - 1):
        fast, path = split(segment, neuron, x.detach())
        ends = [value.detach().requires_grad_() for value in path.end]
        phi = fast.tail(3, *ends, *path.fixed)[0].sum()
        at_frontier = torch.autograd.grad(phi, ends, materialize_grads=True)
        (expected,) = torch.autograd.grad(segment.upper.pool(segment.run(x))[:, neuron].sum(), x)
        torch.testing.assert_close(path.back(at_frontier), expected, rtol=1e-4, atol=1e-6)


def test_several_points_of_the_path_in_one_batch(segment):
    """Several copies of a batch, as for several α, give what each gives alone."""
    x = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(1))
    neurons = torch.from_numpy(np.flatnonzero(segment.specialised(0).serves)[[0, -1]])
    fast = segment.specialised(0)
    path = fast.path(neurons, x, [])
    both = [
        torch.cat([low, high], axis)
        for low, high, axis in zip(path.start, path.end, fast.frontier_axes, strict=True)
    ]
    fixed = [
        value if axis is None else torch.cat([value, value], axis)
        for value, axis in zip(path.fixed, fast.fixed_axes, strict=True)
    ]
    with torch.no_grad():
        alone = [fast.tail(2, *ends, *path.fixed)[0] for ends in (path.start, path.end)]
        torch.testing.assert_close(fast.tail(4, *both, *fixed)[0], torch.cat(alone))


def test_observed_values_replace_the_trunk():
    """Values that the network has computed are used instead of being computed again."""
    module = settle(Around(Residual(), 8))
    network = export_network(module, torch.zeros(2, 3, 6, 6))
    segment = GraphSegment(network, Layer("lower", (8, 6, 6), 1), Layer("inner", (8, 6, 6), 1))
    fast = segment.specialised(0)
    assert len(fast.trunk) == 2  # the norm, and the mean that the gate reads
    forward = extract(network.root, [network.input], [network.modules["lower"], *fast.trunk])
    x, *trunk = forward(torch.randn(2, 3, 6, 6))
    _, plain = split(segment, 0, x)
    _, given = split(segment, 0, x, trunk)
    for a, b in zip(plain.end, given.end, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    _, wrong = split(segment, 0, x, [value + 1 for value in trunk])
    assert not all(torch.allclose(a, b) for a, b in zip(plain.end, wrong.end, strict=True))


def by_secants(segment, neuron, x, steps):
    """(scores, change) with secant slopes, even if the tail has none."""
    return integrated_gradients(segment, neuron, x, steps=steps, rule=secants)


SMOOTH = 1e-4
"""the slope of a very short secant of a smooth function is the derivative in the middle"""


def test_secants_are_complete_for_any_number_of_cells(segment):
    x = torch.randn(3, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    for neuron in (0, segment.upper.neurons - 1):
        fast = segment.specialised(neuron)
        if fast.secants is None or fast.affine:
            pytest.skip("its tail has no slopes, or needs none")
        for steps in (1, 2, 7):
            found = by_secants(segment, neuron, x, steps)
            least = SMOOTH * float(found.scores.abs().sum(1).max())
            assert float(found.gap.max()) <= least, steps


def test_scores_by_secants_converge_to_integrated_gradients(segment):
    if segment.specialised(1).secants is None:
        pytest.skip("its tail has no slopes")
    x = torch.randn(3, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    limit = integrated_gradients(segment, 1, x, steps=3000, rule=graded_midpoints).scores
    errors = [
        float((by_secants(segment, 1, x, n).scores - limit).abs().sum() / limit.abs().sum())
        for n in (4, 64)
    ]
    assert errors[1] < 2e-3
    assert errors[1] < errors[0] or errors[0] < 1e-4  # no gain without a non-linear operation


def test_tails_that_have_secants():
    kinds = ("conv", "gelu", "hard swish", "max pooling", "tokens", "residual")
    made = {}
    for kind in kinds:
        module = settle(Around(INNER[kind](), 8))
        network = export_network(module, torch.zeros(2, 3, 6, 6))
        upper = network.graph.output_node().args[0][0]
        network.modules["inner"] = upper
        channels, *space = upper.meta["val"].shape[1:]
        layers = (
            Layer("lower", (8, 6, 6), 1),
            Layer("inner", (int(channels), *map(int, space)), 1),
        )
        made[kind] = GraphSegment(network, *layers).specialised(0).secants is not None
    assert made == dict.fromkeys(kinds, True) | {"max pooling": False}


def test_paths_with_infinite_values_have_no_secants(segment):
    x = torch.randn(2, 8, 6, 6)
    _, path = split(segment, 0, x)
    assert all(value.isfinite().all() for value in [*path.start, *path.end])


def multiplications(graph_module, neuron, x):
    """Number of multiplications in all convolutions and matrix products."""
    count = 0

    class Count(fx.Interpreter):
        def call_function(self, target, args, kwargs):
            nonlocal count
            result = super().call_function(target, args, kwargs)
            if target is aten.conv2d.default:
                count += result.numel() * args[1][0].numel()
            if target is row_products:
                count += result.numel() * args[0].shape[-1]
            return result

    Count(graph_module).run(torch.full((len(x),), neuron), x, len(x))
    return count


def test_only_what_the_neuron_needs_is_computed():
    module = settle(Around(Branches(), 8))
    network = export_network(module, torch.zeros(2, 3, 6, 6))
    segment = GraphSegment(network, Layer("lower", (8, 6, 6), 1), Layer("inner", (16, 6, 6), 1))
    x = torch.randn(2, 8, 6, 6)
    work = [multiplications(selected(segment, n)[0], n, x) for n in (1, 5, 12)]
    places, taps = 2 * 6 * 6, 9
    # one row of the left branch; x itself; one row of the right branch, tap by tap
    assert [int(selected(segment, n)[1].sum()) for n in (1, 5, 12)] == [3, 8, 5]
    assert work == [places * 8, 0, places * taps * 8]


def test_affine_nodes_stop_at_the_first_nonlinearity():
    module = settle(Around(Residual(), 8))
    network = export_network(module, torch.zeros(2, 3, 6, 6))
    segment = GraphSegment(network, Layer("lower", (8, 6, 6), 1), Layer("inner", (8, 6, 6), 1))
    graph = segment.cut.graph
    x = next(node for node in graph.nodes if node.op == "placeholder")
    varying, affine = affine_nodes(graph, x)
    kinds = {node.target for node in affine if node.op == "call_function"}
    assert aten.conv2d.default in kinds
    assert not kinds & {aten.relu.default, aten.sigmoid.default, aten.mul.Tensor}
    assert sum(node.target is aten.conv2d.default for node in varying - affine) == 1  # conv2
