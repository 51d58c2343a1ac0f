"""Studies of small networks, for tests."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import torch

from neurflow import Config, Model
from neurflow.attribution import AttributionTask
from neurflow.method.core_neurons import Choice, make_core
from neurflow.pictures.crops import CropSet
from neurflow.pictures.images import Images
from neurflow.refs import ImageRef
from neurflow.runtime.memory import Budget
from neurflow.runtime.progress import Silent
from neurflow.runtime.workspace import Workspace
from neurflow.study.study import LayerPair, Study, segments_of
from tests.networks import FAMILIES, seeded, settle


@cache
def family(name):
    """A model of one of ``FAMILIES``, exported once per process, for tests that do not change it."""
    build, size = FAMILIES[name]
    return Model(settle(seeded(build)), transform=lambda _: torch.zeros(3, size, size))


def inputs(pixels):
    """A source of inputs ``[image, channel, height, width]``, which are not transformed."""
    refs = tuple(ImageRef(name=f"{number}") for number in range(len(pixels)))
    return Images(refs, lambda number: pixels[number], digest="")


def study_of(model, images, layers, config, folder, target=0):
    """A study of all crops of ``images``."""
    chosen, size = tuple(range(len(images))), model.input_size[1:]
    crops = CropSet(images, chosen, size, config.granularities)
    segments = segments_of(model, layers)
    budget = Budget("64MB", Silent())
    return Study(model, model.target(target), segments, crops, Workspace(folder), budget, Silent())


def task_on(segment, maps, concepts, batch, minus=None, **config):
    """An attribution task whose values come from ``maps`` instead of a network."""
    model = SimpleNamespace(device=torch.device("cpu"))
    study = SimpleNamespace(model=model, progress=Silent(), minus=lambda layer: minus)
    config = Config(**{"baseline": "zero"} | config)
    return AttributionTask(study, LayerPair(segment, maps, batch), concepts, config)


def select_core(scores, tau):
    """S_a of one target and its weights, by the published rule."""
    choice = Choice(task=None, scores={0: scores}, taus={0: tau})
    return make_core(scores, choice.largest(0, scores.importance))
