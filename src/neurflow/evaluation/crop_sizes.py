"""Crop sizes: the share of each granularity among the exemplars, by layer."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from neurflow.circuit import Circuit, CircuitLayer
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.result import Chart, Row, Table
from neurflow.evaluation.statistics import mean_interval
from neurflow.pictures.crops import crop_boxes
from neurflow.stats import Interval


class CropSizeRow(Row):
    """One layer and granularity."""

    layer: str = Field(description="layer of the neurons")
    granularity: str = Field(description="side of the crop, as a share of the image's")
    neurons: int = Field(description="neurons of the circuit")
    share: Interval = Field(description="share among their exemplars")
    available: float = Field(description="share among all crops, which is chance")


def crop_sizes(lab: Laboratory) -> Table[CropSizeRow]:
    """Return the share of each granularity among the exemplars of each layer's neurons."""
    circuit = lab.circuit
    rows = []
    for layer in circuit.layers:
        shares = granularity_shares(circuit, layer)
        for i, granularity in enumerate(circuit.config.granularities):
            rows.append(
                CropSizeRow(
                    layer=layer.name,
                    granularity=f"{granularity:g}",
                    neurons=len(layer.neurons),
                    share=mean_interval(shares[:, i], lab.settings),
                    available=available(circuit)[i],
                )
            )
    return Table(
        protocol="crop-sizes",
        title="Crop sizes",
        question="Share of each crop size among the crops that activate the neurons of a layer most. "
        "Lower layers usually prefer small crops, higher layers large ones.",
        chart=Chart(x="layer", y=("share",), series=("granularity",), y_label="share of exemplars"),
        rows=tuple(rows),
    )


def granularity_shares(circuit: Circuit, layer: CircuitLayer) -> np.ndarray:
    """Return ``[neuron, granularity]``: the share of each size among a neuron's exemplars."""
    widths = _widths(circuit)
    return np.array(
        [
            [np.mean([crop.box[2] - crop.box[0] == w for crop in neuron.crops]) for w in widths]
            for neuron in layer.neurons.values()
        ]
    )


def available(circuit: Circuit) -> list[float]:
    """Return ``[granularity]``: the share of each size among the crops of an image."""
    _, height, width = circuit.model.input_size
    boxes = crop_boxes(height, width, circuit.config.granularities)
    sizes = np.array([right - left for left, _, right, _ in boxes])
    return [float(np.mean(sizes == w)) for w in _widths(circuit)]


def _widths(circuit: Circuit) -> list[int]:
    _, height, width = circuit.model.input_size
    return [max(int(g * min(height, width)), 1) for g in circuit.config.granularities]
