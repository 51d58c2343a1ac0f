"""Explains the prediction for a picture: the groups that fire, where they fire, and what drives them.

1. Crop the picture as the concept set was cropped, and run all crops through the network once.
2. The score of a group on the picture is that of its best crop (``scores``). The group *fires* if the
   score reaches its threshold, which the share ``FIRING`` of the group's own crops reaches.
3. The group's *frequency* is the share of the concept set's images on which it fires. The group is
   *missing* if its frequency is at least ``MIN_FREQUENCY`` and it does not fire here. *Unlike* is the
   distance of the log score from its median over the concept set, in robust standard deviations (1.4826
   times the median absolute deviation, at least ``MIN_SPREAD``).
4. The heat map on the whole picture is that of ``surroundings``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neurflow.circuit import Calibration, Circuit, CircuitLayer, NeuronGroup
from neurflow.circuit.scores import EPSILON, group_scores
from neurflow.debugging.chain import chain, path_weights
from neurflow.debugging.pictures import BATCH
from neurflow.debugging.result import GroupReading, PictureReport, Prediction, ScoredBox
from neurflow.errors import ResultError
from neurflow.method.surroundings import heat_of, spatial_map
from neurflow.model import Model
from neurflow.pictures.crops import Box, crop_boxes, crop_pixels
from neurflow.pictures.decoding import webp
from neurflow.refs import GroupId, Target

FIRING = 0.75
"""share of a group's own crops that reach its threshold"""
MIN_FREQUENCY = 2 / 3
"""smallest frequency of a group that counts as missing if it does not fire"""
MIN_SPREAD = 0.1
"""smallest spread of log scores: about 10 % of a score"""
BEST_CROPS = 3
"""number of crops that are reported for a group"""
TOP = 5
"""number of classes that are reported"""
PICTURE = 448
"""longest side of a stored picture, in pixels"""


@dataclass(frozen=True)
class Observed:
    """The activations of one picture.

    Attributes:
        boxes: boxes of its crops; the first is the whole picture if the granularities begin with 1.
        phi: layer → ``[crop, neuron]`` pooled activations.
        maps: layer → ``[height, width, neuron]`` on the whole picture; layers without spatial
            positions are left out.
        logits: ``[class]`` on the whole picture.
    """

    boxes: list[Box]
    phi: Mapping[str, np.ndarray]
    maps: Mapping[str, np.ndarray]
    logits: np.ndarray


class PictureExplainer:
    """Explains pictures with a circuit.

    Args:
        model: the model of the circuit.
        circuit: a circuit with calibrations.

    Raises:
        ResultError: the circuit is of an early version and has no calibrations.
    """

    def __init__(self, model: Model, circuit: Circuit) -> None:
        require_calibration(circuit)
        self.model, self.circuit = model, circuit
        self.layers = [model.layer(layer.name) for layer in circuit.layers]
        names = [layer.name for layer in self.layers]
        output = model.network.output_name
        self._observe = model.outputs([model.node(name) for name in (*names, output)])
        self._path_weights = path_weights(circuit)
        self._thresholds = {
            group.id: threshold(calibration_of(group))
            for layer in circuit.layers
            for group in layer.measured
        }

    def observe(self, pixels: torch.Tensor) -> Observed:
        """Run a picture ``[channel, height, width]`` and its crops."""
        size = self.model.input_size[1:]
        boxes = crop_boxes(*size, self.circuit.config.granularities)
        inputs = crop_pixels(pixels, boxes, size)
        phi: dict[str, list[np.ndarray]] = {layer.name: [] for layer in self.layers}
        with torch.inference_mode():
            *outputs, logits = self._observe(self.model.feed(pixels[None]))
            maps = {
                layer.name: found
                for layer, output in zip(self.layers, outputs, strict=True)
                if (found := spatial_map(output[0].float().cpu().numpy(), layer)) is not None
            }
            for part in torch.split(inputs, BATCH):
                *outputs, _ = self._observe(self.model.feed(part))
                for layer, output in zip(self.layers, outputs, strict=True):
                    phi[layer.name].append(layer.pool(output).float().cpu().numpy())
        joined = {name: np.concatenate(parts) for name, parts in phi.items()}
        return Observed(boxes, joined, maps, logits[0].flatten().float().cpu().numpy())

    def explain(self, name: str, label: str | None, pixels: torch.Tensor) -> PictureReport:
        """Explain one picture."""
        observed = self.observe(pixels)
        circuit, target = self.circuit, self.circuit.target
        shown = None
        if self.model.output_spec.multilabel:  # predicted classes need not be among the best
            shown = [*best_classes(observed.logits), target.neuron]
            shown += [target.minus] if target.minus is not None else []
        scores = {
            group.id: group_scores(
                group_phi(
                    observed.phi[layer.name], group, target if layer is circuit.layers[-1] else None
                ),
                np.array(calibration_of(group).means),
            )
            for layer in circuit.layers
            for group in layer.measured
        }
        firing = {id for id, found in scores.items() if found.max() >= self._thresholds[id]}
        return PictureReport(
            name=name,
            label=label,
            top=predictions(self.model, observed.logits, shown),
            target=self.target_value(observed, pixels),
            groups=tuple(
                self._reading(layer, group, scores[group.id], observed, firing)
                for layer in circuit.layers
                for group in layer.measured
            ),
            picture=webp(self.model.picture(pixels), PICTURE, quality=85),
        )

    def target_value(self, observed: Observed, pixels: torch.Tensor) -> float:
        """Return the target's activation on the whole picture."""
        target = self.circuit.target
        if target.layer == self.model.network.output_name:
            return float(target_values(observed.logits[None], target)[0])
        layer = self.model.layer(target.layer)
        with torch.inference_mode():
            output = self.model.outputs([self.model.node(target.layer)])(
                self.model.feed(pixels[None])
            )[0]
        return float(layer.pool(output)[0, target.neuron])

    def _reading(
        self,
        layer: CircuitLayer,
        group: NeuronGroup,
        scores: np.ndarray,
        observed: Observed,
        firing: set[GroupId],
    ) -> GroupReading:
        calibration, limit = calibration_of(group), self._thresholds[group.id]
        over_images = np.array(calibration.image_scores)
        share = float((over_images >= limit).mean())
        best = np.argsort(-scores, kind="stable")[:BEST_CROPS]
        score = float(scores.max())
        return GroupReading(
            id=group.id,
            score=score,
            threshold=limit,
            fires=group.id in firing,
            frequency=share,
            percentile=float((over_images <= score).mean()),
            unlike=robust_distance(score, over_images),
            path_weight=self._path_weights[group.id],
            missing=share >= MIN_FREQUENCY and group.id not in firing,
            crops=tuple(ScoredBox(observed.boxes[i], float(scores[i])) for i in best),
            heat=heat(observed.maps.get(layer.name), group),
            chain=chain(self.circuit, group.id, firing),
        )


