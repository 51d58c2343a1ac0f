"""What an attribution method is given, and what it returns."""

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
    """Which neurons of the lower layer matter to these neurons of the upper one?

    Attributes:
        study: the network on the crops of D.
        pair: the two layers.
        concepts: target neuron of the upper layer → its crops by meaning.
        config: N, tolerance, k and seed.
        journal: keeps sums under way, for a run that is resumed.
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
        """(target, crop) pairs to work on at once."""
        return self.pair.batch

    @cached_property
    def baseline(self) -> Tensor | None:
        """``[1, …]`` where the path to the lower layer's output begins; None is zero."""
        if baseline_name(self.segment, self.config.baseline) == "zero":
            return None
        return self.pair.maps.mean()

    @property
    def progress(self) -> Progress:
        """Receives the progress."""
        return self.study.progress

    @property
    def minus(self) -> int | None:
        """Upper neuron that is subtracted: for a difference, at the explained layer only."""
        return self.study.minus(self.pair.upper)


@dataclass(frozen=True)
class Scores:
    """Scores of all lower neurons for one target neuron.

    Attributes:
        importance: ``[lower neuron]`` mean of |T| over V_a, by which core neurons are chosen.
        signed: ``[semantic group, lower neuron]`` mean of T over each V_a^i, from which weights are
            made.
        completeness_error: summed gap over V_a, relative to the summed change of φ_a; None where scores
            are complete by construction, or of methods that are not complete.
        steps: N; 0 of methods without points.
        rule: name of the integration rule; None of other methods.
        score_error: distance to the limit of large N, relative; None of other methods.
        cancellation: ``Σ_v Σ_s |T| / Σ_v |Σ_s T|``, at least 1; None where nothing changes in sum.
        each: ``[crop of V_a, lower neuron]`` T of each crop, float32; None where it was not kept.
    """

    importance: np.ndarray
    signed: np.ndarray
    completeness_error: float | None = None
    steps: int = 0
    rule: RuleName | None = None
    score_error: float | None = None
    cancellation: float | None = None
    each: np.ndarray | None = None
