"""The suite checks the shapes that annotations give (``tests/conftest.py``)."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from neurflow.circuit.scores import group_scores
from neurflow.model.fast.one_row import row_products


def test_a_wrong_shape_is_caught_in_tests():
    with pytest.raises(TypeCheckError):
        row_products(torch.zeros(2, 3, 4), torch.zeros(1, 5, 4))
    with pytest.raises(TypeCheckError):
        group_scores(np.zeros((2, 3)), np.zeros((2, 3)))
