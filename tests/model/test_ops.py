"""Every row of the table of operations, compared with plain autograd and with captum."""

import operator

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from torch import fx, nn
from torch.nn import functional as F

from neurflow.attribution.integrated_gradients import integrated_gradients, secants
from neurflow.model.cut.segment import GraphSegment
from neurflow.model.fast.affine import affine_nodes
from neurflow.model.fast.one_row import row_products
from neurflow.model.fast.ops import OPS, is_affine, with_slope
from neurflow.model.network.graph import aten, export_network
from neurflow.model.network.layers import Layer
from tests.networks import seeded

W, ROWS, MASK = seeded(
    lambda: (torch.randn(3, 3) + 2, torch.randn(4, 4, 3), torch.rand(3, 3) < 0.5)
)
CONV = seeded(lambda: torch.randn(5, 4, 2, 2))


def flat(y):
    return y.flatten(2)[..., :4]


def positive(y):
    return torch.relu(y) + 1e-3


CASES = {
    # sums and products, and what becomes of them when an operand is repeated
    "add": lambda y: y + torch.relu(y),
    "add twice": lambda y: torch.add(y, y, alpha=3),
    "sub": lambda y: torch.sub(torch.sigmoid(y), y, alpha=2),
    "sub from itself": lambda y: torch.relu(y) - torch.relu(y) + y,
    "mul": lambda y: y * W,
    "mul twice": lambda y: y * y,
    "mul one gate twice": lambda y: (lambda z: z * z)(torch.relu(y)),
    "mul two gates": lambda y: torch.relu(y) * torch.relu(y),
    "mul broadcast": lambda y: torch.relu(y) * torch.sigmoid(y.mean((2, 3), keepdim=True)),
    "div": lambda y: y / W,
    "div by what varies": lambda y: 1 / (torch.relu(y) + 0.5),
    "div both vary": lambda y: torch.tanh(y) / (torch.relu(y) + 0.5),
    "div by itself": lambda y: (lambda z: z / z * y)(y * y + 1),
    "addcmul": lambda y: torch.addcmul(W, y, W),
    "addcmul twice": lambda y: torch.addcmul(W, y, y),
    "addcmul thrice": lambda y: torch.addcmul(y, y, y, value=-0.5),
    "where": lambda y: torch.where(MASK, y, 1 - 2 * y),
    "where by what varies": lambda y: torch.where(y > 0, y, y * y),
    "neg": lambda y: -torch.relu(y),
    "matmul": lambda y: torch.matmul(y, W),
    "matmul twice": lambda y: (lambda z: torch.matmul(z, z))(y),
    "bmm": lambda y: torch.bmm(flat(y), torch.relu(flat(y))),
    "bmm twice": lambda y: (lambda z: torch.bmm(z, z))(flat(y)),
    "mm": lambda y: torch.mm(y.flatten(1), CONV.flatten()[:72].view(36, 2)),
    "mean": lambda y: torch.relu(y).mean(2),
    "sum": lambda y: torch.relu(y).sum((2, 3)),
    # layers
    "conv1d": lambda y: F.conv1d(torch.relu(y.flatten(2)), ROWS, padding=1),
    "conv2d": lambda y: F.conv2d(torch.relu(F.conv2d(y, CONV)), CONV[:4, :1].repeat(1, 5, 1, 1)),
    "convolution": lambda y: aten.convolution.default(
        y, CONV, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1
    ),
    "linear": lambda y: F.linear(torch.relu(y.flatten(1)), CONV.flatten()[:72].view(2, 36)),
    "batch norm": lambda y: F.batch_norm(torch.relu(y), W[0, 0].repeat(4), W[0, 1].abs().repeat(4)),
    "layer norm": lambda y: F.layer_norm(y.mT, [3], W[0], W[1], eps=1.0),
    "layer norm of two axes": lambda y: F.layer_norm(y, [3, 3], W, W, eps=0.1),
    "layer norm without a bias": lambda y: F.layer_norm(y, [3], W[0]),
    "layer norm of channels": lambda y: F.layer_norm(y.permute(0, 2, 3, 1), [4]).permute(
        0, 3, 1, 2
    ),
    "softmax": lambda y: torch.softmax(3 * y, 1),
    "attention": lambda y: F.scaled_dot_product_attention(y, torch.relu(y), 2 * y),
    "attention to what is fixed": lambda y: F.scaled_dot_product_attention(W[:, :1], W[:, :1], y),
    "attention with a mask": lambda y: F.scaled_dot_product_attention(y, y, y, MASK.float() * y),
    "attention, scaled": lambda y: F.scaled_dot_product_attention(y, y, y, scale=2.0),
    "causal attention": lambda y: F.scaled_dot_product_attention(y, y, y, is_causal=True),
    "avg pool": lambda y: F.avg_pool2d(torch.relu(y), 2, 1),
    "adaptive avg pool": lambda y: F.adaptive_avg_pool2d(torch.relu(y), 2),
    "max pool": lambda y: F.max_pool2d(y, 2, 1),
    "adaptive max pool": lambda y: F.adaptive_max_pool2d(y, 2),
    "nearest": lambda y: F.interpolate(torch.relu(y), scale_factor=2),
    "bilinear": lambda y: F.interpolate(torch.relu(y), scale_factor=2, mode="bilinear"),
    # element-wise functions
    "relu": torch.relu,
    "relu6": F.relu6,
    "hardtanh": nn.ReLU6(),
    "clamp": lambda y: torch.clamp(y, -0.5, 1.5),
    "clamp min": lambda y: torch.clamp_min(y, 0.25),
    "clamp max": lambda y: torch.clamp_max(y, 0.25),
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "hard swish": F.hardswish,
    "leaky relu": lambda y: F.leaky_relu(y, 0.2),
    "elu": F.elu,
    "mish": F.mish,
    "abs": torch.abs,
    "sigmoid": torch.sigmoid,
    "hard sigmoid": F.hardsigmoid,
    "softplus": F.softplus,
    "exp": torch.exp,
    "sqrt": lambda y: torch.sqrt(positive(y)),
    "rsqrt": lambda y: torch.rsqrt(torch.relu(y) + 0.1),
    "log": lambda y: torch.log(torch.relu(y) + 0.1),
    "reciprocal": lambda y: torch.reciprocal(torch.relu(y) + 0.2),
    "square": lambda y: y**2,
    "cube": lambda y: y**3,
    "root": lambda y: positive(y) ** (1 / 3),
    "negative power": lambda y: (torch.relu(y) + 0.3) ** -1.5,
    "power of a parameter": lambda y: positive(y).pow(W[0, 0].abs()),
    "general mean": lambda y: y.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3),
    "prelu": lambda y: F.prelu(y, W[0, :1].abs() / 4),
    "prelu by channel": lambda y: F.prelu(y, torch.tensor([0.1, 0.2, 0.3, 0.4])),
    # the same values in another arrangement
    "cat": lambda y: torch.cat([torch.relu(y), y, y], 1),
    "stack": lambda y: torch.stack([y, torch.relu(y), y], 1),
    "constant pad": lambda y: aten.constant_pad_nd.default(y, [1, 1], 2.0),
    "pad": lambda y: F.pad(torch.relu(y), [1, 0, 0, 1]),
    "pad by infinity": lambda y: F.max_pool2d(F.pad(y, [1, 1], value=-torch.inf), 2),
    "permute": lambda y: torch.relu(y).permute(0, 1, 3, 2),
    "transpose": lambda y: torch.relu(y).transpose(1, 2),
    "reshape": lambda y: torch.relu(y).reshape(-1, 4, 9),
    "dropout": lambda y: F.dropout(torch.relu(y), training=False),
    "to": lambda y: y.to(torch.float64).float().relu(),
    "clone": lambda y: torch.relu(y).clone(),
    "flatten": lambda y: torch.relu(y).flatten(2),
    "unsqueeze": lambda y: torch.relu(y).unsqueeze(2),
    "squeeze": lambda y: torch.relu(y.mean(2, keepdim=True)).squeeze(2),
    "squeeze two": lambda y: torch.relu(y.mean((2, 3), keepdim=True)).squeeze((2, 3)),
    "expand": lambda y: torch.relu(y[:, :, :1]).expand(-1, -1, 3, -1),
    "select": lambda y: torch.relu(y).select(2, 1),
    "slice": lambda y: torch.relu(y)[:, 1:3],
    "narrow": lambda y: torch.relu(y).narrow(1, 1, 2),
    "split": lambda y: operator.mul(*torch.split(torch.relu(y), 2, 1)),
    "split unevenly": lambda y: torch.split(torch.relu(y), [1, 3], 1)[1],
    "chunk": lambda y: torch.chunk(torch.relu(y), 2, 1)[1],
    "unbind": lambda y: torch.unbind(torch.relu(y), 2)[1],
    "roll": lambda y: torch.roll(torch.relu(y), 1, 2),
    "flip": lambda y: torch.flip(torch.relu(y), [3]),
    "col2im": lambda y: aten.col2im.default(
        torch.relu(y).flatten(2)[..., :4], [3, 3], [2, 2], [1, 1], [0, 0], [1, 1]
    ),
}


