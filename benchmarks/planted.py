"""Pictures with a planted shortcut, and small networks that learn it.

1. Clean pictures of six classes, 48 by 48, are drawn once (``neurflow.demo.pictures``) and cached.
2. A mark is one of four kinds: a *watermark* (a faint sign over the middle), a *border*, a
   *background* colour around the object, or a *patch* in a corner. Its place and colour depend on the
   seed.
3. In the training pictures, and in test pictures with the *usual* marks, a share of the pictures of one
   class carries the mark. This share is called the strength. No picture of another class carries the
   mark. A small network is trained on these pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from neurflow import Config, Model
from neurflow.demo.network import MEAN, STD, DemoNet
from neurflow.demo.pictures import picture
from neurflow.model import Preprocessing

CLASSES = ("balloon", "bee", "fish", "flower", "mushroom", "truck")
"""classes with different shapes, so that each can be recognised without the mark"""
KINDS = ("watermark", "border", "background", "patch")
LAYERS = ["stem", "block1", "block2", "block3", "block4", "head"]
SIDE = 48
PER_CLASS = 400
TRAIN, AUDIT, TEST = 240, 60, 100
"""pictures of each class in each split"""
EPOCHS, BATCH, RATE = 20, 64, 6e-3
COLOURS = ((20, 196, 190), (235, 0, 200), (40, 250, 60))


@dataclass(frozen=True)
class Pool:
    """Clean pictures, uint8 ``[class, picture, height, width, rgb]``, and boxes of their objects."""

    pixels: np.ndarray
    boxes: np.ndarray


def pool(cache: Path) -> Pool:
    """Return the clean pictures, drawn on the first call (about a minute)."""
    file = cache / "pool.npz"
    if not file.exists():
        drawn = [
            [picture(name, seed, shortcut=False) for seed in range(PER_CLASS)] for name in CLASSES
        ]
        pixels = [[np.asarray(p.image.reduce(2)) for p in row] for row in drawn]
        boxes = [[_union([part.box for part in p.parts]) for p in row] for row in drawn]
        cache.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(file, pixels=np.array(pixels), boxes=np.array(boxes) / 2)
    kept = np.load(file)
    return Pool(kept["pixels"], kept["boxes"])


def _union(boxes: list[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    """Return the smallest box that contains all boxes."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def marked(pixels: np.ndarray, box: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """Return a picture ``[height, width, rgb]`` with the mark; the object remains visible."""
    rng = np.random.default_rng([seed, 7])
    colour = np.array(COLOURS[rng.integers(len(COLOURS))], dtype=float)
    corner = rng.integers(2, size=2)
    y, x = np.mgrid[:SIDE, :SIDE]
    alpha = np.zeros((SIDE, SIDE))
    if kind == "patch":
        size = 7
        top, left = (corner * (SIDE - size - 2) + 1).tolist()
        alpha[top : top + size, left : left + size] = 1
    elif kind == "border":
        edge = np.minimum.reduce([x, y, SIDE - 1 - x, SIDE - 1 - y])
        alpha[edge < 2] = 1
    elif kind == "watermark":
        far = np.hypot(x - SIDE / 2, y - SIDE / 2)
        alpha[np.abs(far - 12) < 1.5] = 0.5
        alpha[(np.abs(y - SIDE / 2) < 1.5) & (far < 12)] = 0.5
    elif kind == "background":
        left, top, right, bottom = box
        radius = np.hypot(
            (x - (left + right) / 2) / max((right - left) / 2, 1),
            (y - (top + bottom) / 2) / max((bottom - top) / 2, 1),
        )
        alpha = np.clip((radius - 1.1) * 3, 0, 0.3)
    return (
        np.asarray(pixels * (1 - alpha[..., None]) + colour * alpha[..., None])
        .round()
        .astype(np.uint8)
    )


class Planted(Protocol):
    """A class with a planted shortcut, as the benchmark uses it for each kind of network."""

    @property
    def kind(self) -> str:
        """Kind of the mark."""

    @property
    def strength(self) -> float:
        """Share of the class's pictures that carry the mark."""

    @property
    def seed(self) -> int:
        """Seed of everything random."""

    @property
    def target(self) -> int:
        """Index of the class."""

    @property
    def layers(self) -> list[str]:
        """Layers to study, input side first."""

    @property
    def studied(self) -> int:
        """Number of pictures to discover the circuit on."""

    @property
    def config(self) -> Config:
        """Hyperparameters of the discovery."""

    def train(self) -> nn.Module:
        """Return a network trained on pictures with the usual marks."""

    def model_of(self, network: nn.Module) -> Model:
        """Return the network as a ``neurflow.Model``."""

    def inputs(self, pixels: np.ndarray) -> Tensor:
        """Convert uint8 pictures to inputs of the network."""

    def draw(self, split: str, marks: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (pixels ``[picture, height, width, rgb]``, labels, whether marked) of a split.

        Splits are *train*, *audit* and *test*; for ``marks`` see ``carriers``.
        """


def carriers(own: np.ndarray, marks: str, strength: float, seed: Sequence[int]) -> np.ndarray:
    """Return whether each picture carries the mark.

    Args:
        own: whether each picture belongs to the class.
        marks: *usual*, a share ``strength`` of the class; *none*; *swapped*, all pictures of the other
            classes; *all*; *half*, a random half of the pictures of every class.
        strength: share of the class's pictures with the usual marks.
        seed: seed of the random choice.
    """
    share = {
        "usual": np.where(own, strength, 0),
        "none": np.zeros(len(own)),
        "swapped": np.where(own, 0, 1),
        "all": np.ones(len(own)),
        "half": np.full(len(own), 0.5),
    }[marks]
    return np.asarray(np.random.default_rng(seed).random(len(own)) < share)


@dataclass(frozen=True)
class Task:
    """Drawn pictures and a small network; see ``Planted``.

    Attributes:
        order: ``[class, picture]`` shuffled numbers of the pool's pictures; splits are slices of it.
    """

    pool: Pool
    kind: str
    strength: float
    seed: int
    target: int
    order: np.ndarray

    layers: ClassVar[list[str]] = LAYERS
    studied: ClassVar[int] = 40
    config: ClassVar[Config] = Config(groups=16, max_groups=16)

    def train(self) -> DemoNet:
        """Return a network trained on pictures with the usual marks."""
        return train(self)

    def model_of(self, network: nn.Module) -> Model:
        """Return the network as a ``neurflow.Model``."""
        return model_of(network)

    def inputs(self, pixels: np.ndarray) -> Tensor:
        """Convert uint8 pictures to inputs of the network."""
        return inputs(pixels)

    def split(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the (class, picture) numbers of a split, class after class."""
        start, stop = {
            "train": (0, TRAIN),
            "audit": (TRAIN, TRAIN + AUDIT),
            "test": (TRAIN + AUDIT, TRAIN + AUDIT + TEST),
        }[name]
        chosen = self.order[:, start:stop]
        return np.repeat(np.arange(len(CLASSES)), stop - start), chosen.ravel()

    def draw(self, split: str, marks: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (pixels ``[picture, height, width, rgb]``, labels, whether marked) of a split."""
        labels, numbers = self.split(split)
        own = labels == self.target
        carries = carriers(own, marks, self.strength, [self.seed, len(split), len(marks)])
        pixels = self.pool.pixels[labels, numbers].copy()
        for i in np.flatnonzero(carries):
            box = self.pool.boxes[labels[i], numbers[i]]
            pixels[i] = marked(pixels[i], box, self.kind, self.seed)
        return pixels, labels, carries


def task(pool: Pool, kind: str, strength: float, seed: int) -> Task:
    """Return the task for a seed, which determines everything random."""
    rng = np.random.default_rng([seed, 1])
    order = np.array([rng.permutation(PER_CLASS) for _ in CLASSES])
    return Task(pool, kind, strength, seed, seed % len(CLASSES), order)


def inputs(pixels: np.ndarray, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> Tensor:
    """Convert uint8 pictures to inputs of a network, normalised by ``mean`` and ``std``."""
    centre, scale = (torch.tensor(v)[:, None, None] for v in (mean, std))
    return (torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()).float() / 255 - centre) / scale


def train(task: Task) -> DemoNet:
    """Return a network trained on the task's pictures with the usual marks."""
    pixels, labels, _ = task.draw("train", "usual")
    x, y = inputs(pixels), torch.from_numpy(labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        network = DemoNet(len(CLASSES)).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02)
        steps = EPOCHS * -(-len(x) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=steps)
        for _ in range(EPOCHS):
            for chosen in torch.split(torch.randperm(len(x)), BATCH):
                batch = _jitter(x[chosen]).contiguous(memory_format=torch.channels_last)
                loss = nn.functional.cross_entropy(network(batch), y[chosen])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
    return network.to(memory_format=torch.contiguous_format).eval()


def _jitter(x: Tensor) -> Tensor:
    """Flip each picture with probability 1/2, and shift all by up to two pixels with repeated edges."""
    x = torch.where((torch.rand(len(x)) < 0.5)[:, None, None, None], x.flip(-1), x)
    top, left = torch.randint(0, 5, (2,)).tolist()
    padded = nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
    return padded[..., top : top + SIDE, left : left + SIDE]


def model_of(network: nn.Module) -> Model:
    """Return the network as a ``neurflow.Model``."""
    transform = Preprocessing(resize=None, crop=(SIDE, SIDE), mean=MEAN, std=STD)
    return Model(network, transform=transform, class_names=CLASSES, layers=LAYERS)
