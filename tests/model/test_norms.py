"""Slopes of layer norm, softmax and attention: the whole change, and the mean derivative."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from neurflow.model.fast.norms import Attention, LayerNorm, Softmax, logarithmic_mean

DRAWN = torch.Generator().manual_seed(0)
WEIGHT = torch.tensor([1.0, -2.0, 0.5, 1.0], dtype=torch.float64)
NORM = LayerNorm(lambda x, w: F.layer_norm(x, [4], w, eps=1e-6), (-1,), 1e-6, weighted=True)
SOFTMAX = Softmax(lambda z: z.softmax(1), 1)
ATTENTION = Attention(F.scaled_dot_product_attention, None)


def drawn(*shape):
    return torch.randn(shape, generator=DRAWN, dtype=torch.float64)


def mean_derivatives(operation, gradient, low, high, points=200):
    """Mean derivative by each input on the line from ``low`` to ``high``, by Gauss-Legendre points."""
    found = [torch.zeros_like(v) for v in low]
    places, weights = np.polynomial.legendre.leggauss(points)
    for at, weight in zip((places + 1) / 2, weights / 2, strict=True):
        here = [torch.lerp(a, b, at).requires_grad_() for a, b in zip(low, high, strict=True)]
        parts = torch.autograd.grad(operation.value(*here), here, gradient)
        found = [total + weight * part for total, part in zip(found, parts, strict=True)]
    return found


def ends(operation):
    """Two random inputs."""
    if operation is NORM:
        return [drawn(3, 4), WEIGHT], [drawn(3, 4), WEIGHT]
    if operation is SOFTMAX:
        return [drawn(2, 5, 3)], [drawn(2, 5, 3)]
    return [drawn(2, 5, 4) for _ in "qkv"], [drawn(2, 5, 4) for _ in "qkv"]


@pytest.mark.parametrize("operation", [NORM, SOFTMAX, ATTENTION])
@pytest.mark.parametrize("far", [1e-9, 1e-3, 1.0, 30.0])
def test_slopes_give_the_whole_change_of_a_cell(operation, far):
    low, high = ends(operation)
    high = [torch.lerp(a, b, far) for a, b in zip(low, high, strict=True)]
    change = operation.value(*high) - operation.value(*low)
    gradient = torch.randn(change.shape, generator=DRAWN, dtype=torch.float64)
    pulled = operation.pull(gradient, low, high)
    moved = sum(
        (p * (b - a)).sum() for p, a, b in zip(pulled, low, high, strict=True) if p is not None
    )
    torch.testing.assert_close(moved, (gradient * change).sum(), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("operation", [NORM, SOFTMAX, ATTENTION])
def test_the_distance_from_the_mean_derivative_falls_with_the_square_of_a_cell(operation):
    low, high = ends(operation)
    gradient = torch.randn(operation.value(*low).shape, generator=DRAWN, dtype=torch.float64)

    def distance(length):
        near = [torch.lerp(a, b, length) for a, b in zip(low, high, strict=True)]
        means = mean_derivatives(operation, gradient, low, near)
        found = operation.pull(gradient, low, near)
        return max(
            float((f - m).abs().max()) for f, m in zip(found, means, strict=True) if f is not None
        )

    assert distance(0.02) < distance(0.1) / 20


@pytest.mark.parametrize("low", [0.0, 1e-5, 0.03])
def test_the_slope_of_a_norm_is_exact_if_only_the_size_changes(low):
    """From zero, from below √ε and from above: σ grows by a factor of up to 1000."""
    x, gradient = drawn(3, 4), drawn(3, 4)
    found, _ = NORM.pull(gradient, [low * x, WEIGHT], [x, WEIGHT])
    way = torch.linspace(np.arcsinh(low * 1e4), np.arcsinh(1e4), 4001, dtype=torch.float64)
    points = torch.sinh(way) / 1e4
    z = (points[:, None, None] * x).requires_grad_()
    (slopes,) = torch.autograd.grad(NORM.value(z, WEIGHT), z, gradient.expand(len(points), -1, -1))
    mean = torch.trapezoid(slopes, points, dim=0) / (1 - low)
    torch.testing.assert_close(found, mean, rtol=1e-5, atol=1e-5 * float(mean.abs().max()))


def test_slopes_of_a_softmax_of_two_by_hand():
    """p goes from (1/2, 1/2) to (1/5, 4/5) as the second logit grows by log 4."""
    low, high = torch.zeros(1, 2), torch.tensor([[0.0, np.log(4)]], dtype=torch.float32)
    (found,) = SOFTMAX.pull(torch.tensor([[0.0, 1.0]]), [low], [high])
    torch.testing.assert_close(found, torch.tensor([[-1.0, 1.0]]) * 0.3 / float(np.log(4)))


def test_masked_positions_get_no_attribution():
    low, high = torch.zeros(1, 3), torch.tensor([[1.0, 2.0, 0.0]])
    low[0, 2] = high[0, 2] = -torch.inf
    (found,) = SOFTMAX.pull(torch.tensor([[1.0, 0.0, 5.0]]), [low], [high])
    assert found[0, 2] == 0 and found.isfinite().all()


def test_logarithmic_means():
    low, high = (
        torch.tensor([0.0, 1.0, 2.0, -torch.inf]),
        torch.tensor([0.0, 1.001, 5.0, -torch.inf]),
    )
    exact = [1.0, np.exp(1.0005), (np.exp(5) - np.exp(2)) / 3, 0.0]
    assert logarithmic_mean(low, high).tolist() == pytest.approx(exact, rel=1e-5)
