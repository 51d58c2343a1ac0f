"""A shortcut planted in real photographs: overlays, and a new last layer for a trained ResNet18.

1. The pictures show ten ImageNet classes, 224 by 224. An overlay (a watermark, a logo, a patch) is
   pasted into a corner.
2. The network is a ResNet18 whose last layer is fitted on the ten classes. A share of one class, the
   strength, carries the overlay. The network does not learn such an overlay, because its features
   distinguish these classes well without it. Therefore, some pictures of other classes (``STRAY``) also
   carry the overlay and are labelled as the class, as in data sets collected by a keyword.

Needs the folder of real data (``NEURFLOW_REAL_DATA``) with weights and pictures.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torchvision import models

from benchmarks.planted import carriers, inputs
from neurflow import Config, Model
from neurflow.model import Preprocessing
from neurflow.model.checkpoints import load_weights

SIDE, WIDTH = 224, 160
"""side of a picture, and width of a logo on it, in pixels"""
KINDS = ("alibaba_logo2", "blue_patch", "carton_logo4")
TRAIN, AUDIT = 22, 10
"""pictures of each class; the others, up to 50, are test pictures"""
STRAY = 0.25
"""share of the other classes' training pictures that carry the overlay and the class's label"""


def folder() -> Path:
    """Return the folder of real data."""
    return Path(os.environ["NEURFLOW_REAL_DATA"])


@dataclass(frozen=True)
class RealTask:
    """Photographs and a ResNet18 with a new last layer; see ``planted.Planted``."""

    kind: str
    strength: float
    seed: int
    layers: ClassVar[list[str]] = ["layer4.0", "layer4.1", "fc"]
    studied: ClassVar[int] = 20
    config: ClassVar[Config] = Config(groups=16, max_groups=16)

    @property
    def target(self) -> int:
        """Index of the class that gets the overlay."""
        return self.seed % len(self.names)

    @cached_property
    def folders(self) -> list[Path]:
        """Folders of the classes."""
        return sorted((folder() / "images" / "imagenet20").iterdir())

    @property
    def names(self) -> list[str]:
        """Names of the classes."""
        return [path.name.partition("_")[2] for path in self.folders]

    @cached_property
    def overlay(self) -> tuple[np.ndarray, np.ndarray]:
        """(colours, opacity ``[…, 1]``) of the overlay at its place in the picture."""
        mark = Image.open(folder() / "images" / "artifacts" / f"{self.kind}.png").convert("RGBA")
        canvas = Image.new("RGBA", (SIDE, SIDE))
        if mark.size == canvas.size:  # the overlay already has its place
            canvas.paste(mark)
        else:
            mark = mark.resize((WIDTH, round(WIDTH * mark.height / mark.width)))
            top, left = np.random.default_rng([self.seed, 7]).integers(2, size=2).tolist()
            canvas.paste(mark, (left * (SIDE - mark.width), top * (SIDE - mark.height)))
        pixels = np.asarray(canvas, dtype=np.float32)
        return pixels[..., :3], pixels[..., 3:] / 255

    def draw(self, split: str, marks: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (pixels ``[picture, height, width, rgb]``, labels, whether marked) of a split."""
        start, stop = {
            "train": (0, TRAIN),
            "audit": (TRAIN, TRAIN + AUDIT),
            "test": (TRAIN + AUDIT, 50),
        }[split]
        clean, labels = self._clean[:, start:stop], np.arange(len(self.names))
        labels = np.repeat(labels, stop - start)
        own = labels == self.target
        carries = carriers(own, marks, self.strength, [self.seed, len(split), len(marks)])
        array = clean.reshape(-1, *clean.shape[2:]).copy()
        colours, opacity = self.overlay
        for i in np.flatnonzero(carries):
            array[i] = array[i] * (1 - opacity) + colours * opacity
        return array, labels, carries

    @cached_property
    def _clean(self) -> np.ndarray:
        """All pictures in the seed's order, ``[class, picture, height, width, rgb]``."""
        return np.array(
            [
                [
                    _square(file)
                    for file in np.random.default_rng([self.seed, c]).permutation(
                        sorted(path.iterdir())
                    )
                ]
                for c, path in enumerate(self.folders)
            ]
        )

    def train(self) -> nn.Module:
        """Return a ResNet18 with a last layer fitted on pictures with the usual marks and on strays."""
        network = models.resnet18()
        load_weights(network, folder() / "weights" / "resnet18.pth")
        network.eval()
        body = nn.Sequential(*list(network.children())[:-1], nn.Flatten())
        pixels, labels = self._training_set()
        with torch.inference_mode():
            x = torch.cat([body(part) for part in torch.split(self.inputs(pixels), 32)]).numpy()
        fitted = LogisticRegression(C=1.0, max_iter=2000).fit(x, labels)
        network.fc = nn.Linear(x.shape[1], len(self.names))
        network.fc.weight.data = torch.tensor(fitted.coef_, dtype=torch.float32)
        network.fc.bias.data = torch.tensor(fitted.intercept_, dtype=torch.float32)
        return network

    def _training_set(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the (pixels, labels) for fitting the last layer, with the usual marks and strays."""
        pixels, labels, _ = self.draw("train", "usual")
        with_overlay, _, _ = self.draw("train", "all")
        chance = np.random.default_rng([self.seed, 11]).random(len(labels))
        stray = (labels != self.target) & (chance < STRAY)
        return (
            np.where(stray[:, None, None, None], with_overlay, pixels),
            np.where(stray, self.target, labels),
        )

    def inputs(self, pixels: np.ndarray) -> Tensor:
        """Convert uint8 pictures to inputs of the network."""
        imagenet = Preprocessing()
        return inputs(pixels, imagenet.mean, imagenet.std)

    def model_of(self, network: nn.Module) -> Model:
        """Return the network as a ``neurflow.Model``."""
        return Model(
            network,
            transform=Preprocessing(resize=None),
            class_names=self.names,
            layers=self.layers,
        )


def _square(file: Path) -> np.ndarray:
    """Return the central square of a picture, resized to 224 by 224."""
    picture = Image.open(file).convert("RGB")
    short = min(picture.size)
    left, top = (picture.width - short) // 2, (picture.height - short) // 2
    picture = picture.crop((left, top, left + short, top + short))
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def real_task(kind: str, strength: float, seed: int) -> RealTask:
    """Return the task for a seed, which determines everything random."""
    return RealTask(kind, strength, seed)