def require_calibration(circuit: Circuit) -> None:
    """Raise ``ResultError`` if the circuit is of an early version and has no calibrations."""
    if not any(layer.measured for layer in circuit.layers):
        raise ResultError(
            "This result was made by an earlier version and has no calibration of its groups. "
            "Create it again with neurflow discover."
        )


def calibration_of(group: NeuronGroup) -> Calibration:
    """Return the calibration of a group of a circuit that has calibrations."""
    assert group.calibration is not None, "require_calibration comes first"
    return group.calibration


def threshold(calibration: Calibration) -> float:
    """Return the score from which a group fires; the share ``FIRING`` of its crops reaches it."""
    return float(np.quantile(calibration.crop_scores, 1 - FIRING, method="lower"))


def robust_distance(score: float, over_images: np.ndarray) -> float:
    """Return the distance of a log score from the concept set's, in robust standard deviations."""
    logs = np.log(over_images + EPSILON)
    middle = np.median(logs)
    spread = max(1.4826 * float(np.median(np.abs(logs - middle))), MIN_SPREAD)
    return float((np.log(score + EPSILON) - middle) / spread)


def group_phi(phi: np.ndarray, group: NeuronGroup, target: Target | None) -> np.ndarray:
    """Return φ ``[crop, neuron of the group]``, minus that of the second class of a difference."""
    chosen = phi[:, list(group.neurons)]
    if target is not None and target.minus is not None:
        chosen = chosen - phi[:, [target.minus]]
    return chosen


def heat(maps: np.ndarray | None, group: NeuronGroup) -> tuple[tuple[float, ...], ...]:
    """Return a group's heat map, rounded to three digits; () for a layer without spatial positions."""
    found = heat_of(maps, group)
    if found is None:
        return ()
    return tuple(tuple(float(f"{value:.3g}") for value in row) for row in found)


def target_values(logits: np.ndarray, target: Target) -> np.ndarray:
    """Return ``[batch]``: the target's logit, or difference, from logits ``[batch, class]``."""
    values = logits[:, target.neuron]
    return values if target.minus is None else values - logits[:, target.minus]


def best_classes(logits: np.ndarray, count: int = TOP) -> list[int]:
    """Return the ``count`` classes with the largest logits ``[class]``, largest first."""
    return np.argsort(-logits, kind="stable")[:count].tolist()


def predicted_classes(model: Model, top: Sequence[Prediction]) -> frozenset[int]:
    """Return the predicted classes of a picture among ``top``, its best classes."""
    if model.output_spec.multilabel:
        return frozenset(each.index for each in top if (each.probability or 0) > 0.5)
    return frozenset({top[0].index})


def predictions(
    model: Model, logits: np.ndarray, classes: Collection[int] | None = None
) -> tuple[Prediction, ...]:
    """Return the predictions for some classes, or for the best ones, from logits ``[class]``."""
    shares = model.probabilities(logits)
    wanted = best_classes(logits) if classes is None else classes
    return tuple(
        Prediction(
            index=c,
            name=model.class_names[c],
            logit=float(logits[c]),
            probability=None if np.isnan(shares[c]) else float(shares[c]),
        )
        for c in best_classes(logits, len(logits))
        if c in wanted
    )
