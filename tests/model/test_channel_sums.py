"""Scores after a convolution without the gradient at its input equal those of autograd."""

import pytest
import torch
from torch.nn.functional import conv2d

from neurflow.attribution.integrated_gradients import integrated_gradients, secants
from neurflow.model.fast import channel_sums as module
from neurflow.model.fast.channel_sums import Sums, channel_sums
from tests.model.test_graph import model_of
from tests.networks import seeded, settle


def by_autograd(x, weight, window, gradients):
    """``[pair, channel]`` sums over space, computed from the gradient at ``x``."""
    x = x[None].expand(len(gradients), -1, -1, -1).clone().requires_grad_()
    (found,) = torch.autograd.grad(conv2d(x, weight, None, *window), x, gradients)
    return (x * found).sum((2, 3))


@pytest.mark.parametrize(
    "window",
    [([1, 1], [1, 1], [1, 1]), ([2, 2], [1, 1], [1, 1]), ([2, 1], [0, 2], [1, 2])],
)
def test_sums_over_space_equal_the_transposed_convolution(window, monkeypatch):
    monkeypatch.setattr(module, "CHANNELS", 3)  # the last part of five channels is smaller
    torch.manual_seed(0)
    x, weight = torch.randn(5, 9, 7), torch.randn(4, 5, 3, 3)
    gradients = torch.randn(6, *conv2d(x[None], weight, None, *window).shape[1:])
    expected = by_autograd(x, weight, window, gradients)
    torch.testing.assert_close(
        channel_sums(x, weight, window, gradients), expected, rtol=1e-5, atol=1e-4
    )


def test_crops_with_many_and_with_few_pairs_are_combined(monkeypatch):
    monkeypatch.setattr(module, "MANY", 3)
    torch.manual_seed(0)
    crops = torch.tensor([4, 2, 2, 2, 7, 7])
    window = ([1, 1], [1, 1], [1, 1])
    x = torch.randn(8, 5, 6, 6)[crops]
    weight, gradients = torch.randn(4, 5, 3, 3), torch.randn(6, 4, 6, 6)
    sums = Sums(x, crops)
    sums.add(gradients, weight, window)
    expected = [
        by_autograd(own, weight, window, g[None])[0] for own, g in zip(x, gradients, strict=True)
    ]
    torch.testing.assert_close(sums.total, torch.stack(expected), rtol=1e-5, atol=1e-4)


def test_a_basic_block_has_the_same_scores_with_and_without_sums(monkeypatch):
    from torchvision.models.resnet import BasicBlock

    def made():
        block = BasicBlock(8, 8)
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1),
            torch.nn.ReLU(),
            block,
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(8, 4),
        )

    model = model_of(settle(seeded(made)), 6)
    segment = model.segment("1", "2")
    crops = torch.tensor([0, 0, 0, 0, 1, 2, 2])
    x = torch.rand(3, 8, 6, 6, generator=torch.Generator().manual_seed(0))[crops]
    used = []
    monkeypatch.setattr(
        module, "channel_sums", lambda *given: used.append(1) or channel_sums(*given)
    )

    def scores(many):
        monkeypatch.setattr(module, "MANY", many)
        return integrated_gradients(
            segment, torch.arange(7), x, steps=6, rule=secants, crops=crops
        ).scores

    plain = scores(100)
    assert not used
    torch.testing.assert_close(scores(2), plain, rtol=1e-5, atol=1e-6)
    assert len(used) == 2  # two of three crops have several pairs