class Case(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, y):
        return self.function(y)


class All(nn.Module):
    """All cases after one layer, so that a single export is enough."""

    def __init__(self):
        super().__init__()
        self.lower = nn.Conv2d(3, 4, 1)
        self.cases = nn.ModuleList(map(Case, CASES.values()))

    def forward(self, x):
        y = self.lower(x)
        return y.mean((2, 3)), [case(y) for case in self.cases]


@pytest.fixture(scope="module")
def network():
    return export_network(seeded(All).eval(), torch.zeros(2, 3, 3, 3))


@pytest.fixture(scope="module")
def segments(network):
    found = {}
    for i, name in enumerate(CASES):
        sizes = tuple(map(int, network.modules[f"cases.{i}"].meta["val"].shape[1:]))
        layers = Layer("lower", (4, 3, 3), 1), Layer(f"cases.{i}", sizes, 1)
        found[name] = GraphSegment(network, *layers)
    return found


@pytest.fixture(scope="module")
def x():
    """Random values, a silent channel, and values at kinks of the functions."""
    x = 2 * torch.randn(3, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    x[0, 0] = 0.0
    x[1, :, 0] = torch.tensor([0.0, 3.0, -3.0])
    x[2, 2, 1] = torch.tensor([6.0, 1.5, -0.5])
    return x


def test_every_row_of_the_table_is_tested(segments):
    tried = {n.target for s in segments.values() for n in s.cut.graph.nodes}
    for segment in segments.values():
        for part in (segment.specialised(0)._own, segment.specialised(0).tail):
            tried |= {node.target for node in part.graph.nodes}
    assert OPS.keys() <= tried, OPS.keys() - tried


@pytest.mark.parametrize("name", CASES)
def test_scores_equal_captum(segments, x, name):
    """At N = 400 with points, nearly exactly, and with secants if the operations have slopes."""
    segment = segments[name]
    neuron = segment.upper.neurons - 1

    def phi(z):
        return segment.upper.pool(segment.run(z))[:, neuron]

    expected = segment.lower.total(IntegratedGradients(phi).attribute(x, n_steps=400))
    scale = float(expected.abs().sum(1).max()) or 1.0
    found = integrated_gradients(segment, neuron, x, steps=400)
    assert float((found.scores - expected).abs().max()) < 1e-4 * scale
    fast = segment.specialised(neuron)
    known = all(
        is_affine(node, varying) or with_slope(node, varying)
        for graph in [fast.tail.graph]
        for varying in [affine_nodes(graph, list(graph.nodes)[1])[0]]
        for node in varying
        if node.op == "call_function"
    )
    assert (fast.secants is not None) == known
    if fast.secants:
        near = integrated_gradients(segment, neuron, x, steps=100, rule=secants)
        assert float((near.scores - expected).abs().max()) < 5e-3 * scale
        few = integrated_gradients(segment, neuron, x, steps=3, rule=secants)
        assert float(few.gap.max()) < 1e-4 * scale


@pytest.mark.parametrize("name", CASES)
def test_nodes_marked_affine_are_affine(segments, x, name):
    """Every affine node is tested at a third of the path; the square of a value is not affine."""
    segment = segments[name]
    start = next(iter(segment.cut.graph.nodes))
    varying, affine = affine_nodes(segment.cut.graph, start)
    tensors = [node for node in affine if isinstance(node.meta.get("val"), torch.Tensor)]

    class Keep(fx.Interpreter):
        def run_node(self, n):
            self.kept[n] = super().run_node(n)
            return self.kept[n]

    def values(z):
        keep = Keep(segment.module)
        keep.kept = {}
        keep.run(z, len(z))
        by_name = {node.name: value for node, value in keep.kept.items()}
        return [by_name[node.name] for node in tensors]

    for low, high, middle in zip(values(x * 0), values(x), values(x / 3), strict=True):
        torch.testing.assert_close(middle, low + (high - low) / 3, rtol=1e-5, atol=1e-5)
    if "twice" in name and name != "add twice":
        assert not varying <= affine


def slopes():
    """Every row with a slope on random inputs and at kinks, for each way to repeat an operand."""
    for target, op in OPS.items():
        if op.slope is not None and target not in NORMS:
            exponents = {
                aten.pow.Tensor_Scalar: [2, 3, 4, 0.5, 1 / 3, 1.5, -1, -2, -0.5],
                aten.clamp.default: [(-0.5, 1.5)],
                aten.hardtanh.default: [(0.0, 6.0)],
            }
            for rest in exponents.get(target, [()]):
                yield target, rest if isinstance(rest, tuple) else (rest,)


NORMS = {
    aten.layer_norm.default,
    aten.softmax.int,
    aten.scaled_dot_product_attention.default,
}
"""operations whose slopes equal the mean derivative only for short cells; see ``test_norms``"""
MATRICES = {aten.matmul.default, aten.bmm.default, aten.mm.default, row_products}
TWO = {aten.mul.Tensor, aten.div.Tensor, *MATRICES}
BOUNDED = {aten.clamp_min.default, aten.clamp_max.default}


@pytest.mark.parametrize(("target", "rest"), list(slopes()))
def test_slopes_equal_the_mean_derivative(target, rest):
    """Also for cells of little or no length, and near the boundary of the domain."""
    generator = torch.Generator().manual_seed(0)
    if target is aten.addcmul.default or target in TWO:
        operands = (
            [[0, 1], [0, 0]] if target in TWO else [[0, 1, 2], [0, 0, 1], [0, 1, 1], [0, 0, 0]]
        )
    else:
        operands = [[0]]
    if target in BOUNDED:
        rest = (0.5,)
    if target is aten.pow.Tensor_Tensor:
        rest = (torch.tensor(1 / 3, dtype=torch.float64),)
    if target is aten.prelu.default:
        rest = (torch.tensor([0.2], dtype=torch.float64),)
    shape = (2, 3, 3) if target in {aten.bmm.default, row_products} else (3, 3)
    for chosen in operands:
        graph = fx.Graph()
        places = [graph.placeholder(f"p{i}") for i in range(max(chosen) + 1)]
        fixed = [graph.placeholder(f"f{i}") for i, v in enumerate(rest) if torch.is_tensor(v)]
        node = graph.call_function(target, (*(places[i] for i in chosen), *(fixed or rest)))
        operation, tensors = with_slope(node, set(places))
        assert tensors == [*(places[i] for i in chosen), *fixed]
        low, high = (
            [2 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in places]
            for _ in "lh"
        )
        bounded = target in {aten.sqrt.default, aten.rsqrt.default, aten.log.default}
        if bounded or target in {aten.pow.Tensor_Tensor, aten.reciprocal.default, aten.div.Tensor}:
            low, high = ([v.abs() + 1e-2 for v in values] for values in (low, high))
        if target is aten.pow.Tensor_Scalar and (rest[0] < 0 or rest[0] % 1):
            low, high = ([v.abs() + 1e-2 for v in values] for values in (low, high))
        high[0][..., 0, 0] = low[0][..., 0, 0]  # a cell of length zero
        high[0][..., 0, 1] = low[0][..., 0, 1] * (1 + 1e-4)  # a very short cell
        ends = [
            [*(v[i] for i in chosen), *(r for r in rest if torch.is_tensor(r))] for v in (low, high)
        ]
        value = operation.value
        gradient = torch.randn(value(*ends[0]).shape, generator=generator, dtype=torch.float64)
        found = operation.pull(gradient, *ends)
        means = [torch.zeros_like(v) for v in low]
        points, weights = np.polynomial.legendre.leggauss(600)
        for at, weight in zip((points + 1) / 2, weights / 2, strict=True):
            here = [torch.lerp(a, b, at).requires_grad_() for a, b in zip(low, high, strict=True)]
            phi = (value(*(here[i] for i in chosen), *ends[0][len(chosen) :]) * gradient).sum()
            for mean, part in zip(means, torch.autograd.grad(phi, here), strict=True):
                mean += weight * part
        for i, mean in enumerate(means):
            total = sum(f for f, place in zip(found, chosen, strict=False) if place == i)
            if target is aten.div.Tensor:  # a product in the middle: exact as a sum only
                continue
            torch.testing.assert_close(total, mean, rtol=5e-3, atol=5e-3)
        change = ((value(*ends[1]) - value(*ends[0])) * gradient).sum()
        moved = sum(
            (f * (ends[1][i] - ends[0][i])).sum() for i, f in enumerate(found) if f is not None
        )
        torch.testing.assert_close(moved, change, rtol=1e-4, atol=1e-4)


def test_a_cell_across_a_pole_has_no_slope():
    graph = fx.Graph()
    node = graph.call_function(aten.reciprocal.default, (graph.placeholder("y"),))
    operation, _ = with_slope(node, set(graph.nodes))
    low, high = torch.tensor([-1.0, 1.0, 2.0]), torch.tensor([1.0, 2.0, 2.0])
    (slope,) = operation.pull(torch.ones(3), [low], [high])
    assert slope.isnan().tolist() == [True, False, False]
    torch.testing.assert_close(slope[1:], torch.tensor([-0.5, -0.25]))
