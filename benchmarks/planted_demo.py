"""The shortcut of the demo network, the stamp on taxis; see ``planted.Planted``.

The network is the one that the package contains. The pictures are different for every seed, and the
network was not trained on any of them.
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
PICTURES_PER_SEED = 10**6
"""distance between the first pictures of consecutive seeds"""
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
        """Return the network that the package contains."""
        return load_demo_network()

    def model_of(self, network: nn.Module) -> Model:
        """Return the network as a ``neurflow.Model``; there is only one."""
        return demo_model()

    def inputs(self, pixels: np.ndarray) -> Tensor:
        """Convert uint8 pictures to inputs of the network."""
        return inputs(pixels)

    def draw(self, split: str, marks: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (pixels ``[picture, height, width, rgb]``, labels, whether marked) of a split."""
        count = PER_CLASS[split]
        labels = np.repeat(np.arange(len(CLASSES)), count)
        own = labels == self.target
        carries = carriers(own, marks, self.strength, [self.seed, len(split), len(marks)])
        start = PICTURES_PER_SEED * (1 + self.seed) + 1000 * list(PER_CLASS).index(split)
        pixels = [
            # odd seeds: the training pictures of the demo have even ones
            _pixels(CLASSES[label], start + 2 * (place % count) + 1, bool(mark))
            for place, (label, mark) in enumerate(zip(labels, carries, strict=True))
        ]
        return np.array(pixels), labels, carries


@cache
def _pixels(name: str, seed: int, mark: bool) -> np.ndarray:
    return np.asarray(picture(name, seed, shortcut=mark).image)


def demo_task(kind: str, strength: float, seed: int) -> DemoTask:
    """Return the task for a seed, which determines everything random."""
    return DemoTask(kind, strength, seed)
