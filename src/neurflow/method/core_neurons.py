"""Core concept neurons and their weights.

For a target neuron ``a`` with concept ``V_a`` and attributions ``T(a, s, v)`` of each crop:

1. importance of ``s``: the mean over ``V_a`` of ``|T(a, s, v)|``;
2. ``S_a``: the ``τ`` lower neurons that a rule chooses (:mod:`~neurflow.method.core_rules`). Dead
   neurons are never core, so ``S_a`` is smaller if fewer than ``τ`` neurons have an effect;
3. ``w(a, s, V_a^i) = T(a, s, V_a^i) / Σ_{s' in S_a} |T(a, s', V_a^i)|``, where ``T(a, s, V_a^i)``
   is the signed mean over the semantic group. The absolute weights of a semantic group sum to 1.

The rule only chooses ``S_a``; importance and weights are always those of the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from neurflow.attribution.streaming import Measure, attribute
from neurflow.attribution.task import AttributionTask, Exemplars, Scores
from neurflow.circuit import RuleName
from neurflow.errors import RequestError, WorkError
from neurflow.runtime.registry import Registry


@dataclass(frozen=True)
class Core:
    """S_a with its weights.

    Attributes:
        importance: core neuron → mean |IG|, largest first.
        weights: for each semantic group, core neuron → signed weight; empty if all scores are 0.
        completeness_error: relative, over V_a; None if scores are complete by construction.
        steps: N, number of points of the integration.
        rule: rule of the integration.
        score_error: estimated distance of the scores from integrated gradients, relative.
        cancellation: sum of |T| over the absolute value of the sum of T; None if the sums are 0.
        each: ``[crop of V_a, core neuron]`` T of each crop, with the core neurons in the order of
            importance; None if it was not stored.
    """

    importance: Mapping[int, float]
    weights: tuple[Mapping[int, float], ...]
    completeness_error: float | None
    steps: int
    rule: RuleName | None = None
    score_error: float | None = None
    cancellation: float | None = None
    each: np.ndarray | None = None


def core_neurons(
    importance: Float[np.ndarray, " lower_neuron"], tau: int
) -> Int[np.ndarray, " core_neuron"]:
    """Return S_a: the indices of the ``tau`` largest values of ``importance``, largest first."""
    return np.argsort(-importance, kind="stable")[:tau]


def interaction_weights(
    signed: Float[np.ndarray, " core_neuron"],
) -> Float[np.ndarray, " core_neuron"]:
    """Return ``w``: the signed importances divided by the sum of their absolute values.

    If all importances are zero, all weights are zero.
    """
    total = np.abs(signed).sum()
    return signed / total if total > 0 else np.zeros_like(signed)


def next_targets(cores: Mapping[int, Core], upper: str, lower: str) -> set[int]:
    """Return all core neurons of a layer's targets, which are the targets of the layer below.

    Raises:
        WorkError: there are no core neurons.
    """
    targets = {s for core in cores.values() for s in core.importance}
    if not targets:
        raise WorkError(
            f"No neuron of {lower!r} has an effect on the targets in {upper!r}: all attributions are "
            "zero. Are the weights trained (--weights)? If so, leave out this layer (--layers)."
        )
    return targets


def make_core(scores: Scores, chosen: np.ndarray) -> Core:
    """Compute importance and weights w(a, s, V_a^i) of the ``chosen`` lower neurons."""
    chosen = chosen[np.argsort(-scores.importance[chosen], kind="stable")]
    weights = []
    for signed in scores.signed:
        values = interaction_weights(signed[chosen])
        weights.append(
            dict(zip(chosen.tolist(), values.tolist(), strict=True)) if values.any() else {}
        )
    importance = dict(zip(chosen.tolist(), scores.importance[chosen].tolist(), strict=True))
    return Core(
        importance=importance,
        weights=tuple(weights),
        completeness_error=scores.completeness_error,
        steps=scores.steps,
        rule=scores.rule,
        score_error=scores.score_error,
        cancellation=scores.cancellation,
        each=None if scores.each is None else scores.each[:, chosen],
    )


@dataclass(frozen=True)
class Choice:
    """The data from which a rule chooses core neurons.

    Attributes:
        task: the targets and their crops.
        scores: target neuron → T over ``V_a``.
        taus: target neuron → largest number of its core neurons.
    """

    task: AttributionTask
    scores: Mapping[int, Scores]
    taus: Mapping[int, int]

    @property
    def concepts(self) -> Mapping[int, Exemplars]:
        """Target neuron → its crops."""
        return self.task.concepts

    @property
    def phi(self) -> np.ndarray:
        """``[crop, neuron]`` φ of the targets' layer on all crops."""
        return self.task.activations[self.task.pair.upper]

    def signed(self, a: int) -> np.ndarray:
        """Return the mean of T over all crops of V_a, ``[lower neuron]``."""
        sizes = np.bincount(self.concepts[a].meaning)
        return np.asarray(np.average(self.scores[a].signed, axis=0, weights=sizes))

    def largest(self, a: int, drive: np.ndarray) -> np.ndarray:
        """Return the ``τ`` lower neurons with the largest ``drive``, without dead ones."""
        return self.living(a, core_neurons(drive, self.taus[a]), drive)

    def living(self, a: int, chosen: np.ndarray, drive: np.ndarray) -> np.ndarray:
        """Remove dead neurons from ``chosen``: those with importance 0 and ``drive`` 0."""
        acts = (self.scores[a].importance[chosen] != 0) | (drive[chosen] != 0)
        return chosen[acts]

    def score(
        self, concepts: Mapping[int, Exemplars], measure: Measure, steps: int
    ) -> dict[int, Scores]:
        """Return T of the targets on other crops, by a measure with a fixed number of points."""
        return attribute(replace(self.task, concepts=concepts), steps=steps, measure=measure)


