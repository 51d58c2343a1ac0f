"""Core concept neurons, and the weights with which they act.

For a target neuron ``a`` with concept ``V_a`` and attributions ``T(a, s, v)`` of each crop:

1. importance of ``s``: the mean over ``V_a`` of ``|T(a, s, v)|``;
2. ``S_a``: the ``τ`` lower neurons that a rule chooses (:mod:`~neurflow.method.core_rules`). Dead
   neurons are never core, so ``S_a`` is smaller where fewer than ``τ`` neurons act;
3. ``w(a, s, V_a^i) = T(a, s, V_a^i) / Σ_{s' in S_a} |T(a, s', V_a^i)|``, where ``T(a, s, V_a^i)``
   is the signed mean over the semantic group. The sum is over the final means, so that absolute
   weights add up to 1. Whatever the rule, importance and weights are the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

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
        weights: for each semantic group, core neuron → signed weight; empty where nothing acts.
        completeness_error: relative, over V_a; None where scores are complete by construction.
        steps: N, points of the integration.
        rule: of the integration.
        score_error: estimated distance of the scores from integrated gradients, relative.
        cancellation: summed |T| over the sum's absolute value; None where the sums are 0.
        each: ``[crop of V_a, core neuron]`` T of each crop, core neurons in the order of importance;
            None where it was not kept.
    """

    importance: Mapping[int, float]
    weights: tuple[Mapping[int, float], ...]
    completeness_error: float | None
    steps: int
    rule: RuleName | None = None
    score_error: float | None = None
    cancellation: float | None = None
    each: np.ndarray | None = None


def core_neurons(importance: np.ndarray, tau: int) -> np.ndarray:
    """S_a: indices of the ``tau`` largest of ``importance`` ``[neuron]``, largest first."""
    return np.argsort(-importance, kind="stable")[:tau]


def interaction_weights(signed: np.ndarray) -> np.ndarray:
    """``w`` ``[core neuron]`` from signed importances ``[core neuron]``; zeros if all are zero."""
    total = np.abs(signed).sum()
    return signed / total if total > 0 else np.zeros_like(signed)


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
        scores.cancellation,
        None if scores.each is None else scores.each[:, chosen],
    )


@dataclass(frozen=True)
class Choice:
    """What a rule chooses core neurons from.

    Attributes:
        task: the targets and their crops.
        scores: target neuron → T over ``V_a``.
        taus: target neuron → the most core neurons that it may have.
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
        """``[lower neuron]`` mean of T over all crops of V_a, from its means over the meanings."""
        sizes = np.bincount(self.concepts[a].meaning)
        return np.asarray(np.average(self.scores[a].signed, axis=0, weights=sizes))

    def largest(self, a: int, drive: np.ndarray) -> np.ndarray:
        """The ``τ`` lower neurons with the largest ``drive`` ``[lower neuron]``, without dead ones."""
        return self.living(a, core_neurons(drive, self.taus[a]), drive)

    def living(self, a: int, chosen: np.ndarray, drive: np.ndarray) -> np.ndarray:
        """The ``chosen`` neurons without dead ones: those of importance 0 and of ``drive`` 0."""
        acts = (self.scores[a].importance[chosen] != 0) | (drive[chosen] != 0)
        return chosen[acts]

    def score(
        self, concepts: Mapping[int, Exemplars], measure: Measure, steps: int
    ) -> dict[int, Scores]:
        """T of the targets on other crops, by a measure with a fixed number of points."""
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
    """Core neurons and weights of a task's targets.

    Args:
        task: the targets and their crops; N is that of the weights.
        rule: which neurons are core; ``Config.selection`` by default.
        taus: core neurons of each target; ``Config.tau`` by default.

    Raises:
        RequestError: there is no such rule, or it chooses more neurons than it may.
    """
    chooses = RULES.named(rule or task.config.selection)
    scores = attribute(task, each=True)
    choice = Choice(task, scores, taus or dict.fromkeys(task.concepts, task.config.tau))
    chosen = chooses(choice)
    for a in task.concepts:
        if a not in chosen or len(np.unique(chosen[a])) > choice.taus[a]:
            raise RequestError(
                f"The core-neuron rule {rule or task.config.selection!r} must choose "
                f"{choice.taus[a]} neurons or fewer for each target, and does not for neuron {a}."
            )
    return {a: make_core(found, np.asarray(chosen[a])) for a, found in scores.items()}
