"""Methods that score the neurons of a lower layer. ``register`` adds one."""

from neurflow.attribution.integrated_gradients import Attribution, integrated_gradients
from neurflow.attribution.methods import same_for_all_meanings
from neurflow.attribution.registry import METHODS, register, score_neurons
from neurflow.attribution.streaming import attribute
from neurflow.attribution.task import AttributionTask, Scores

__all__ = [
    "METHODS",
    "Attribution",
    "AttributionTask",
    "Scores",
    "attribute",
    "integrated_gradients",
    "register",
    "same_for_all_meanings",
    "score_neurons",
]
