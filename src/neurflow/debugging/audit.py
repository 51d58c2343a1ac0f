"""``neurflow.audit``: rank groups by the evidence that they are shortcuts, on labelled pictures.

A group that detects the object itself fires only on pictures of the class, its heat follows the object
around the picture, and masking it makes predictions of the class wrong. For a shortcut, the opposite is
true.

1. Mask each group below the target's layer on pictures of the class and of other classes, once by zero
   and once by the mean over the concept set. Which of the two removes a shortcut and leaves the rest
   intact depends on the activation of its neurons where the shortcut is absent.
2. Compute the ``signals`` of both ablations and the evidence ``raises + mends + (fixed + apart) / 10``.
   The last two, which describe where a group responds, decide between groups with similar effects. A
   signal that cannot be measured counts as 0. *fixes* and *cost*, the parts of *mends*, are reported
   too.
3. Rank the groups by the ablation that gives more evidence.

The result is a ranking, not a verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

from neurflow.circuit import Circuit, CircuitLayer
from neurflow.circuit.reload import same_model
from neurflow.debugging import signals
from neurflow.debugging.chain import path_weights
from neurflow.debugging.masking import Mask, Masker, mask_of
from neurflow.debugging.picture_explainer import require_calibration
from neurflow.debugging.pictures import as_source, batches, true_class
from neurflow.debugging.result import AuditReport, Filler, GroupAudit, Signals
from neurflow.errors import ImagesError, RequestError
from neurflow.method.surroundings import heat_of, spatial_map
from neurflow.model import Model
from neurflow.pictures.images import Images, load_images
from neurflow.refs import GroupId, SkippedImage
from neurflow.runtime.float32 import full_float32
from neurflow.runtime.progress import Progress, Silent, note_skipped

CELLS = 14
"""largest number of cells per side of the grid on which heat maps are compared"""
WEIGHTS = {"raises": 1.0, "mends": 1.0, "fixed": 0.1, "apart": 0.1}
"""weight of each signal in the ranking"""


@full_float32()
def audit(
    circuit: Circuit,
    model: Model,
    images: Any,
    *,
    progress: Progress | None = None,
) -> AuditReport:
    """Rank groups by the evidence that they are a shortcut for the class.

    Args:
        circuit: the circuit of a class.
        model: the model that the circuit was found in.
        images: labelled pictures of the class and of other classes that the model was not trained on:
            a folder of class folders, or any other labelled source that ``load_images`` accepts.
        progress: receives stages, steps and notes.

    Raises:
        ModelError: the circuit was found in another model.
        ResultError: the circuit is of an early version and has no calibration of its groups.
        RequestError: the target is not a class.
        ImagesError: there are no labelled pictures of the class, or none of other classes.

    Example::

        report = neurflow.audit(circuit, model, "held-out/")
        report.groups[0].id, report.groups[0].evidence
    """
    same_model(circuit, model)
    require_calibration(circuit)
    target = circuit.target
    if target.layer != model.network.output_name or model.output_spec.kind == "values":
        raise RequestError(
            f"An audit needs the circuit of a class, but the target {target.name!r} is not one."
        )
    progress = progress or Silent()
    source = load_images(as_source(images), model).tell(progress)
    known, skipped = _known(model, source)
    unknown = len(skipped)
    if known and (bare := sum(not ref.label for ref in source.refs)):
        progress.note(f"{bare} of {len(source)} pictures have no label and are left out.")
    _refuse_one_sided(list(known.values()), target.neuron, target.name, skipped)
    layers = [_LayerAudit(model, circuit, layer) for layer in circuit.layers[:-1]]
    labels: list[int] = []
    progress.start("masking every group", len(known) * len(layers))
    for positions, pixels in batches(source, known, skipped):
        labels += [known[index] for index in positions]
        for layer in layers:
            layer.run(pixels)
            progress.advance(len(positions))
    note_skipped(skipped[unknown:], progress)  # labels without a class have been reported above
    _refuse_one_sided(labels, target.neuron, target.name, skipped)
    before = signals.Answers(layers[0].logits, np.array(labels), target.neuron, model.output_spec)
    carried = path_weights(circuit)
    found = [each for layer in layers for each in layer.audited(before, carried)]
    found.sort(key=lambda each: -each.evidence)
    false = int(before.false_positives.sum())
    return AuditReport(
        model=circuit.model,
        target=target,
        pictures=len(labels),
        of_class=int(before.own.sum()),
        false_positives=false,
        groups=tuple(
            GroupAudit(rank=place, **each._asdict()) for place, each in enumerate(found, start=1)
        ),
        skipped=tuple(skipped),
        notes=()
        if false
        else (
            f"None of these pictures is mistaken for {target.name!r}, so it cannot be measured whether "
            "masking corrects mistakes. The audit is more sensitive on pictures from actual use.",
        ),
    )


class Audited(NamedTuple):
    """The fields of ``GroupAudit`` that are known before the groups are ranked."""

    id: str
    evidence: float
    ablation: Filler
    signals: Signals


def evidence_of(found: Signals) -> float:
    """Return the evidence that a group is a shortcut: the weighted sum of its signals."""
    return sum(
        weight * value.value for name, weight in WEIGHTS.items() if (value := getattr(found, name))
    )


class _LayerAudit:
    """The groups of one layer: collects heat maps, and logits with each group masked, by batches."""

    def __init__(self, model: Model, circuit: Circuit, layer: CircuitLayer) -> None:
        self.groups = layer.measured
        self.masker = Masker(model, [layer.name])
        self.ablations: tuple[Filler, ...] = get_args(Filler) if layer.means else ("zero",)
        self.masks = [
            self._mask(layer, group.neurons, ablation)
            for group in self.groups
            for ablation in self.ablations
        ]
        self._before: list[np.ndarray] = []
        self._after: list[list[np.ndarray]] = []
        self._heat: list[np.ndarray] = []

    def _mask(self, layer: CircuitLayer, neurons: Sequence[int], ablation: Filler) -> Mask:
        means = {layer.name: layer.means}
        return mask_of(self.masker.layers, {layer.name: neurons}, ablation, means=means)

    def run(self, pixels: torch.Tensor) -> None:
        """Run a batch ``[picture, channel, height, width]``."""
        before, after, observed = self.masker.run(pixels, self.masks)
        (layer,) = self.masker.layers
        self._before.append(before)
        self._after.append(after)
        maps = [spatial_map(each, layer) for each in observed[layer.name].float().cpu().numpy()]
        heat = [[_cells(heat_of(each, group)) for group in self.groups] for each in maps]
        self._heat.append(np.array(heat, dtype=np.float32))

    @property
    def logits(self) -> np.ndarray:
        """``[picture, class]`` logits without any mask."""
        return np.concatenate(self._before)

    def audited(
        self, before: signals.Answers, carried: Mapping[GroupId, float]
    ) -> Iterator[Audited]:
        """Yield each group with its signals under the ablation that gives more evidence."""
        heat = np.concatenate(self._heat)[before.predicted_as_target]  # [picture, group, cell]
        after = [np.concatenate(parts) for parts in zip(*self._after, strict=True)]
        weights = np.array([max(carried[group.id], 0) for group in self.groups])
        for number, group in enumerate(self.groups):
            others = np.where(np.arange(len(self.groups)) == number, 0, weights)
            place = {
                "fixed": signals.fixed(heat[:, number]),
                "apart": signals.apart(heat[:, number], np.einsum("pgc,g->pc", heat, others)),
            }
            start = number * len(self.ablations)
            tried = []
            for ablation, logits in zip(
                self.ablations, after[start : start + len(self.ablations)], strict=True
            ):
                masked = before.with_logits(logits)
                found = Signals(
                    raises=signals.raises(before, masked),
                    mends=signals.mends(before, masked),
                    fixes=signals.fixes(before, masked),
                    cost=signals.cost(before, masked),
                    **place,
                )
                tried.append(Audited(group.id, evidence_of(found), ablation, found))
            yield max(tried, key=lambda audit: audit.evidence)


def _cells(heat: np.ndarray | None) -> np.ndarray:
    """Pool a heat map ``[height, width]`` to at most ``CELLS`` per side, and flatten it.

    Without a map, return a single cell of 0.
    """
    if heat is None:
        return np.zeros(1)
    size = (min(CELLS, heat.shape[0]), min(CELLS, heat.shape[1]))
    return adaptive_avg_pool2d(torch.from_numpy(heat)[None], size).flatten().numpy()


def _known(model: Model, images: Images) -> tuple[dict[int, int], list[SkippedImage]]:
    """Return index → class of the pictures that are labelled with a class, and the other pictures."""
    known, skipped = {}, []
    for index, ref in enumerate(images.refs):
        label = true_class(ref.label, model)
        if label is None:
            what = f"its label {ref.label!r} names no class" if ref.label else "it has no label"
            skipped.append(SkippedImage(name=ref.name, reason=what))
        else:
            known[index] = label
    return known, skipped


def _refuse_one_sided(
    labels: Sequence[int], target: int, name: str, skipped: Sequence[SkippedImage]
) -> None:
    """Raise ``ImagesError`` unless there are pictures both of the class and of other classes."""
    if not labels:
        first = skipped[0]
        raise ImagesError(f"No picture can be used. The first is {first.name}: {first.reason}.")
    own = [label == target for label in labels]
    if not any(own) or all(own):
        kind = "of other classes" if any(own) else f"labelled {name!r}"
        raise ImagesError(
            f"An audit needs pictures of the class and of other classes, but there are none {kind}. "
            "Name the folders of the pictures after the classes."
        )
