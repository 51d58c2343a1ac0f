"""Core concept neurons, and the weights with which they act.

For a target neuron ``a`` with concept ``V_a`` and attributions ``T(a, s, v)`` of each crop:

1. importance of ``s``: the mean over ``V_a`` of ``|T(a, s, v)|``;
2. ``S_a``: the ``τ`` lower neurons of largest importance, ties by index (other rules: ``selection``). A
   dead neuron, of importance 0, is none of them: ``S_a`` is smaller where fewer than ``τ`` neurons act;
3. ``w(a, s, V_a^i) = T(a, s, V_a^i) / Σ_{s' in S_a} |T(a, s', V_a^i)|`` where
   ``T(a, s, V_a^i)`` is the signed mean over the semantic group: all ``T`` are taken first, the sum
   once, so that absolute weights add up to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurflow.attribution.streaming import Scores
from neurflow.circuit import RuleName
from neurflow.errors import WorkError


@dataclass(frozen=True)
class Core:
    """S_a with its weights.

    Attributes:
        importance: core neuron → mean |IG|, largest first.
        weights: for each semantic group, core neuron → signed weight; empty where nothing acts.
        completeness_error: of the integration, relative, over V_a; None where it is by construction.
        steps: N, points of the integration.
        rule: of the points.
        score_error: estimated distance of the scores from integrated gradients, relative.
    """

    importance: Mapping[int, float]
    weights: tuple[Mapping[int, float], ...]
    completeness_error: float | None
    steps: int
    rule: RuleName | None = None
    score_error: float | None = None


def core_neurons(importance: np.ndarray, tau: int) -> np.ndarray:
    """S_a: indices of the ``tau`` largest of ``importance`` ``[neuron]``, largest first."""
    return np.argsort(-importance, kind="stable")[:tau]


def interaction_weights(signed: np.ndarray) -> np.ndarray:
    """``w`` ``[core neuron]`` from signed importances ``[core neuron]``; zeros if all are zero."""
    total = np.abs(signed).sum()
    return signed / total if total > 0 else np.zeros_like(signed)


def living(chosen: np.ndarray, *scores: np.ndarray) -> np.ndarray:
    """The ``chosen`` neurons without dead ones, for which all of ``scores`` ``[neuron]`` are 0."""
    return chosen[np.any([values[chosen] != 0 for values in scores], axis=0)]


def select_core(scores: Scores, tau: int) -> Core:
    """S_a and w(a, s, V_a^i) of one target neuron, as published."""
    chosen = core_neurons(scores.importance, tau)
    return make_core(scores, living(chosen, scores.importance))


def next_targets(cores: Mapping[int, Core], upper: str, lower: str) -> set[int]:
    """All core neurons of a layer's targets: the targets of the layer below.

    Raises:
        WorkError: there are none.
    """
    targets = {s for core in cores.values() for s in core.importance}
    if not targets:
        raise WorkError(
            f"Nothing in {lower!r} acts on the targets in {upper!r}: all attributions are zero. "
            "Are the weights trained (--weights)? If so, leave out this layer (--layers)."
        )
    return targets


def make_core(scores: Scores, chosen: np.ndarray) -> Core:
    """Importance and weights w(a, s, V_a^i) of the ``chosen`` lower neurons ``[core neuron]``."""
    chosen = chosen[np.argsort(-scores.importance[chosen], kind="stable")]
    weights = []
    for signed in scores.signed:
        values = interaction_weights(signed[chosen])
        weights.append(
            dict(zip(chosen.tolist(), values.tolist(), strict=True)) if values.any() else {}
        )
    importance = dict(zip(chosen.tolist(), scores.importance[chosen].tolist(), strict=True))
    return Core(
        importance,
        tuple(weights),
        scores.completeness_error,
        scores.steps,
        scores.rule,
        scores.score_error,
    )
