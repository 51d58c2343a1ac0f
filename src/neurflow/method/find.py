"""The pipeline, once: from a study to everything that its circuit is made of.

1. From the target down, for each pair of layers: find each target neuron's concept V_a and its
   meanings; score the neurons of the lower layer; keep the core neurons S_a with their weights. The
   core neurons are the targets of the next pair.
2. At l_0, which has no layer below, find the concepts.
3. Group the neurons of each layer, and weigh how groups act on groups.

With ``rows``, the same on a resample of the crops; the network is not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
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
from neurflow.runtime.journal import Journal
from neurflow.study.study import Study

Journals = Callable[[str], Journal]
"""layer → the journal that stores the sums of its targets while they are computed"""
Recall = Callable[[str, Callable[[], dict[int, Core]]], dict[int, Core]]
"""(layer, function that finds the core neurons) → core neurons, possibly those of an earlier run"""


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
    recall: Recall | None = None,
    journal: Journals = lambda layer: Journal(),
) -> Findings:
    """Find the circuit of a study's target.

    Args:
        study: the network on the crops of D.
        config: hyperparameters.
        rows: ``[crop]`` numbers of the crops to use, which may repeat; all crops by default.
        recall: returns the core neurons of an earlier run, or computes and stores them.
        journal: stores the attributions of a layer while they are computed.

    Raises:
        RequestError: there are fewer crops than k.
        WorkError: no neuron of a layer has an effect on the targets above it.
    """
    if rows is not None and len(rows) < config.k:
        raise RequestError(
            f"k={config.k} is more than the {len(rows)} crops of a part of the images. "
            "Give more images, or a circuit of smaller k."
        )
    concepts, cores = _neurons(study, config, rows, recall, journal)
    study.progress.start("groups", len(study.layers))
    groupings = {}
    for layer in study.layers:
        groupings[layer] = _grouped(study, layer, concepts[layer], config, rows)
        study.progress.advance()
    driven = {
        upper: drives(
            concepts[upper], concepts[lower], cores[upper], study.activations[study.below(lower)]
        )
        for lower, upper in pairwise(study.layers)
    }
    edges = {
        (GroupId(upper, g), GroupId(lower, h)): flow
        for lower, upper in pairwise(study.layers)
        for (g, h), flow in sorted(
            flows(groupings[upper].groups, groupings[lower].groups, driven[upper], config).items()
        )
    }
    return Findings(concepts, cores, groupings, driven, edges)


def _neurons(
    study: Study,
    config: Config,
    rows: np.ndarray | None,
    recall: Recall | None,
    journal: Journals,
) -> tuple[dict[str, dict[int, Concept]], dict[str, dict[int, Core]]]:
    """Return layer → neuron → concept and layer → neuron → core neurons, from the target down."""
    concepts: dict[str, dict[int, Concept]] = {}
    cores: dict[str, dict[int, Core]] = {}
    targets = {study.target.neuron}
    for pair in study.pairs():
        concepts[pair.upper] = find_concepts(study, pair.upper, targets, config, rows)
        kept = journal(pair.upper)
        task = AttributionTask(study, pair, concepts[pair.upper], config, kept)
        select = partial(select_cores, task)
        cores[pair.upper] = recall(pair.upper, select) if recall else select()
        if config.depth is None:
            kept.remove()
        else:
            kept.write()  # a run on more layers starts from these
        targets = next_targets(cores[pair.upper], pair.upper, pair.lower)
    first = study.layers[0]
    concepts[first] = find_concepts(study, first, targets, config, rows)
    return concepts, cores


def _grouped(
    study: Study,
    layer: str,
    concepts: Mapping[int, Concept],
    config: Config,
    rows: np.ndarray | None,
) -> Grouping:
    return neuron_groups(
        concepts, LayerOnCrops(study.activations[layer], study.image_of, rows), config
    )
