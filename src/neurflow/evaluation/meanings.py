"""Meanings: do a neuron's semantic groups differ in content, or only in crop size or source image?

1. The adjusted mutual information of a crop's semantic group with its size, and with its image, over
   the crops of each neuron with several meanings. 0 is chance, and 1 is the same division.
2. The largest share of a neuron's crops that comes from one image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field
from sklearn.metrics import adjusted_mutual_info_score

from neurflow.circuit import Neuron
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.statistics import mean_interval
from neurflow.stats import Interval


class MeaningsRow(Row):
    """One layer."""

    layer: str = Field(description="layer of the neurons")
    neurons: int = Field(description="neurons of the circuit")
    several: float = Field(description="share of neurons with several meanings")
    meanings: float = Field(description="mean number of meanings of a neuron")
    size: Interval | None = Field(
        description="adjusted mutual information of meaning and crop size, mean over neurons with "
        "several meanings; None if there are none"
    )
    image: Interval | None = Field(description="the same of meaning and image")
    one_image: Interval = Field(
        description="largest share of a neuron's crops from one image, mean"
    )


def meanings(lab: Laboratory) -> Table[MeaningsRow]:
    """Return the agreement of each layer's meanings with crop size and with source image."""
    rows = []
    for layer in lab.circuit.layers:
        neurons = list(layer.neurons.values())
        several = [neuron for neuron in neurons if len(neuron.semantic_groups) > 1]
        agreements = [agreement(neuron) for neuron in several]
        size, image = (
            mean_interval(values, lab.settings) if values else None
            for values in ([a for a, _ in agreements], [b for _, b in agreements])
        )
        largest = [_largest_share([crop.image for crop in neuron.crops]) for neuron in neurons]
        rows.append(
            MeaningsRow(
                layer=layer.name,
                neurons=len(neurons),
                several=len(several) / len(neurons),
                meanings=float(np.mean([len(neuron.semantic_groups) for neuron in neurons])),
                size=size,
                image=image,
                one_image=mean_interval(largest, lab.settings),
            )
        )
    return Table(
        protocol="meanings",
        title="Meanings",
        question="Whether the meanings of a neuron differ in more than crop size or source image. 0 is "
        "chance; 1 means that the meanings are the same as the sizes, or as the images.",
        chart=Chart(x="layer", y=("size", "image"), y_label="adjusted mutual information"),
        rows=tuple(rows),
    )


def agreement(neuron: Neuron) -> tuple[float, float]:
    """Return the adjusted mutual information of a neuron's meanings with (crop size, image)."""
    meaning = np.empty(len(neuron.crops), dtype=int)
    for number, part in enumerate(neuron.semantic_groups):
        meaning[list(part.crops)] = number
    sizes = [crop.box[2] - crop.box[0] for crop in neuron.crops]
    images = [crop.image for crop in neuron.crops]
    return (
        float(adjusted_mutual_info_score(sizes, meaning)),
        float(adjusted_mutual_info_score(images, meaning)),
    )


def _largest_share(images: Sequence[int]) -> float:
    return float(np.bincount(images).max()) / len(images)