Rule = Callable[[Choice], dict[int, np.ndarray]]
"""choice → core neurons of each target"""
RULES: Registry[Rule] = Registry("core-neuron rule", "neurflow.core_neurons")
"""all rules, by name"""


def register(name: str) -> Callable[[Rule], Rule]:
    """Register a core-neuron rule under a name that ``Config.selection`` then accepts.

    An installed package can name the module that registers it in the entry points
    ``neurflow.core_neurons``; the command line finds it there.

    Args:
        name: lower-case letters, digits, underscores.

    Raises:
        RequestError: another rule has this name.

    Example:
        Take the largest absolute mean of T, instead of the largest mean of its absolute value::

            import numpy as np
            import neurflow
            from neurflow.method import core_neurons


            @core_neurons.register("net")
            def net(choice):
                return {a: choice.largest(a, np.abs(choice.signed(a))) for a in choice.concepts}

            neurflow.discover(model, images, "bee", config=neurflow.Config(selection="net"))
    """

    def keep(rule: Rule) -> Rule:
        RULES.add(name, rule, rule)
        return rule

    return keep


def select_cores(
    task: AttributionTask, rule: str | None = None, taus: Mapping[int, int] | None = None
) -> dict[int, Core]:
    """Select the core neurons of a task's targets, and compute their weights.

    Args:
        task: the targets and their crops; the weights use the task's N.
        rule: the core-neuron rule; ``Config.selection`` by default.
        taus: number of core neurons of each target; ``Config.tau`` by default.

    Raises:
        RequestError: there is no such rule, or it chooses too many neurons.
    """
    chooses = RULES.named(rule or task.config.selection)
    scores = attribute(task, each=True)
    choice = Choice(task, scores, taus or dict.fromkeys(task.concepts, task.config.tau))
    chosen = chooses(choice)
    for a in task.concepts:
        if a not in chosen or len(np.unique(chosen[a])) > choice.taus[a]:
            raise RequestError(
                f"The core-neuron rule {rule or task.config.selection!r} must choose "
                f"at most {choice.taus[a]} neurons for each target, but does not for neuron {a}."
            )
    return {a: make_core(found, np.asarray(chosen[a])) for a, found in scores.items()}
