"""The tests check the shapes in annotations at run time (``tests/conftest.py``)."""

import inspect

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError, jaxtyped

from neurflow.circuit.scores import group_scores
from neurflow.config import Config
from neurflow.method import clustering, meanings
from neurflow.method.grouping import reproducibility
from neurflow.model.fast.one_row import row_products
from tests.shapes import checked


def test_wrong_shapes_are_detected_in_tests():
    with pytest.raises(TypeCheckError):
        row_products(torch.zeros(2, 3, 4), torch.zeros(1, 5, 4))
    with pytest.raises(TypeCheckError):
        group_scores(np.zeros((2, 3)), np.zeros((2, 3)))


@pytest.fixture
def many_calls(monkeypatch):
    """Check the functions of modules with too many calls to be checked in every test."""
    for module in (clustering, meanings, reproducibility):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__:
                monkeypatch.setattr(module, name, jaxtyped(function, typechecker=checked))


def test_functions_with_many_calls_have_the_shapes_of_their_annotations(many_calls):
    points = np.random.default_rng(0).normal(size=(24, 6)) + 9 * (np.arange(24) % 2)[:, None]
    images = np.arange(24) // 2
    for null in (True, False):
        assert clustering.ward_clusters(points, 4, null=null).max() >= 1
    assert meanings.reproducible_clusters(points, images, Config()).max() == 1
    halves = images % 2
    assert reproducibility.agreement(images, halves, halves) == 1
    with pytest.raises(TypeCheckError):
        clustering.silhouettes(np.zeros((3, 2)), np.zeros((1, 3), dtype=int))
    with pytest.raises(TypeCheckError):
        reproducibility.agreement(images, halves, halves[1:])
