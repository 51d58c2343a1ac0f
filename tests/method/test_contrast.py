"""The circuit of a difference of classes uses pictures of both."""

from __future__ import annotations

import numpy as np
import pytest
from torchvision.transforms import Compose, Resize, ToTensor

import neurflow
from neurflow.method.concepts import difference_concept
from tests.labels.test_concepts import Colours, folder

__all__ = ["folder"]  # a fixture


def test_each_class_has_its_own_crops_and_core_neurons(folder) -> None:
    """Class 0 is red and class 1 is blue; green supports neither."""
    model = neurflow.Model(Colours(), transform=Compose([Resize(16), ToTensor()]))
    config = neurflow.Config(tau=3, k=6, concept_set="all", granularities=(1.0,))
    found = neurflow.discover(model, folder, "0-1", layers=["seen"], config=config)
    neuron = found.layers[-1].neurons[0]
    assert len(neuron.semantic_groups) == 2
    for part, name, sign, channel in zip(
        neuron.semantic_groups, ("red", "deep_blue"), (1, -1), (0, 2), strict=True
    ):
        crops = [neuron.crops[position] for position in part.crops]
        assert {found.images[crop.image].name.split("/")[0] for crop in crops} == {name}
        rated = [sign * neuron.activations[position] for position in part.crops]
        assert min(rated) > 0 and rated == sorted(rated, reverse=True)
        assert sign * part.weights[channel] > 0.8
    red, blue = found.layers[-1].groups  # each class has core neurons of its own
    assert np.allclose(red.calibration.crop_scores, 1, atol=0.3)
    assert np.allclose(blue.calibration.crop_scores, 1, atol=0.3)
    assert max(blue.calibration.image_scores) < 2


def test_without_crops_for_the_second_class_there_is_one_meaning() -> None:
    previous = np.arange(12.0)[:, None]
    crops = (np.array([5, 4, 3]), np.array([0, 1, 2]))
    found = difference_concept(crops, (np.array([3.0, 2, 1]), np.array([0.5, 0.6, 0.7])), previous)
    assert found.crops.tolist() == [5, 4, 3] and found.meaning.tolist() == [0, 0, 0]


def test_no_crop_is_used_for_both_classes() -> None:
    previous = np.arange(12.0)[:, None]
    crops = (
        np.array([2, 1, 0, 3]),
        np.array([3, 0, 1, 2]),
    )  # with four crops, all are in both lists
    found = difference_concept(
        crops, (np.array([2.0, 1, -1, -2]), np.array([-2.0, -1, 1, 2])), previous
    )
    assert found.crops.tolist() == [2, 1, 3, 0] and found.meaning.tolist() == [0, 0, 1, 1]
    assert found.vectors[:, 0] == pytest.approx([1.5, 1.5])
