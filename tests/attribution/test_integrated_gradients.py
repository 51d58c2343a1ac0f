"""Integrated gradients compared with captum, the plain definition and results by hand."""

import itertools

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients

from neurflow import Model
from neurflow.attribution import integrated_gradients
from neurflow.attribution.integrated_gradients import (
    gauss_legendre,
    graded_midpoints,
    steep_gauss,
)
from tests.model.test_graph import model_of
from tests.networks import FAMILIES, Awkward, TwoLayer, settle
from tests.reference import method
from tests.studies import family

STEPS = 12


def observed(model, segment, images):
    with torch.no_grad():
        x, *bypass = model.outputs([model.node(segment.lower.name), *segment.bypass])(images)
    return x, bypass


def phi(segment, x, bypass, neuron):
    """φ_a of a batch by the full segment; bypass tensors are repeated to the batch size."""
    repeated = [
        torch.cat([h] * (len(x) // h.shape[axis]), axis)
        for h, axis in zip(bypass, (0,) * len(bypass), strict=True)
    ]
    return segment.upper.pool(segment.run(x, repeated))[:, neuron]


@pytest.mark.parametrize("name", FAMILIES)
def test_equals_captum_on_every_family(name):
    model = family(name)
    images = torch.randn(3, *model.input_size, generator=torch.Generator().manual_seed(2))
    layers = model.proposed_layers()
    for lower, upper in itertools.pairwise(layers):
        segment = model.segment(lower, upper)
        x, bypass = observed(model, segment, images)
        neuron = segment.upper.neurons // 2
        oracle = IntegratedGradients(lambda z, s=segment, h=bypass, n=neuron: phi(s, z, h, n))
        expected = segment.lower.total(oracle.attribute(x, n_steps=STEPS))
        found = integrated_gradients(segment, neuron, x, bypass, steps=STEPS)
        scale = expected.abs().max().clamp_min(1e-12)
        assert (found.scores - expected).abs().max() / scale < 1e-4, (lower, upper)
        with torch.no_grad():
            change = phi(segment, x, bypass, neuron) - phi(segment, x * 0, bypass, neuron)
        torch.testing.assert_close(found.change, change, rtol=1e-4, atol=1e-5)


def test_equals_the_plain_definition_with_a_held_tensor():
    model = model_of(settle(Awkward()), 8)
    segment = model.segment("second", "head")
    x, bypass = observed(model, segment, torch.randn(4, 3, 8, 8))
    found = integrated_gradients(segment, 1, x, bypass, steps=STEPS)
    for i in range(4):
        own = [h[i : i + 1] for h in bypass]
        expected = method.integrated_gradients(
            lambda z, own=own: phi(segment, z, own, 1).sum(), x[i : i + 1], STEPS
        )
        torch.testing.assert_close(
            found.scores[i], segment.lower.total(expected)[0], rtol=1e-4, atol=1e-6
        )


def test_a_linear_head_has_a_closed_form():
    """φ = W h: the IG of unit s is exactly its value times its weight."""
    model = Model(TwoLayer(), transform=lambda _: torch.zeros(2, 1, 1))
    segment = model.segment("act", "head")
    x, bypass = observed(model, segment, torch.tensor([[[[3.0]], [[1.0]]]]))
    torch.testing.assert_close(x.flatten(), torch.tensor([3.0, 2.0, 2.0]))
    found = integrated_gradients(segment, 0, x, bypass, steps=3)
    torch.testing.assert_close(found.scores, torch.tensor([[3.0, -2.0, 1.0]]))
    torch.testing.assert_close(found.change, torch.tensor([2.0]))


@pytest.mark.parametrize("name", ["resnet18", "vit"])
def test_more_points_reduce_the_completeness_error(name):
    model = family(name)
    layers = model.proposed_layers()
    segment = model.segment(layers[-3], layers[-2])
    x, bypass = observed(model, segment, torch.randn(3, *model.input_size))
    gaps = [float(integrated_gradients(segment, 0, x, bypass, steps=n).gap.sum()) for n in (2, 64)]
    assert gaps[1] < gaps[0] / 3


def test_points_and_weights_integrate_polynomials_exactly():
    points, weights = gauss_legendre(5)
    assert weights.sum() == pytest.approx(1)
    for power in range(10):
        assert (weights * points**power).sum() == pytest.approx(1 / (power + 1))


@pytest.mark.parametrize("rule", [gauss_legendre, graded_midpoints, steep_gauss])
def test_every_rule_integrates_correctly(rule):
    points, weights = rule(64)
    assert (np.diff(points) > 0).all() and points[0] > 0 and points[-1] < 1
    assert (weights > 0).all() and weights.sum() == pytest.approx(1)
    assert (weights * np.exp(points)).sum() == pytest.approx(np.e - 1, rel=1e-3)


def test_each_rule_is_accurate_on_its_kind_of_integrand():
    """A jump at 0.1, as with a ReLU, and a step within 0.001 of the start, as with a layer norm."""

    def error(rule, change, rate, steps=16):
        points, weights = rule(steps)
        return abs((weights * rate(points)).sum() - change)

    jumps = np.linspace(0.02, 0.3, 29)
    assert sum(
        error(graded_midpoints, 1 - jump, lambda a, jump=jump: a > jump) for jump in jumps
    ) < sum(error(gauss_legendre, 1 - jump, lambda a, jump=jump: a > jump) for jump in jumps)

    def norm_rate(a, eps=1e-6):  # derivative of a / sqrt(a² + ε)
        return eps / (a * a + eps) ** 1.5

    change = 1 / np.sqrt(1 + 1e-6)
    assert (
        error(steep_gauss, change, norm_rate, 32)
        < 0.02
        < error(graded_midpoints, change, norm_rate, 32)
    )


def test_no_gradient_reaches_the_parameters():
    model = model_of(settle(Awkward()), 8)
    segment = model.segment("second", "head")
    x, bypass = observed(model, segment, torch.randn(2, 3, 8, 8))
    integrated_gradients(segment, 0, x, bypass, steps=2)
    assert all(p.grad is None and p.requires_grad for p in model.module.parameters())
