"""Scores of lower neurons without gradients: from activations, from weights, or at random.

* ``activation``: the mean of ``φ_s`` over the crops.
* ``weight_norm``: the L2 norm ``‖W[:, s]‖₂`` of the weights with which the next convolutions or linear
  maps read ``s``. It is the same for all targets.
* ``knockoff``: the filter of NeuCEPT (Truong et al. 2022; Barber & Candès 2015). A lasso predicts the
  target from the activations of a layer and from their *knockoffs*, which are random copies with the
  same correlations and without influence on the target. The score ``W_s`` is the lasso coefficient of
  ``s`` minus that of its knockoff.
* ``random``: random scores, different for each target. They are the control of the other methods.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import fx

from neurflow.attribution.graphs import graph_segment, place_of
from neurflow.attribution.randomness import seeded
from neurflow.errors import RequestError
from neurflow.model.cut.segment import GraphSegment
from neurflow.model.network.graph import arguments, aten
from neurflow.model.network.protocols import Segment
from neurflow.runtime.extras import require

MAPS = (aten.conv2d.default, aten.convolution.default, aten.linear.default)
"""operations with weights"""


def weight_norms(segment: Segment) -> Float[np.ndarray, " lower_neuron"]:
    """Return the L2 norm of the weights by which the next maps read each lower neuron.

    If several maps read the lower layer, such as the branches of a block, the norm is over all of them.

    Raises:
        RequestError: the network is cut by hooks, there are no such maps, or their weights do not match
            the neurons.
    """
    segment = graph_segment(segment, "weight_norm")
    squares = np.zeros(segment.lower.neurons)
    found = False
    for node in next_maps(segment.cut.graph):
        source, reader, *_ = arguments(node)
        weight, linear = _constant(segment, reader), node.target is aten.linear.default
        groups = 1 if linear else source.meta["val"].shape[1] // weight.shape[1]
        by_input = weight.reshape(groups, -1, *weight.shape[1:]).movedim(2, 1).flatten(2)
        norms = by_input.pow(2).sum(2).flatten().double().cpu().numpy()
        if len(norms) % segment.lower.neurons == 0:  # several inputs per neuron if flattened
            squares += norms.reshape(segment.lower.neurons, -1).sum(1)
            found = True
    if not found:
        raise RequestError(
            f"weight_norm finds no weights that read {segment.lower.name!r} {place_of(segment)}. "
            "Choose another attribution method."
        )
    return np.sqrt(squares)


def next_maps(graph: fx.Graph) -> list[fx.Node]:
    """Return the first convolutions and linear maps after ``x``."""
    start = next(iter(graph.nodes))
    waiting, seen, found = deque([start]), {start}, []
    while waiting:
        for user in waiting.popleft().users:
            if user in seen:
                continue
            seen.add(user)
            if user.target in MAPS:
                found.append(user)
            else:
                waiting.append(user)
    return found


def _constant(segment: GraphSegment, node: fx.Node) -> torch.Tensor:
    value: torch.Tensor = getattr(segment.network.root, str(node.target))
    return value.detach()


class Knockoffs:
    """A layer's activations and their knockoffs, which serve all targets.

    Args:
        phi: ``[crop, neuron]`` φ of the lower layer.
        seed: seed of the knockoffs and of the folds of the lasso.

    Raises:
        RequestError: knockpy is not installed.
    """

    def __init__(self, phi: Float[np.ndarray, "crop neuron"], seed: int) -> None:
        require("methods")
        from knockpy.knockoffs import GaussianSampler

        spread = phi.std(axis=0)
        self._neurons, self._seed = phi.shape[1], seed
        self.alive = np.flatnonzero(spread > 1e-6 * max(spread.max(), 1e-300))
        self.x = (phi[:, self.alive] - phi[:, self.alive].mean(0)) / spread[self.alive]
        with seeded(seed):
            sampler = GaussianSampler(self.x, method="equicorrelated")
            self.knockoffs = np.asarray(sampler.sample_knockoffs())

    def importance(self, phi: Float[np.ndarray, " crop"]) -> Float[np.ndarray, " lower_neuron"]:
        """Return W for one target with activations ``phi``; negative if the knockoff is stronger."""
        scores = np.zeros(self._neurons)
        if phi.std() > 0:
            scores[self.alive] = self._statistic((phi - phi.mean()) / phi.std())
        return scores

    def _statistic(self, y: np.ndarray) -> np.ndarray:
        from knockpy.knockoff_stats import LassoStatistic

        statistic: Any = LassoStatistic()
        with seeded(self._seed):
            return np.asarray(statistic.fit(self.x, self.knockoffs, y, groups=None))


def random_scores(neurons: int, seed: int, target: int) -> Float[np.ndarray, " lower_neuron"]:
    """Draw uniform scores from [0, 1), given the seed and the index of the target."""
    return np.random.default_rng([seed, target]).random(neurons)
