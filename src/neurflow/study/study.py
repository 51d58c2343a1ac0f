"""``Study``: the network on a concept set, on which discovery, evaluation and scoring are computed.

1. A study has a network, the layers to study, the target, and the crops of a concept set D.
2. The first use of ``activations`` runs the streaming pass over all crops and computes φ of every
   studied layer. Values that are in the workspace are not computed again.
3. ``pairs`` yields the neighbouring layers from the target down. A ``LayerPair`` has the segment
   between two layers and the feature maps that attribution needs of each crop.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from neurflow.model import Model, Segment
from neurflow.pictures.crops import CropSet
from neurflow.refs import Target
from neurflow.runtime.memory import BATCH, Batch, Budget
from neurflow.runtime.progress import Progress
from neurflow.runtime.workspace import Workspace
from neurflow.study.activations import Activations, StreamingPass, blocks
from neurflow.study.features import FeatureMaps, SegmentMaps
from neurflow.study.shared import Shared

PAIR = 16
"""memory for attributing a (target, crop) pair, relative to the segment's inputs on one crop"""
PAIRS_ON_GPU = 1024
"""largest number of pairs to attribute at once on a GPU, which is idle with few of them"""


@dataclass(frozen=True)
class LayerPair:
    """Two layers, the segment between them, and its feature maps.

    Attributes:
        segment: the segment from the lower layer to the upper one.
        maps: feature maps for attribution through the segment.
        batch: number of (target, crop) pairs to attribute at once.
    """

    segment: Segment
    maps: SegmentMaps
    batch: Batch

    @property
    def upper(self) -> str:
        """Name of the targets' layer."""
        return self.segment.upper.name

    @property
    def lower(self) -> str:
        """Name of the layer whose neurons are scored."""
        return self.segment.lower.name


def segments_of(model: Model, layers: Sequence[str]) -> list[Segment]:
    """Return the segments between ``layers`` (input side first), from the top down.

    Raises:
        LayerError: a layer does not depend on the one before it.
    """
    return [model.segment(lower, upper) for lower, upper in reversed(list(pairwise(layers)))]


@dataclass(frozen=True)
class Study:
    """A network on the crops of a concept set D.

    Attributes:
        model: the network.
        target: the output that is explained.
        segments: segments between neighbouring studied layers, from the target down.
        crops: D.
        work: stores the pooled activations, and the feature maps that do not fit into memory.
        budget: memory that may be used.
        progress: receives the progress.
        precision: precision of the streaming pass; attribution always uses the network's own precision.
        shared: results of other targets of this model on these images.
    """

    model: Model
    target: Target
    segments: Sequence[Segment]
    crops: CropSet
    work: Workspace
    budget: Budget
    progress: Progress
    precision: Literal["float32", "bfloat16"] = "float32"
    shared: Shared = field(default_factory=Shared)

    @cached_property
    def batch(self) -> Batch:
        """Number of crops to run through the network at once."""
        return self.model.batch(self.budget)

    @property
    def on_gpu(self) -> bool:
        """Whether the network runs on another device than the processor."""
        return self.model.device.type != "cpu"

    @property
    def layers(self) -> list[str]:
        """Names of the studied layers, input side first, the target's layer last."""
        uppers = [segment.upper.name for segment in reversed(self.segments)]
        return [self.segments[-1].lower.name, *uppers]

    @cached_property
    def features(self) -> FeatureMaps:
        """Feature maps of the crops, for all segments."""
        identity = (*self._identity, self.crops.chosen, self.layers)
        return self.shared.features(identity, lambda: self._maps(self.segments, self.work.folder))

    @cached_property
    def activations(self) -> Activations:
        """φ of the studied layers on all crops. The first use runs the streaming pass."""
        streaming = StreamingPass(
            self.model,
            self.crops,
            self.layers,
            batch=self.batch,
            progress=self.progress,
            precision=self.precision,
            features=self.features,
            cache=self.shared.cache(*self._identity),
        )
        return streaming.run(self.work)

    @property
    def _identity(self) -> tuple[object, ...]:
        """Everything that the pooled activations of an image depend on."""
        crops = self.crops
        return self.model.info.digest, crops.images.digest, crops.granularities, self.precision

    def _maps(self, segments: Sequence[Segment], folder: Path) -> FeatureMaps:
        return FeatureMaps(
            self.model,
            self.crops,
            segments,
            folder=folder,
            memory=self.budget.features,
            batch=self.batch,
        )

    def pairs(self) -> Iterator[LayerPair]:
        """Yield the pairs of neighbouring layers, from the target down."""
        return (self._pair(segment, self.features) for segment in self.segments)

    def pair(self, upper: str) -> LayerPair:
        """Return the pair of neighbouring layers with this upper layer."""
        return next(pair for pair in self.pairs() if pair.upper == upper)

    @contextmanager
    def between(self, lower: str, upper: str) -> Iterator[LayerPair]:
        """Return any two layers as a pair, with new feature maps if they are not neighbours."""
        if (lower, upper) in pairwise(self.layers):
            yield self.pair(upper)
            return
        segment = self.model.segment(lower, upper)
        with tempfile.TemporaryDirectory(dir=self.work.folder) as folder:
            yield self._pair(segment, self._maps([segment], Path(folder)))

    def _pair(self, segment: Segment, features: FeatureMaps) -> LayerPair:
        maps = features.of(segment)
        at_most = PAIRS_ON_GPU if self.on_gpu else BATCH
        return LayerPair(segment, maps, self.budget.batch(PAIR * maps.bytes_each, at_most))

    def below(self, layer: str) -> str:
        """Return the next studied layer towards the input, or ``layer`` itself at l_0."""
        return self.layers[max(self.layers.index(layer) - 1, 0)]

    def minus(self, layer: str) -> int | None:
        """Return the neuron that is subtracted at a layer, if the target is a difference; else None."""
        return self.target.minus if layer == self.target.layer else None

    @cached_property
    def image_of(self) -> np.ndarray:
        """``[crop]`` image of D of each crop."""
        return self.crops.image_of(np.arange(len(self.crops)))

    def phi(self, layer: str, neurons: Sequence[int]) -> np.ndarray:
        """Return φ ``[crop, neuron]`` of some neurons on D."""
        return np.concatenate(list(blocks(self.activations[layer], neurons, self.minus(layer))))

    def means(self, layer: str) -> np.ndarray:
        """Return the mean φ ``[neuron]`` over D of every neuron of a layer."""
        return np.asarray(self.activations[layer].mean(axis=0, dtype=np.float64))
