"""Hand-written circuits: groups given by their neurons, each neuron with its own crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from neurflow.circuit import (
    Circuit,
    CircuitLayer,
    GroupEdge,
    Neuron,
    NeuronGroup,
    SemanticGroup,
)
from neurflow.config import Config
from neurflow.refs import Crop, ImageRef, Member, ModelInfo, Target
from tests.conftest import webp

SIDE = 32
QUARTER = tuple((x, y, x + 8, y + 8) for y in range(0, 32, 8) for x in range(0, 32, 8))
"""boxes that do not overlap"""

Groups = Sequence[Mapping[int, Sequence[tuple[int, tuple[int, int, int, int]]]]]
"""neuron of a layer → its crops as (image, box)"""


def plain(*groups: Sequence[int]) -> Groups:
    """Groups given by their neurons, each neuron with a different crop."""
    return [{a: [(0, QUARTER[a % 16])] for a in group} for group in groups]


def tiny(
    layers: Mapping[str, Groups],
    edges: Mapping[tuple[str, str], float] | None = None,
    *,
    target: str = "bee",
    neuron: int = 0,
    digest: str = "0" * 64,
    images: Sequence[str] = ("0.png", "1.png"),
    labels: Mapping[str, str] | None = None,
    side: int = SIDE,
    means: Mapping[str, int] | None = None,
    vectors: Mapping[int, Sequence[float]] | None = None,
) -> Circuit:
    """A circuit of these groups, with the target in the last layer and concept vectors ``vectors``."""
    frozen = []
    for name, groups in layers.items():
        crops: dict[int, list[Crop]] = {}
        parts: dict[int, list[SemanticGroup]] = {}
        found = []
        for number, group in enumerate(groups):
            members = []
            for a, boxes in group.items():
                start = len(crops.setdefault(a, []))
                crops[a] += [Crop(image, box) for image, box in boxes]
                parts.setdefault(a, []).append(
                    SemanticGroup(
                        crops=tuple(range(start, len(crops[a]))),
                        weights={},
                        concept_vector=np.resize((vectors or {}).get(a, (1,)), 32).astype("f4"),
                    )
                )
                members.append(Member(a, len(parts[a]) - 1))
            id = f"{name}/{number}"
            exemplars = [Crop(image, box) for boxes in group.values() for image, box in boxes]
            found.append(
                NeuronGroup(
                    id=id,
                    members=tuple(members),
                    crops=tuple(dict.fromkeys(exemplars)),
                    label=(labels or {}).get(id),
                )
            )
        frozen.append(
            CircuitLayer(
                name=name,
                neurons={
                    a: Neuron(
                        index=a,
                        crops=tuple(crops[a]),
                        activations=tuple(float(len(crops[a]) - i) for i in range(len(crops[a]))),
                        semantic_groups=tuple(parts[a]),
                    )
                    for a in crops
                },
                groups=tuple(found),
                means=(0.5,) * (means or {}).get(name, 0),
            )
        )
    shown = {crop for layer in frozen for group in layer.groups for crop in group.crops}
    return Circuit(
        model=ModelInfo(reference="Tiny", digest=digest, input_size=(3, side, side)),
        target=Target(layer=frozen[-1].name, neuron=neuron, name=target),
        config=Config(tau=2, k=2),
        images=tuple(ImageRef(name=name) for name in images),
        crop_count=59 * len(images),
        layers=tuple(frozen),
        edges=tuple(GroupEdge(upper=u, lower=v, weight=w) for (u, v), w in (edges or {}).items()),
        thumbnails={crop: webp((crop.box[0] * 7, crop.box[1] * 7, 90)) for crop in shown},
    )
