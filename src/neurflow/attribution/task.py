"""The input and the output of an attribution method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from torch import Tensor

from neurflow.attribution.baselines import baseline_name
from neurflow.circuit import RuleName
from neurflow.config import Config
from neurflow.model import Model, Segment
from neurflow.refs import Target
from neurflow.runtime.journal import Journal
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Progress
from neurflow.study.activations import Activations
from neurflow.study.study import LayerPair, Study


class Exemplars(Protocol):
    """The crops V_a of one target neuron, by meaning."""

    @property
    def crops(self) -> np.ndarray:
        """``[k]`` crop numbers."""

    @property
    def meaning(self) -> np.ndarray:
        """``[k]`` semantic group of each crop."""


@dataclass(frozen=True)
class AttributionTask:
    """The task of an attribution method: score the lower neurons for some upper neurons.

    Attributes:
        study: the network on the crops of D.
        pair: the two layers.
        concepts: target neuron of the upper layer → its crops by meaning.
        config: N, tolerance, k and seed.
        journal: stores unfinished sums, so that a run can be resumed.
    """

    study: Study
    pair: LayerPair
    concepts: Mapping[int, Exemplars]
    config: Config
    journal: Journal = field(default_factory=Journal, compare=False)

    @property
    def model(self) -> Model:
        """The network."""
        return self.study.model

    @property
    def target(self) -> Target:
        """The output that is explained."""
        return self.study.target

    @property
    def activations(self) -> Activations:
        """φ of the studied layers on all crops."""
        return self.study.activations

    @property
    def segment(self) -> Segment:
        """The part of the network between the two layers."""
        return self.pair.segment

    @property
    def batch(self) -> Batch:
        """Number of (target, crop) pairs to process at once."""
        return self.pair.batch

    @cached_property
    def baseline(self) -> Tensor | None:
        """``[1, …]`` start of the path to the lower layer's output; None stands for zero."""
        if baseline_name(self.segment, self.config.baseline) == "zero":
            return None
        return self.pair.maps.mean()

    @property
    def progress(self) -> Progress:
        """The listener of the work."""
        return self.study.progress

    @property
    def minus(self) -> int | None:
        """The upper neuron that is subtracted if the target is a difference of classes; else None."""
        return self.study.minus(self.pair.upper)


@dataclass(frozen=True)
class Scores:
    """Scores of all lower neurons for one target neuron.

    Attributes:
        importance: ``[lower neuron]`` mean of |T| over V_a, by which core neurons are chosen.
        signed: ``[semantic group, lower neuron]`` mean of T over each V_a^i, from which weights are
            computed.
        completeness_error: summed gap over V_a, relative to the summed change of φ_a. None if scores
            are complete by construction, and for methods that are not complete.
        steps: N; 0 for methods without points.
        rule: name of the integration rule; None for other methods.
        score_error: distance from the limit of large N, relative; None for other methods.
        cancellation: ``Σ_v Σ_s |T| / Σ_v |Σ_s T|``, at least 1; None if the sum of the changes is 0.
        each: ``[crop of V_a, lower neuron]`` T of each crop, float32; None if it was not stored.
    """

    importance: np.ndarray
    signed: np.ndarray
    completeness_error: float | None = None
    steps: int = 0
    rule: RuleName | None = None
    score_error: float | None = None
    cancellation: float | None = None
    each: np.ndarray | None = None
