"""The transpose of a convolution is the gradient at its input."""

import pytest
import torch

from neurflow.model.fast import pullback


@pytest.mark.parametrize(
    ("kernel", "window"),
    [
        ((3, 3), ([1, 1], [1, 1], [1, 1])),
        ((1, 1), ([1, 1], [0, 0], [1, 1])),
        ((3, 2), ([1, 1], [2, 0], [1, 1])),
        ((3, 3), ([1, 1], [1, 2], [2, 3])),
    ],
)
def test_a_convolution_of_stride_1_is_transposed_by_another_convolution(kernel, window):
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(s, generator=generator) for s in ((2, 4, 9, 8), (6, 4, *kernel)))
    value, transpose = torch.func.vjp(lambda x: torch.conv2d(x, weight, None, *window), x)
    gradient = torch.randn(value.shape, generator=generator)
    (expected,) = transpose(gradient)
    for found in (
        pullback._mirrored(gradient, weight.transpose(0, 1), window),
        pullback.transposed(gradient, x.shape, weight, window),
    ):
        torch.testing.assert_close(found, expected)
