"""The demo's classifier: a small residual network with plain, named stages.

``stem → block1 → block2 → block3 → block4 → pool → head``, where a block is two 3×3 convolutions with
batch norm, and a shortcut around them. The layers to study are the outputs of the stem, the blocks and
the head.
"""

from __future__ import annotations

from importlib import resources

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torchvision.transforms import v2

from neurflow.demo.pictures import CLASSES, SIZE
from neurflow.model import Model

MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)
LAYERS = ("stem", "block1", "block2", "block3", "block4", "head")
"""outputs to study, input side first"""
WIDTHS = (16, 32, 48, 64, 96)
"""numbers of channels of ``stem`` and of the blocks"""
WEIGHTS = "weights.safetensors"
REFERENCE = "the demo network"
"""the name of the model in results"""


class Block(nn.Module):
    """Two convolutions and a shortcut; ``[image, inputs, h, w] → [image, outputs, h/s, w/s]``."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the output, which is not negative, because the sum is followed by a ReLU."""
        inner = self.relu(self.norm1(self.conv1(x)))
        out: Tensor = self.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))
        return out


class DemoNet(nn.Module):
    """Maps normalised pictures ``[image, 3, 96, 96]`` to logits ``[image, class]``."""

    def __init__(self, classes: int = len(CLASSES)) -> None:
        super().__init__()
        stem, *widths = WIDTHS
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(stem), nn.ReLU()
        )
        self.block1 = Block(stem, widths[0], stride=2)
        self.block2 = Block(widths[0], widths[1], stride=2)
        self.block3 = Block(widths[1], widths[2], stride=1)
        self.block4 = Block(widths[2], widths[3], stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(widths[3], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits in the order of ``CLASSES``."""
        x = self.block4(self.block3(self.block2(self.block1(self.stem(x)))))
        logits: Tensor = self.head(self.pool(x).flatten(1))
        return logits


def demo_transform() -> v2.Compose:
    """Return the preprocessing used in training: PIL image → normalised float32 ``[3, 96, 96]``."""
    return v2.Compose(
        [
            v2.Resize(SIZE, antialias=True),
            v2.CenterCrop(SIZE),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )


def load_demo_network() -> DemoNet:
    """Return the trained network that comes with the package, in evaluation mode, on the CPU."""
    network = DemoNet()
    network.load_state_dict(load(resources.files("neurflow.demo").joinpath(WEIGHTS).read_bytes()))
    return network.eval()


def demo_model() -> Model:
    """Return the model that ``neurflow demo`` explains: the network, its transform and class names."""
    return Model(
        load_demo_network(),
        transform=demo_transform(),
        class_names=CLASSES,
        reference=REFERENCE,
    )
