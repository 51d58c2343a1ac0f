"""Pictures of whole images and their heat maps, compared with hooks and loops."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from neurflow import Config, Model, discover
from neurflow.method.assembly import _histogram
from neurflow.method.surroundings import FINEST, HOTTEST, IMAGES, PICTURE, coarse, images_of
from neurflow.model.loading import Preprocessing
from neurflow.pictures.images import load_images
from neurflow.refs import HeatMap
from tests.networks import SmallNet, settle

SIDE = 32


@pytest.fixture(scope="module")
def studied():
    """A circuit, its model and its pictures."""
    torch.manual_seed(0)
    transform = Preprocessing(resize=None, crop=(SIDE, SIDE), mean=(0.5,) * 3, std=(0.5,) * 3)
    model = Model(settle(SmallNet()), transform=transform, class_names=["ant", "bee", "cat", "dog"])
    generator = np.random.default_rng(3)
    pictures = [
        Image.fromarray(generator.integers(0, 255, (6, 6, 3), dtype=np.uint8)).resize((SIDE, SIDE))
        for _ in range(12)
    ]
    images = load_images(pictures, model)
    with torch.no_grad():
        answers = model.module(torch.stack([images.read(i) for i in range(12)])).argmax(1)
    target = model.class_names[int(answers.mode().values)]
    return model, images, discover(model, images, target, config=Config(tau=3, k=12))


def test_every_group_is_shown_on_the_images_of_its_first_crops(studied):
    _, _, circuit = studied
    for layer in circuit.layers:
        for group in layer.groups:
            images = images_of(group)
            assert 0 < len(images) <= IMAGES
            assert images[0] == group.crops[0].image
            assert set(images) <= {crop.image for crop in group.crops}
            assert set(images) <= set(circuit.pictures)
    for data in circuit.pictures.values():
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.format == "WEBP"
            assert max(picture.size) == min(SIDE, PICTURE)


def test_heat_maps_follow_the_activations(studied):
    model, images, circuit = studied
    positions = [next(i for i, r in enumerate(images.refs) if r == ref) for ref in circuit.images]
    compared = 0
    for layer in circuit.layers[:-1]:
        seen = {}
        module = model.module.get_submodule(layer.name)
        with (
            module.register_forward_hook(lambda m, i, out, seen=seen: seen.update(out=out[0])),
            torch.no_grad(),
        ):
            for group in layer.groups:
                for image in images_of(group):
                    model.module(images.read(positions[image])[None])
                    total = np.zeros(seen["out"].shape[1:])
                    for s, mean in zip(group.neurons, group.calibration.means, strict=True):
                        total += np.maximum(seen["out"][s].numpy(), 0) / (abs(mean) + 1e-6)
                    expected = coarse((total / len(group.neurons)).astype(np.float32))
                    found = circuit.heat[group.id, image]
                    assert found[:2] == expected[:2]
                    off = np.subtract(list(found.values), list(expected.values), dtype=float)
                    assert np.abs(off).max() <= 1  # of 255 steps
                    compared += 1
    assert compared > 5
    top = circuit.layers[-1].name
    assert not [key for key in circuit.heat if key[0].startswith(f"{top}/")]


def test_fine_maps_are_averaged_and_coarse_ones_kept():
    heat = np.zeros((2 * FINEST, 3), dtype=np.float32)
    heat[0] = [HOTTEST, HOTTEST / 2, 2 * HOTTEST]
    assert coarse(heat) == HeatMap(FINEST, 3, bytes([128, 64, 255, *[0] * (3 * (FINEST - 1))]))


def test_values_that_differ_only_by_rounding_have_a_histogram():
    """As the means of feature maps after an instance norm."""
    phi = np.array([1.0, np.nextafter(np.float32(1), np.float32(2))] * 3, dtype=np.float32)
    assert sum(_histogram(phi).counts) == len(phi)


def test_histograms_count_every_crop(studied):
    _, _, circuit = studied
    for layer in circuit.layers:
        for neuron in layer.neurons.values():
            histogram = neuron.histogram
            assert sum(histogram.counts) == circuit.crop_count
            assert histogram.high == pytest.approx(neuron.activations[0], rel=1e-6)
            width = (histogram.high - histogram.low) / len(histogram.counts)
            beyond = sum(phi >= histogram.high - width for phi in neuron.activations)
            assert histogram.counts[-1] >= min(beyond, 1)
