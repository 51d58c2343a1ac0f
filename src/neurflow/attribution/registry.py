"""Attribution methods by name, including those of users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neurflow.attribution.task import AttributionTask, Scores
from neurflow.runtime.registry import Registry

Function = Callable[[AttributionTask], dict[int, Scores]]
"""task → target neuron → scores of all lower neurons"""


@dataclass(frozen=True)
class Method:
    """A registered method.

    Attributes:
        function: computes the scores.
        signed: whether the sign of a score is the direction in which a neuron acts.
    """

    function: Function
    signed: bool


METHODS: Registry[Method] = Registry("attribution method", "neurflow.attribution")
"""all methods, by name"""


def register(name: str, *, signed: bool = True) -> Callable[[Function], Function]:
    """Register an attribution method under a name.

    It is then available to ``score_neurons``, to ``neurflow evaluate`` (``Settings.methods``) and to
    planted scoring. An installed package can name the module that registers it in the entry points
    ``neurflow.attribution``; the command line finds it there.

    Args:
        name: name of the method.
        signed: whether the sign of a score is the direction in which a neuron acts.

    Raises:
        RequestError: another method has this name.

    Example:
        Score lower neurons by their correlation with the target over all crops::

            import numpy as np
            import neurflow


            @neurflow.attribution.register("correlation")
            def correlation(task):
                lower = task.activations[task.pair.lower]
                upper = task.activations[task.pair.upper]

                def scores(a):
                    with np.errstate(invalid="ignore"):  # a dead neuron has no correlation
                        found = np.corrcoef(lower.T, upper[:, a])[-1, :-1]
                    return np.nan_to_num(found)

                return neurflow.attribution.same_for_all_meanings(task, scores)

            settings = neurflow.Settings(methods=("correlation", "gradient"))
            neurflow.evaluate(circuit, model, images, "attribution", settings=settings)
    """

    def keep(function: Function) -> Function:
        METHODS.add(name, Method(function, signed), function)
        return function

    return keep


def score_neurons(method: str, task: AttributionTask) -> dict[int, Scores]:
    """Score all lower neurons for each target of a task.

    Args:
        method: a name of :data:`METHODS`.
        task: the targets and their crops.

    Returns:
        target neuron → ``importance`` ``[lower neuron]`` and ``signed`` ``[semantic group, lower
        neuron]``, which are equal for methods that are not ``signed``.

    Raises:
        RequestError: there is no such method, a required package is missing, or the method cannot be
            used on the segment.
    """
    return METHODS.named(method).function(task)
