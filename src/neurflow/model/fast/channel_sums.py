"""Scores of ``x`` from the gradients at the output of a convolution of ``x``.

Scores need only the sum of ``x ⊙ Wᵀg`` over space, for each channel of ``x``. This sum is linear in
the gradient ``g``, and its matrix depends only on the crop: it says how much each channel of ``x``
contributes to each output of the convolution. Computing the matrix takes as many multiplications as
one transposed convolution. With the matrix, every further gradient takes only as many as a 1×1
convolution.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import unfold

from neurflow.model.fast.products import factors
from neurflow.model.fast.pullback import Window, transposed

MANY = 8
"""smallest number of gradients of a crop for which the matrix is worthwhile"""
CHANNELS = 16
"""number of channels of ``x`` at a time, so that their part of the matrix fits into the cache"""


def channel_sums(
    x: Float[Tensor, "channel height width"],
    weight: Float[Tensor, "output channel rows columns"],
    window: Window,
    gradients: Float[Tensor, "pair output h w"],
) -> Float[Tensor, "pair channel"]:
    """Return ``x ⊙ Wᵀg`` summed over space, for several gradients ``g``.

    Args:
        x: input of the convolution.
        weight: its weight; there is one group.
        window: its stride, padding and dilation.
        gradients: gradients at its output.
    """
    dtype = gradients.dtype
    x, weight, gradients = factors(x, weight, gradients)
    outputs, channels, *kernel = weight.shape
    stride, padding, dilation = map(tuple, window)
    seen = unfold(x[:, None], tuple(kernel), dilation, padding, stride)
    seen = seen.transpose(1, 2).contiguous()
    taps = weight.permute(1, 2, 3, 0).reshape(channels, -1, outputs).contiguous()
    places = seen.shape[1]
    flat = gradients.permute(0, 2, 3, 1).reshape(len(gradients), -1)
    found = flat.new_empty(len(flat), channels)
    matrix = flat.new_empty(CHANNELS, places, outputs)
    for first in range(0, channels, CHANNELS):
        some = slice(first, min(first + CHANNELS, channels))
        part = matrix[: some.stop - first]
        torch.bmm(seen[some], taps[some], out=part)
        found[:, some] = flat @ part.flatten(1).T
    return found.to(dtype)


class Sums:
    """Sums the scores of pairs of several crops.

    Attributes:
        total: ``[pair, channel]`` the scores so far.

    Args:
        x: ``[pair, channel, height, width]``, the same for pairs of one crop.
        crops: number of each pair's crop. Pairs of the same crop are adjacent.
    """

    def __init__(self, x: Tensor, crops: Int[Tensor, " pair"]) -> None:
        self._x = x
        self._counts = torch.unique_consecutive(crops, return_counts=True)[1].tolist()
        self.total = x.new_zeros(x.shape[:2])

    def add(self, gradient: Tensor, weight: Tensor, window: Window) -> None:
        """Add the scores from gradients ``[pair, …]`` at the output of a convolution of ``x``."""
        few: list[int] = []
        first = 0
        for count in self._counts:
            own = slice(first, first + count)
            if count < MANY:
                few += range(own.start, own.stop)
            else:
                self.total[own] += channel_sums(self._x[first], weight, window, gradient[own])
            first += count
        if few:
            x = self._x[few]
            self.total[few] += (x * transposed(gradient[few], x.shape, weight, window)).sum((2, 3))
