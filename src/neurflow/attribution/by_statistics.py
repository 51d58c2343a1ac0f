"""Scores of lower neurons that need no target's gradient: statistics, weights, and chance.

* ``activation``: the mean of ``φ_s`` over the crops.
* ``weight_norm``: the L2 norm of what the next convolutions or linear maps do with ``s``,
  ``‖W[:, s]‖₂``; the same for all targets.
* ``knockoff``: the filter of NeuCEPT (Truong et al. 2022; Barber & Candès 2015). The activations of a
  layer are explained together with *knockoffs*, random copies with the same correlations that act on
  nothing. ``W_s``, how much larger the lasso coefficient of ``s`` is than its knockoff's, is the score.
* ``random``: drawn anew for each target; what any method must beat.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch
from torch import fx

from neurflow.attribution.randomness import seeded
from neurflow.errors import RequestError
from neurflow.model.cut.segment import GraphSegment
from neurflow.model.network.graph import arguments, aten
from neurflow.model.network.protocols import Segment
from neurflow.runtime.extras import require

MAPS = (aten.conv2d.default, aten.convolution.default, aten.linear.default)


def weight_norms(segment: Segment) -> np.ndarray:
    """``[lower neuron]`` L2 norm of the weights that read it first.

    Where several maps read the lower layer (the branches of a block), it is taken over all of them.

    Raises:
        RequestError: nothing there has weights, or not one for each neuron.
    """
    where = f"between {segment.lower.name!r} and {segment.upper.name!r}"
    if not isinstance(segment, GraphSegment):
        raise RequestError(f"weight_norm needs a network that exports: {where} it is cut by hooks.")
    squares = np.zeros(segment.lower.neurons)
    found = False
    for node in next_maps(segment.cut.graph):
        source, reader, *_ = arguments(node)
        weight, linear = _constant(segment, reader), node.target is aten.linear.default
        groups = 1 if linear else source.meta["val"].shape[1] // weight.shape[1]
        by_input = weight.reshape(groups, -1, *weight.shape[1:]).movedim(2, 1).flatten(2)
        norms = by_input.pow(2).sum(2).flatten().double().cpu().numpy()
        if len(norms) % segment.lower.neurons == 0:  # a map's places side by side: flattened
            squares += norms.reshape(segment.lower.neurons, -1).sum(1)
            found = True
    if not found:
        raise RequestError(f"weight_norm has no weights to read {where}.")
    return np.sqrt(squares)


def next_maps(graph: fx.Graph) -> list[fx.Node]:
    """Convolutions and linear maps that ``x`` reaches without passing another."""
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
    """A layer's activations beside their knockoffs, which all targets share.

    Args:
        phi: ``[crop, neuron]`` φ of the lower layer.
        seed: of the knockoffs and of the lasso's folds.

    Raises:
        RequestError: knockpy is not installed.
    """

    def __init__(self, phi: np.ndarray, seed: int) -> None:
        require("methods")
        from knockpy.knockoffs import GaussianSampler

        spread = phi.std(axis=0)
        self._neurons, self._seed = phi.shape[1], seed
        self.alive = np.flatnonzero(spread > 1e-6 * max(spread.max(), 1e-300))
        self.x = (phi[:, self.alive] - phi[:, self.alive].mean(0)) / spread[self.alive]
        with seeded(seed):
            sampler = GaussianSampler(self.x, method="equicorrelated")
            self.knockoffs = np.asarray(sampler.sample_knockoffs())

    def importance(self, phi: np.ndarray) -> np.ndarray:
        """``[lower neuron]`` W for one target ``phi`` ``[crop]``; negative where the knockoff wins."""
        scores = np.zeros(self._neurons)
        if phi.std() > 0:
            scores[self.alive] = self._statistic((phi - phi.mean()) / phi.std())
        return scores

    def _statistic(self, y: np.ndarray) -> np.ndarray:
        from knockpy.knockoff_stats import LassoStatistic

        statistic: Any = LassoStatistic()
        with seeded(self._seed):
            return np.asarray(statistic.fit(self.x, self.knockoffs, y, groups=None))


def random_scores(neurons: int, seed: int, target: int) -> np.ndarray:
    """``[lower neuron]`` uniform on [0, 1), from the seed and the target's index."""
    return np.random.default_rng([seed, target]).random(neurons)
