"""Planted circuits: networks whose true circuit is known by construction, to score methods on."""

from neurflow.planted.plan import TRAITS
from neurflow.planted.scoring import GroupScore, NeuronScore, PlantedStudy, precision_recall, study
from neurflow.planted.truth import Planted, TrueNeuron, build

__all__ = [
    "TRAITS",
    "GroupScore",
    "NeuronScore",
    "Planted",
    "PlantedStudy",
    "TrueNeuron",
    "build",
    "precision_recall",
    "study",
]
