"""Sums of the scores of a target's crops, from which its importance and signed scores follow."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from neurflow.attribution.pairs import Pairs
from neurflow.attribution.score_error import CELL_RULES, Plan
from neurflow.attribution.task import Exemplars, Scores


class RunningSums:
    """Sums of the scores of one target's pairs, in arrays that change in place.

    Args:
        concept: the target's crops, with the semantic group of each.
        neurons: number of lower neurons.
        each: whether to store the scores of each crop as well.
    """

    def __init__(self, concept: Exemplars, neurons: int, each: bool) -> None:
        self.sizes = np.bincount(concept.meaning)
        shape = (len(concept.meaning), neurons)
        self.each = np.zeros(shape, dtype=np.float32) if each else None
        self.absolute = np.zeros(neurons)
        self.signed = np.zeros((len(self.sizes), neurons))
        self.gap, self.change, self.net = np.zeros(1), np.zeros(1), np.zeros(1)

    def add(
        self,
        pairs: Pairs,
        scores: Float[np.ndarray, "pair neuron"],
        change: Float[np.ndarray, " pair"],
    ) -> None:
        """Add the scores of some pairs, and the change of φ_a on each."""
        self.absolute += np.abs(scores).sum(0)
        np.add.at(self.signed, pairs.meaning, scores)
        self.net += np.abs(scores.sum(1)).sum()
        if self.each is not None:
            self.each[pairs.place] = scores
        self.gap += np.abs(scores.sum(1) - change).sum()
        self.change += np.abs(change).sum()

    def running(self) -> dict[str, np.ndarray]:
        """Return the sums, by name."""
        return {k: v for k, v in vars(self).items() if isinstance(v, np.ndarray) and k != "sizes"}

    def scores(self, plan: Plan) -> Scores:
        """Return the scores of the target, which are means over its crops."""
        total, net = float(self.absolute.sum()), float(self.net[0])
        gap, change = float(self.gap[0]), float(self.change[0])
        complete: float | None = gap / change if change > 0 else gap
        error = plan.error
        if plan.rule in CELL_RULES:
            complete = None
        elif error is not None:
            error = max(gap / total if total > 0 else gap, error)
        return Scores(
            importance=self.absolute / self.sizes.sum(),
            signed=self.signed / self.sizes[:, None],
            completeness_error=complete,
            steps=plan.steps,
            rule=plan.rule,
            score_error=error,
            cancellation=max(total / net, 1.0) if net > 0 else None,
            each=self.each,
        )
