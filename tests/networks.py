"""Small networks for the tests."""

import threading

import torch
from torch import nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

_BUILDING = threading.Lock()


def seeded(build, seed=0):
    """A module with torch's default initialisation from a seed, even if several threads build one."""
    with _BUILDING:
        torch.manual_seed(seed)
        return build()


def settle(module, seed=0):
    """Random weights and batch-norm statistics that leave no activation dead."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3, generator=generator)
            part.running_var.uniform_(0.5, 2, generator=generator)
            if part.weight is not None:
                nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator)
                nn.init.normal_(part.bias, 0, 0.3, generator=generator)
        elif isinstance(part, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, generator=generator)
    return module.eval()


def tiny_vit():
    return VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=5)


def tiny_densenet():
    return models.DenseNet(
        growth_rate=4, block_config=(2, 2, 2), num_init_features=8, num_classes=5
    )


FAMILIES = {
    "resnet18": (lambda: models.resnet18(num_classes=7), 64),
    "mobilenet_v2": (lambda: models.mobilenet_v2(num_classes=7), 64),
    "squeezenet1_0": (lambda: models.squeezenet1_0(num_classes=7), 64),
    "googlenet": (lambda: models.googlenet(num_classes=7, init_weights=False), 64),
    "densenet": (tiny_densenet, 64),
    "vit": (tiny_vit, 32),
}


class TwoLayer(nn.Module):
    """Hand-set weights: hidden units h = relu(W1 x), class scores W2 h, on images of one pixel."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 3, 1, bias=False)
        self.act = nn.ReLU()
        self.head = nn.Linear(3, 2, bias=False)
        self.first.weight.data = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, -1.0]]).view(
            3, 2, 1, 1
        )
        self.head.weight.data = torch.tensor([[1.0, -1.0, 0.5], [0.0, 1.0, 1.0]])

    def forward(self, x):
        return self.head(self.act(self.first(x)).mean((2, 3)))


class SmallNet(nn.Module):
    """Three blocks and a head for 3×32×32 images and four classes."""

    def __init__(self, classes=4):
        super().__init__()

        def block(inputs, outputs, stride):
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, 1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            )

        self.block1 = block(3, 8, 2)
        self.block2 = block(8, 12, 2)
        self.block3 = block(12, 16, 1)
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        return self.head(self.block3(self.block2(self.block1(x))).mean((2, 3)))


class Awkward(nn.Module):
    """Functional flatten, in-place ReLU, a block used twice, and a skip over two studied layers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.shared = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(4, 4, 1)
        self.third = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4 * 8 * 8, 3)

    def forward(self, x):
        a = self.relu(self.first(x))
        b = self.relu(self.shared(a))
        b = self.second(self.relu(self.shared(b)))
        c = self.third(b * 1.5)
        c = nn.functional.relu_(c + a)
        return self.head(torch.flatten(c, 1))
