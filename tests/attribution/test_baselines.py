"""Paths that start at the mean: comparison with captum, the default for a network, stored values."""

import itertools
from functools import cache, partial

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from neurflow import Config
from neurflow.attribution import AttributionTask, attribute, integrated_gradients
from neurflow.attribution.baselines import baseline_name
from neurflow.attribution.integrated_gradients import gauss_legendre, graded, sinh
from neurflow.method.concepts import find_concepts
from tests.attribution.test_integrated_gradients import observed, phi
from tests.model.test_graph import model_of
from tests.networks import FAMILIES, seeded, settle, tiny_vit
from tests.studies import inputs, study_of


def tiny_convnext():
    return ConvNeXt(
        [CNBlockConfig(8, 12, 2), CNBlockConfig(12, None, 2)], layer_scale=1.0, num_classes=5
    )


@cache
def network(name):
    build, size = {"vit": (tiny_vit, 32), "convnext": (tiny_convnext, 32)}.get(name) or FAMILIES[
        name
    ]
    return model_of(settle(seeded(build)), size)


def blocks_of(name):
    """(segment, x, bypass) of every pair of adjacent layers."""
    model = network(name)
    size = model.input_size[1]
    images = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(2))
    for lower, upper in itertools.pairwise(model.proposed_layers()):
        segment = model.segment(lower, upper)
        yield segment, *observed(model, segment, images)


@pytest.mark.parametrize("name", ["vit", "convnext", "resnet18"])
def test_scores_from_the_mean_equal_captum(name):
    for segment, x, bypass in blocks_of(name):
        neuron = segment.upper.neurons // 2
        start = x.mean(0, keepdim=True)
        oracle = IntegratedGradients(lambda z, s=segment, h=bypass, n=neuron: phi(s, z, h, n))
        expected = oracle.attribute(x, baselines=start.expand_as(x[:1]), n_steps=12)
        expected = segment.lower.total(expected)
        found = integrated_gradients(segment, neuron, x, bypass, steps=12, baseline=start)
        scale = expected.abs().max().clamp_min(1e-12)
        assert (found.scores - expected).abs().max() / scale < 1e-4, segment.upper.name
        with torch.no_grad():
            at_start = phi(segment, start.expand_as(x), bypass, neuron)
            change = phi(segment, x, bypass, neuron) - at_start
        torch.testing.assert_close(found.change, change, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["vit", "convnext"])
def test_few_points_and_cells_are_accurate_behind_norms(name):
    """From zero and from the mean; cells are complete for any N."""
    segment, x, bypass = list(blocks_of(name))[-2]
    means = x.mean(0, keepdim=True)
    for start, points in ((None, sinh), (means, gauss_legendre)):

        def scores(steps, rule, start=start):
            return integrated_gradients(
                segment, 1, x, bypass, steps=steps, rule=rule, baseline=start
            )

        limit = scores(200, sinh).scores
        scale = limit.abs().sum()
        assert (scores(10, points).scores - limit).abs().sum() < 0.01 * scale
        assert (scores(16, graded).scores - limit).abs().sum() < 0.01 * scale
        assert scores(2, graded).gap.sum() < 1e-4 * scale


@pytest.mark.parametrize("name", ["vit", "convnext"])
def test_sharing_work_of_a_crop_does_not_change_scores(name):
    segment, x, bypass = list(blocks_of(name))[-2]
    crops = torch.tensor([0, 0, 0, 1, 2, 2])
    pairs = torch.tensor([0, 3, 5, 1, 3, 4])
    held = [value[crops] for value in bypass]
    run = partial(
        integrated_gradients, segment, pairs, x[crops], held, steps=5, rule=gauss_legendre
    )
    together, alone = run(crops=crops), run()
    scale = alone.scores.abs().max()
    torch.testing.assert_close(together.scores, alone.scores, rtol=1e-4, atol=1e-5 * float(scale))
    torch.testing.assert_close(together.change, alone.change, rtol=1e-4, atol=1e-5)
    assert segment.specialised(0).parted is not None


@pytest.mark.parametrize(
    ("name", "expected"), [("vit", "mean"), ("convnext", "mean"), ("mobilenet_v2", "zero")]
)
def test_the_default_baseline_depends_on_the_network(name, expected):
    for segment, *_ in blocks_of(name):
        assert baseline_name(segment, "auto") == expected
        assert baseline_name(segment, "zero") == "zero"


def test_the_published_path_starts_at_zero():
    assert Config().baseline == "auto"
    assert Config.published().baseline == "zero"
    earlier = Config().model_dump()
    del earlier["baseline"]
    assert Config.stored(earlier)["baseline"] == "zero"


@pytest.mark.parametrize("steps", [8, "auto"])
def test_paths_start_at_the_mean_over_all_crops(tmp_path, steps):
    model = network("vit")
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    config = Config(k=6, steps=steps, granularities=(1.0, 0.5), tolerance=0.01)
    layers = model.proposed_layers()[-3:]
    study = study_of(model, inputs(images), layers, config, tmp_path)
    pair = study.pair(layers[1])
    concepts = find_concepts(study, layers[1], [2], config)
    found = attribute(AttributionTask(study, pair, concepts, config))[2]
    numbers = concepts[2].crops
    with torch.no_grad():
        x, *bypass = model.outputs(list(pair.segment.observed))(study.crops.pixels(numbers))
    with torch.no_grad():
        everything = study.crops.pixels(np.arange(len(study.crops)))
        start = model.outputs([model.node(layers[0])])(everything)[0].mean(0, keepdim=True)
    goal = integrated_gradients(pair.segment, 2, x, bypass, steps=64, baseline=start).scores.numpy()
    off = np.abs(found.importance - np.abs(goal).mean(0)).sum() / np.abs(goal).mean(0).sum()
    assert off < 0.01 and found.score_error < 0.02
    net = np.abs(goal.sum(1)).sum()
    assert found.cancellation == pytest.approx(np.abs(goal).sum() / net, rel=0.02)
    assert found.rule == "gauss"
