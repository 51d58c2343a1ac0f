"""Algorithm 1 of the paper: from a study to all parts of its circuit.

1. From the target down, for each pair of layers: find each target neuron's concept V_a and its
   meanings; score the neurons of the lower layer; select the core neurons S_a and compute their
   weights. The core neurons are the targets of the next pair.
2. At l_0, which has no layer below, find the concepts.
3. Group the neurons of each layer.
4. Compute the weights W(G, H) between the groups of neighbouring layers.

With ``rows``, the same is done on a resample of the crops, without a new pass over them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from neurflow.attribution.task import AttributionTask
from neurflow.circuit.interactions import Drive, Flow, flows
from neurflow.config import Config
from neurflow.errors import RequestError
from neurflow.method.concepts import Concept, find_concepts
from neurflow.method.core_neurons import Core, next_targets, select_cores
from neurflow.method.grouping.features import LayerOnCrops
from neurflow.method.groups import Grouping, drives, neuron_groups
from neurflow.refs import GroupId, Member
from neurflow.study.study import Study

Select = Callable[[AttributionTask], dict[int, Core]]
"""task → core neurons of each of its targets"""


@dataclass(frozen=True)
class Findings:
    """The parts of a circuit, as they are found.

    Attributes:
        concepts: layer → neuron → V_a with its meanings.
        cores: layer → neuron → S_a with its weights, for all layers except l_0.
        groupings: layer → its neuron groups.
        drives: for all layers except l_0: (neuron, semantic group) → its weights and their shares.
        edges: (upper group, lower group) → the positive and the negative part of W(G, H).
    """

    concepts: Mapping[str, Mapping[int, Concept]]
    cores: Mapping[str, Mapping[int, Core]]
    groupings: Mapping[str, Grouping]
    drives: Mapping[str, Mapping[Member, Drive]]
    edges: Mapping[tuple[GroupId, GroupId], Flow]


def find(
    study: Study,
    config: Config,
    rows: np.ndarray | None = None,
    *,
    select: Select = select_cores,
) -> Findings:
    """Find the circuit of a study's target (Algorithm 1).

    Args:
        study: the network on the crops of D.
        config: hyperparameters.
        rows: ``[crop]`` numbers of the crops to use, which may repeat; all crops by default.
        select: selects the core neurons of a layer's targets, or returns stored ones.

    Raises:
        RequestError: there are fewer crops than k.
        WorkError: no neuron of a layer has an effect on the targets above it.
    """
    _require_crops(config.k, rows)
    concepts: dict[str, dict[int, Concept]] = {}
    cores: dict[str, dict[int, Core]] = {}
    targets = {study.target.neuron}
    for pair in study.pairs():
        concepts[pair.upper] = find_concepts(study, pair.upper, targets, config, rows)
        cores[pair.upper] = select(AttributionTask(study, pair, concepts[pair.upper], config))
        targets = next_targets(cores[pair.upper], pair.upper, pair.lower)
    lowest = study.layers[0]
    concepts[lowest] = find_concepts(study, lowest, targets, config, rows)

    groupings: dict[str, Grouping] = {}
    study.progress.start("groups", len(study.layers))
    for layer in study.layers:
        on_crops = LayerOnCrops(study.activations[layer], study.image_of, rows)
        groupings[layer] = neuron_groups(concepts[layer], on_crops, config)
        study.progress.advance()

    inputs: dict[str, dict[Member, Drive]] = {}
    edges: dict[tuple[GroupId, GroupId], Flow] = {}
    for lower, upper in pairwise(study.layers):
        previous = study.activations[study.below(lower)]
        inputs[upper] = drives(concepts[upper], concepts[lower], cores[upper], previous)
        between = flows(groupings[upper].groups, groupings[lower].groups, inputs[upper], config)
        edges |= {(GroupId(upper, g), GroupId(lower, h)): between[g, h] for g, h in sorted(between)}
    return Findings(concepts, cores, groupings, inputs, edges)


def _require_crops(k: int, rows: np.ndarray | None) -> None:
    if rows is not None and len(rows) < k:
        raise RequestError(
            f"k={k} is more than the {len(rows)} crops of this part of the images. "
            "Give more images, or a circuit with a smaller k."
        )
