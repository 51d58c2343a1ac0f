"""Slopes of secants, and scores of networks that are small enough for computation by hand."""

import pytest
import torch
from torch import nn

from neurflow.attribution.integrated_gradients import integrated_gradients, secants
from neurflow.model.cut.segment import GraphSegment
from neurflow.model.fast.slopes import gate_slope, secant_slope
from neurflow.model.network.graph import export_network
from neurflow.model.network.layers import Layer

ENDS = [(-1.0, 3.0), (3.0, -1.0), (1.0, 2.0), (-2.0, -1.0), (2.0, 2.0), (-2.0, -2.0), (0.0, 0.0)]


def relu6(z):
    return torch.clamp(z, 0, 6)


@pytest.mark.parametrize(("function", "top"), [(torch.relu, float("inf")), (relu6, 6.0)])
@pytest.mark.parametrize(("low", "high"), [*ENDS, (-3.0, 9.0), (4.0, 8.0), (7.0, 8.0)])
def test_the_slope_of_a_relu_is_the_share_of_the_cell_where_it_is_active(function, top, low, high):
    way = torch.linspace(low, high, 100_001)
    found = float(gate_slope(function, torch.tensor([low]), torch.tensor([high])))
    share = float(((way > 0) & (way < top)).float().mean())
    assert found == pytest.approx(share, abs=2e-5)


@pytest.mark.parametrize("function", [torch.sigmoid, torch.nn.functional.gelu, torch.tanh])
@pytest.mark.parametrize(("low", "high"), ENDS)
def test_secant_slopes_equal_the_mean_derivative(function, low, high):
    way = torch.linspace(low, high, 10_001, dtype=torch.float64).requires_grad_()
    (derivative,) = torch.autograd.grad(function(way).sum(), way)
    found = float(secant_slope(function, torch.tensor([low]), torch.tensor([high])))
    assert found == pytest.approx(float(derivative.mean()), abs=5e-4)


@pytest.mark.parametrize("power", [3.0, 0.5, 1 / 3, -0.5])
@pytest.mark.parametrize("ends", [(1e-18, 3e-18), (1e-18, 1e-18), (1e-9, 1.0), (2.0, 2.0 + 1e-6)])
def test_slopes_near_the_boundary_of_the_domain(power, ends):
    """The slope of a root near 0 uses no value outside the cell: x and y are scaled together."""
    low, high = (torch.tensor([end], dtype=torch.float64) for end in ends)
    found = float(secant_slope(lambda z: z**power, low, high, scale=0.0))
    a, b = ends
    exact = (
        (b**power - a**power) / (b - a) if b > 1.01 * a else power * ((a + b) / 2) ** (power - 1)
    )
    assert found == pytest.approx(exact, rel=1e-4)


class TwoInputs(nn.Module):
    """φ = relu(2 a − b − 1) of two channels a, b."""

    def __init__(self):
        super().__init__()
        self.lower = nn.Conv2d(2, 2, 1, bias=False)
        self.upper = nn.Conv2d(2, 1, 1)
        nn.init.eye_(self.lower.weight.data[:, :, 0, 0])
        self.upper.weight.data = torch.tensor([[[[2.0]], [[-1.0]]]])
        self.upper.bias.data = torch.tensor([-1.0])
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.upper(self.lower(x))).flatten(1)


@pytest.mark.parametrize("cells", [1, 2, 5])
def test_one_relu_by_hand(cells):
    """a = 3, b = 1: z runs from −1 to 4, and 4/5 of it are positive: T_a = 6 · 4/5, T_b = −1 · 4/5."""
    network = export_network(TwoInputs().eval(), torch.zeros(2, 2, 1, 1))
    segment = GraphSegment(network, Layer("lower", (2, 1, 1), 1), Layer("act", (1, 1, 1), 1))
    x = torch.tensor([3.0, 1.0]).reshape(1, 2, 1, 1)
    found = integrated_gradients(segment, 0, x, steps=cells, rule=secants)
    torch.testing.assert_close(found.scores, torch.tensor([[4.8, -0.8]]))
    torch.testing.assert_close(found.change, torch.tensor([4.0]))


class Still(nn.Module):
    """φ = relu(a − b + 1)."""

    def __init__(self):
        super().__init__()
        self.lower = nn.Conv2d(2, 2, 1, bias=False)
        nn.init.eye_(self.lower.weight.data[:, :, 0, 0])

    def forward(self, x):
        a, b = torch.split(self.lower(x), 1, 1)
        return torch.relu(a - b + 1).flatten(1)


@pytest.mark.parametrize("cells", [1, 4])
def test_a_relu_with_constant_input_by_hand(cells):
    """With a = b = 2 the ReLU is always active: T = (2, −2), although the output is constant."""
    network = export_network(Still().eval(), torch.zeros(2, 2, 1, 1))
    segment = GraphSegment(network, Layer("lower", (2, 1, 1), 1), Layer("output", (1,), 1))
    x = torch.tensor([2.0, 2.0]).reshape(1, 2, 1, 1)
    found = integrated_gradients(segment, 0, x, steps=cells, rule=secants)
    torch.testing.assert_close(found.scores, torch.tensor([[2.0, -2.0]]))
    torch.testing.assert_close(found.change, torch.tensor([0.0]))


class Product(nn.Module):
    """φ = relu(a) · relu(b)."""

    def __init__(self):
        super().__init__()
        self.lower = nn.Conv2d(2, 2, 1, bias=False)
        nn.init.eye_(self.lower.weight.data[:, :, 0, 0])

    def forward(self, x):
        a, b = torch.split(torch.relu(self.lower(x)), 1, 1)
        return (a * b).flatten(1)


@pytest.mark.parametrize("cells", [1, 3])
def test_a_product_by_hand(cells):
    """On the path, a b is α² a b, so half of the change is due to each factor."""
    network = export_network(Product().eval(), torch.zeros(2, 2, 1, 1))
    segment = GraphSegment(network, Layer("lower", (2, 1, 1), 1), Layer("output", (1,), 1))
    x = torch.tensor([3.0, 2.0]).reshape(1, 2, 1, 1)
    found = integrated_gradients(segment, 0, x, steps=cells, rule=secants)
    torch.testing.assert_close(found.scores, torch.tensor([[3.0, 3.0]]))
