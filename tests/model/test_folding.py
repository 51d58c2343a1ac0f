"""Folded batch norms: equal outputs, no norm left, and all layers still available."""

import pytest
import torch
from torch import nn

from neurflow.model.network.extract import extract
from neurflow.model.network.folding import BATCH_NORM
from neurflow.model.network.graph import aten, export_network
from tests.networks import settle


class Norms(nn.Module):
    """Norms after a convolution, after a ReLU, and after a convolution that is used twice."""

    def __init__(self, affine=True):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6, affine=affine)
        self.norm2 = nn.BatchNorm2d(6)
        self.third, self.norm3 = nn.Conv2d(6, 6, 1, groups=2), nn.BatchNorm2d(6)

    def forward(self, x):
        x = self.norm2(torch.relu(self.norm1(self.first(x))))
        y = self.third(x)
        return (self.norm3(y) + y).mean((2, 3))


@pytest.mark.parametrize("affine", [True, False])
def test_folding_does_not_change_outputs(affine):
    module = settle(Norms(affine))
    network = export_network(module, torch.zeros(2, 3, 8, 8))
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = extract(network.root, [network.input], [network.output])
    targets = [node.target for node in whole.graph.nodes]
    assert BATCH_NORM not in targets
    assert targets.count(aten.conv2d.default) == 2
    assert targets.count(aten.addcmul.default) == 2  # norm2, and norm3 whose input is used twice
    with torch.no_grad():
        torch.testing.assert_close(whole(images)[0], module(images), rtol=1e-5, atol=1e-5)


def test_requested_outputs_are_not_changed_by_folding():
    """The convolution's own output is correct even if a norm that could be folded is requested too."""
    module = settle(Norms())
    network = export_network(module, torch.zeros(2, 3, 8, 8))
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    names = ["first", "norm1"]
    both = extract(network.root, [network.input], [network.modules[name] for name in names])
    with torch.no_grad():
        first, normed = both(images)
        torch.testing.assert_close(first, module.first(images))
        torch.testing.assert_close(normed, module.norm1(module.first(images)), rtol=1e-5, atol=1e-5)


def test_folded_weights_are_computed_once():
    network = export_network(settle(Norms()), torch.zeros(2, 3, 8, 8))
    made = [extract(network.root, [network.input], [network.output]) for _ in range(2)]
    names = [{n.target for n in each.graph.nodes if n.op == "get_attr"} for each in made]
    assert names[0] == names[1]
    assert sum(name.startswith("folded_") for name in dict(network.root.named_buffers())) == 6
