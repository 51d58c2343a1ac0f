"""A trained ViT on photographs: few points are enough, and core neurons from the mean matter most."""

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients

from neurflow import Model, load_images
from neurflow.attribution import integrated_gradients
from neurflow.attribution.integrated_gradients import gauss_legendre, sinh
from neurflow.debugging.masking import Mask
from neurflow.evaluation.ablation import overlap, random_sets
from neurflow.evaluation.optimality import beaten
from neurflow.pictures.crops import CropSet

pytestmark = pytest.mark.real
GOLDEN_RETRIEVER = 3
LAYERS = ["blocks.10", "blocks.11", "head"]
TOP = 15
"""crops of a concept"""


@pytest.fixture(scope="module")
def model(real_data):
    timm = pytest.importorskip("timm")
    from safetensors.torch import load_file

    module = timm.create_model("vit_small_patch14_dinov2", img_size=224, num_classes=10).eval()
    weights = load_file(real_data / "weights" / "vit_small_dinov2.safetensors")
    module.load_state_dict({name: value.float() for name, value in weights.items()})
    return Model(module)


@pytest.fixture(scope="module")
def seen(model, real_data):
    """Layer → its output on 40 crops of two photographs."""
    images = load_images(real_data / "images" / "imagenet20" / "n02099601_golden_retriever", model)
    crops = CropSet(images, [0, 1], model.input_size[1:], (1.0, 0.5, 0.25))
    pixels = crops.pixels(np.arange(0, len(crops), 3))
    keys = [model.node(layer) for layer in LAYERS]
    with torch.inference_mode():
        found = model.outputs(keys)(model.feed(pixels))
    return {layer: value.clone() for layer, value in zip(LAYERS, found, strict=True)}


def mean_of(segment, seen):
    return seen[segment.lower.name].mean(0, keepdim=True)


def error(found, limit):
    return float((found - limit).abs().sum() / limit.abs().sum())


@pytest.mark.parametrize("start", ["zero", "mean"])
def test_scores_of_a_class_differ_by_less_than_1_percent_from_captum(model, seen, start):
    segment = model.segment("blocks.11", "head")
    x = seen["blocks.11"][:1]
    baseline = None if start == "zero" else mean_of(segment, seen)

    def logit(z):
        return segment.run(z)[:, GOLDEN_RETRIEVER]

    oracle = IntegratedGradients(logit).attribute(
        x, baselines=baseline if baseline is None else baseline.expand_as(x), n_steps=1000
    )
    found = integrated_gradients(
        segment,
        GOLDEN_RETRIEVER,
        x,
        steps=8,
        rule=sinh if start == "zero" else gauss_legendre,
        baseline=baseline,
    )
    assert error(found.scores, segment.lower.total(oracle)) < 0.01


@pytest.mark.parametrize("start", ["zero", "mean"])
def test_few_points_are_within_1_percent_of_the_limit(model, seen, start):
    segment = model.segment("blocks.10", "blocks.11")
    x = seen["blocks.10"][:1]
    baseline = None if start == "zero" else mean_of(segment, seen)
    rule = sinh if start == "zero" else gauss_legendre
    few, many = (
        integrated_gradients(segment, 200, x, steps=n, rule=rule, baseline=baseline).scores
        for n in (8, 40)
    )
    assert error(few, many) < 0.01


def test_scores_from_the_mean_cancel_less_and_core_neurons_matter_most(model, seen):
    """Optimality: without eight core neurons, fewer top crops remain than without random neurons."""
    segment = model.segment("blocks.11", "head")
    x, mean = seen["blocks.11"], mean_of(segment, seen)
    logit = seen["head"][:, GOLDEN_RETRIEVER]
    top = logit.topk(TOP).indices
    scores, cancellation = {}, {}
    for start, baseline, rule in (("zero", None, sinh), ("mean", mean, gauss_legendre)):
        found = integrated_gradients(
            segment, GOLDEN_RETRIEVER, x[top], steps=8, rule=rule, baseline=baseline
        ).scores
        scores[start] = found.abs().mean(0)
        cancellation[start] = float(found.abs().sum() / found.sum(1).abs().sum())
    assert cancellation["mean"] < cancellation["zero"] / 4

    means = {"blocks.11": segment.lower.pool(x).mean(0).tolist()}

    def stays(neurons):
        """Overlap of the top crops with those without some neurons."""
        mask = Mask({"blocks.11": neurons}, "mean", means)
        with torch.inference_mode():
            after = segment.run(mask.apply(x, segment.lower))[:, GOLDEN_RETRIEVER]
        return overlap(top.numpy(), after.topk(TOP).indices.numpy())

    core = np.array([stays(scores["mean"].topk(8).indices.tolist())])
    random = np.array([[stays(members)] for members in random_sets(384, 8, 100, seed=0)])
    assert beaten(core, random) <= 0.05
