"""Work shared by the pairs of a crop gives the scores of single pairs and of plain autograd."""

import gc
import sys

import pytest
import torch
from torch import nn
from torchvision.models.densenet import _DenseBlock
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import SqueezeExcitation

from neurflow.attribution.integrated_gradients import (
    gauss_legendre,
    integrated_gradients,
    secants,
)
from neurflow.model.fast import crop_gradient
from neurflow.model.fast.crop_gradient import _Pairs
from neurflow.model.fast.crops import principal
from tests.model.test_graph import model_of
from tests.networks import seeded, settle

CROPS = torch.tensor([0, 0, 0, 1, 2, 2, 3])
"""crop of each pair: several pairs of one crop, and crops with one pair each"""
CELLS = 6


class Gated(nn.Module):
    """A convolution with gated outputs, then a projection and a ReLU."""

    def __init__(self):
        super().__init__()
        self.middle = nn.Sequential(nn.Conv2d(8, 12, 1), nn.SiLU(), nn.Conv2d(12, 12, 3, padding=1))
        self.gate = SqueezeExcitation(12, 4)
        self.project = nn.Conv2d(12, 8, 1)

    def forward(self, x):
        return torch.relu(x + self.project(self.gate(self.middle(x))))


BLOCKS = {
    "basic": lambda: BasicBlock(8, 8),
    "bottleneck": lambda: Bottleneck(8, 2),
    "inverted residual": lambda: InvertedResidual(8, 8, 1, 4),
    "gated": Gated,
    "dense": lambda: _DenseBlock(2, 8, 4, 4, 0.0),
}


def build(block):
    """A small network with the block between two layers."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        BLOCKS[block](),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LazyLinear(4),
    )


@pytest.fixture(scope="module", params=BLOCKS)
def case(request):
    """(segment, neurons, x, held tensors) of seven pairs."""

    def made():
        network = build(request.param)
        network(torch.zeros(1, 3, 6, 6))
        return network

    model = model_of(settle(seeded(made)), 6)
    segment = model.segment("1", "2")
    images = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x, *held = model.outputs([model.node("1"), *segment.bypass])(images)
    serves = torch.from_numpy(segment.specialised(segment.upper.neurons - 1).serves)
    neurons = torch.arange(segment.upper.neurons)[serves]
    pairs = neurons[torch.arange(len(CROPS)) % len(neurons)]
    return segment, pairs, x[CROPS], [value[CROPS] for value in held]


def shared(case, rule=secants, **options):
    segment, pairs, x, held = case
    assert segment.specialised(int(pairs[0])).together is not None
    return integrated_gradients(
        segment, pairs, x, held, steps=CELLS, rule=rule, crops=CROPS, **options
    )


def close(found, expected, tolerance=1e-5):
    scale = expected.abs().max()
    assert scale > 0
    assert (found - expected).abs().max() < tolerance * scale


@pytest.mark.parametrize("rule", [secants, gauss_legendre])
@pytest.mark.parametrize("chunk", [1, 10**6])
def test_shared_work_does_not_change_scores(case, rule, chunk, monkeypatch):
    """With the path in one piece or in several."""
    module = sys.modules["neurflow.attribution.integrated_gradients"]
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", chunk)
    found = shared(case, rule, modes=CELLS)
    segment, pairs, x, held = case
    fast = segment.specialised(int(pairs[0]))
    monkeypatch.setattr(fast, "together", None)
    plain = integrated_gradients(segment, pairs, x, held, steps=CELLS, rule=rule)
    close(found.scores, plain.scores)
    close(found.change, plain.change)
    if rule is secants:
        close(found.scores.sum(1), found.change)


@pytest.mark.parametrize("chunk", [1, 10**6])
@pytest.mark.parametrize("size", [4, 11])
def test_batches_of_steady_sizes_give_the_same_scores(case, chunk, size, monkeypatch):
    """As on a GPU, where batches are filled with copies of their last pair."""
    module = sys.modules["neurflow.attribution.integrated_gradients"]
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", chunk)
    expected = shared(case, modes=3)
    filled = []

    def rounded_batch(count, device):
        filled.append(-count % size)
        return count + filled[-1]

    monkeypatch.setattr(crop_gradient, "rounded_batch", rounded_batch)
    found = shared(case, modes=3)
    close(found.scores, expected.scores)
    close(found.change, expected.change)
    assert any(filled)


def test_targets_of_a_crop_share_one_gradient_in_inverted_residuals(case, request, monkeypatch):
    asked, through = [], _Pairs._through

    def counted(pairs, at_joints):
        asked.append(pairs.count)
        return through(pairs, at_joints)

    monkeypatch.setattr(_Pairs, "_through", counted)
    shared(case)
    inverted = request.node.callspec.params["case"] == "inverted residual"
    assert sum(asked) == (len(CROPS.unique()) if inverted else len(CROPS))


def test_no_tensor_waits_for_the_garbage_collector(case):
    """Reference cycles would keep all values of many crops in memory."""
    shared(case)  # objects that are made only once may have cycles
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        shared(case)
        gc.collect()
        left = [tuple(each.shape) for each in gc.garbage if isinstance(each, torch.Tensor)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []


def test_few_modes_are_complete(case):
    found = shared(case, modes=2)
    close(found.scores.sum(1), found.change)


def test_many_cells_converge_to_integrated_gradients(case):
    segment, pairs, x, held = case
    found = integrated_gradients(
        segment, pairs, x, held, steps=64, rule=secants, crops=CROPS, modes=64
    ).scores
    total = torch.zeros_like(x)
    for point in (torch.arange(400) + 0.5) / 400:
        at = (x * point).requires_grad_()
        phi = segment.upper.pool(segment.run(at, held))[range(len(x)), pairs]
        total += torch.autograd.grad(phi.sum(), at)[0] / 400
    expected = segment.lower.total(x * total)
    assert (found - expected).abs().sum() < 0.02 * expected.abs().sum()


def test_few_modes_are_accurate(case):
    exact = shared(case, modes=CELLS).scores
    lost = [
        float((shared(case, modes=count).scores - exact).abs().sum() / exact.abs().sum())
        for count in (1, 4)
    ]
    assert lost[1] < 0.02
    assert lost[1] <= lost[0]


def test_principal_functions_are_orthonormal_and_begin_with_one():
    lengths = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    slopes = torch.rand(4, 2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for made in principal(slopes, lengths, 3):
        torch.testing.assert_close(made @ torch.diag(lengths) @ made.T, torch.eye(3).double())
        torch.testing.assert_close(made[0], torch.ones(4).double())


def test_slopes_that_switch_at_one_place_need_two_functions():
    lengths = torch.full((4,), 0.25)
    slopes = torch.tensor([0.0, 0.0, 1.0, 1.0])[:, None, None] * torch.tensor([1.0, 2.0])
    (made,) = principal(slopes, lengths, 2)
    torch.testing.assert_close(made[1].abs(), torch.ones(4))
    assert made[1][0] * made[1][3] < 0
