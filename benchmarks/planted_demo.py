"""The shortcut of the demo network, the stamp on taxis; see ``planted.Planted``.

The network is the one that comes along; pictures are drawn anew for every seed, none of them seen in
its training.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from benchmarks.planted import carriers, inputs
from neurflow import Config, Model
from neurflow.demo.network import LAYERS, demo_model, load_demo_network
from neurflow.demo.pictures import CLASSES, SHORTCUT, picture

KINDS = ("stamp",)
FIRST = 10**6
"""times a seed: the first of its pictures"""
PER_CLASS = {"train": 60, "audit": 20, "test": 40}


@dataclass(frozen=True)
class DemoTask:
    """The demo's pictures of a seed."""

    kind: str
    strength: float
    seed: int
    layers: ClassVar[list[str]] = list(LAYERS)
    studied: ClassVar[int] = 40
    config: ClassVar[Config] = Config(groups=16, max_groups=16)
    target: ClassVar[int] = CLASSES.index(SHORTCUT.class_name)

    def train(self) -> nn.Module:
        """The network that comes along."""
        return load_demo_network()

    def model_of(self, network: nn.Module) -> Model:
        """The network as neurflow takes it; there is only one."""
        return demo_model()

    def inputs(self, pixels: np.ndarray) -> Tensor:
        """uint8 pictures as the network takes them."""
        return inputs(pixels)

    def draw(self, split: str, marks: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(pixels ``[picture, height, width, rgb]``, labels, whether marked) of a split."""
        count = PER_CLASS[split]
        labels = np.repeat(np.arange(len(CLASSES)), count)
        own = labels == self.target
        carries = carriers(own, marks, self.strength, [self.seed, len(split), len(marks)])
        start = FIRST * (1 + self.seed) + 1000 * list(PER_CLASS).index(split)
        pixels = [
            # the demo's training has the even seeds
            _pixels(CLASSES[label], start + 2 * (place % count) + 1, bool(mark))
            for place, (label, mark) in enumerate(zip(labels, carries, strict=True))
        ]
        return np.array(pixels), labels, carries


@cache
def _pixels(name: str, seed: int, mark: bool) -> np.ndarray:
    return np.asarray(picture(name, seed, shortcut=mark).image)


def demo_task(kind: str, strength: float, seed: int) -> DemoTask:
    """The task of a seed; everything random comes from it."""
    return DemoTask(kind, strength, seed)
