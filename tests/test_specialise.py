"""The rewriting rules: one channel asked for, the same numbers, and really less computed."""

import pytest
import torch
from torch import fx, nn

from neurflow.model.graph import aten, export_network
from neurflow.model.layers import Layer
from neurflow.model.segment import GraphSegment
from neurflow.model.select import select_neuron
from neurflow.model.specialise import affine_nodes
from tests.networks import settle


class Around(nn.Module):
    """``inner`` between two named places of a network that has logits."""

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
    "upsampling": lambda: nn.Upsample(scale_factor=2, mode="nearest"),
    "branches": Branches,
    "tokens": Attention,
    "residual": Residual,
}


@pytest.fixture(params=INNER)
def segment(request):
    module = settle(Around(INNER[request.param](), 8))
    network = export_network(module, torch.zeros(2, 3, 6, 6))
    # the network's own output node stands for the inner module, also where that is functional
    upper = network.graph.output_node().args[0][0]
    network.modules["inner"] = upper
    channels, *space = upper.meta["val"].shape[1:]
    return GraphSegment(
        network, Layer("lower", (8, 6, 6), 1), Layer("inner", (int(channels), *map(int, space)), 1)
    )


def test_a_selected_neuron_equals_the_channel_of_the_whole(segment):
    x = torch.randn(3, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = segment.upper.pool(segment.run(x))
        for neuron in range(segment.upper.neurons):
            selected = fx.GraphModule(
                segment.network.root, select_neuron(segment.cut.graph, 1, neuron)
            )
            torch.testing.assert_close(selected(x, 3), whole[:, neuron], rtol=1e-5, atol=1e-6)


def test_the_split_parts_together_equal_the_whole(segment):
    x = torch.randn(3, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = segment.upper.pool(segment.run(x))
        for neuron in (0, segment.upper.neurons - 1):
            fast = segment.neuron(neuron)
            frontier, fixed = fast.evaluate(x, [])
            torch.testing.assert_close(
                fast.tail(3, *frontier, *fixed)[0], whole[:, neuron], rtol=1e-5, atol=1e-6
            )


def test_the_frontier_is_affine(segment):
    """f(0.3 x) = 0.7 f(0) + 0.3 f(x) for every frontier tensor."""
    x = torch.randn(2, 8, 6, 6)
    fast = segment.neuron(0)
    with torch.no_grad():
        at_x, at_0, between = (fast.evaluate(scale * x, [])[0] for scale in (1, 0, 0.3))
    for high, low, middle in zip(at_x, at_0, between, strict=True):
        torch.testing.assert_close(middle, 0.7 * low + 0.3 * high, rtol=1e-4, atol=1e-5)


def multiplications(graph_module, x):
    """Products taken by all convolutions and matrix products."""
    count = 0

    class Count(fx.Interpreter):
        def call_function(self, target, args, kwargs):
            nonlocal count
            result = super().call_function(target, args, kwargs)
            if target is aten.conv2d.default:
                count += result.numel() * args[1][0].numel()
            if target is aten.matmul.default:
                count += result.numel() * args[0].shape[-1]
            return result

    Count(graph_module).run(x, len(x))
    return count


def test_only_what_the_neuron_needs_is_computed():
    module = settle(Around(Branches(), 8))
    network = export_network(module, torch.zeros(2, 3, 6, 6))
    segment = GraphSegment(network, Layer("lower", (8, 6, 6), 1), Layer("inner", (16, 6, 6), 1))
    x = torch.randn(2, 8, 6, 6)
    work = [
        multiplications(
            fx.GraphModule(network.root, select_neuron(segment.cut.graph, 1, neuron)), x
        )
        for neuron in (1, 5, 12)
    ]
    places, taps = 2 * 6 * 6, 9
    # one row of the left branch; x itself; one row of the right branch, tap by tap, then the taps
    assert work == [places * 8, 0, places * taps * 8 + places * taps * taps]


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
