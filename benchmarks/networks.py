"""Networks and pictures for benchmarks: real ones if available, otherwise random ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from neurflow import Images, Model, load_images, load_model
from neurflow.model import Segment

PICTURES = Path("images/imagenet20/n02099601_golden_retriever")
"""pictures of the class that is explained, within the folder of real data"""
TARGET = "golden retriever"
VIT = "vit_small_dinov2.safetensors"
WEIGHTS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet18": ("resnet18.pth", {}),
    "resnet50": ("resnet50.pth", {}),
    "mobilenet_v2": ("mobilenet_v2.safetensors", {"mean": 0.5, "std": 0.5}),
}
"""name in torchvision → (file in the folder's ``weights``, normalisation of the pictures)"""


def load(network: str, real: Path | None, device: str = "cpu") -> Model:
    """Load a model with real weights if the folder has them, else with random ones."""
    torch.manual_seed(0)
    name, options = WEIGHTS.get(network, ("", {}))
    file = real / "weights" / name if real and name else None
    found = file is not None and file.is_file()
    weights = file if found else "random"
    model = load_model(
        f"torchvision:{network}", weights, device=device, **(options if found else {})
    )
    for part in model.module.modules():
        # with a head of zeros, all outputs would be 0
        if isinstance(part, nn.Linear) and not part.weight.any():
            nn.init.normal_(part.weight, std=0.02)
    return model


def vision_transformer(real: Path) -> nn.Module:
    """Return the trained ViT-S/14 in the folder of real data, with its head for ten classes."""
    import timm
    from safetensors.torch import load_file

    module = timm.create_model("vit_small_patch14_dinov2", img_size=224, num_classes=10)
    weights = load_file(real / "weights" / VIT)
    module.load_state_dict({name: value.float() for name, value in weights.items()})
    return module.eval()


def in_default_layout(segment: Segment) -> nn.Module:
    """Return a copy of a segment's module with weights in PyTorch's default layout, as captum gets.

    The weights of segments are stored channels last.
    """
    module: nn.Module = copy.deepcopy(segment.module)  # type: ignore[attr-defined]
    for value in module.buffers():
        value.data = value.contiguous()
    return module


def has_weights(network: str, real: Path | None) -> bool:
    """Return whether the folder has the network's weights."""
    name, _ = WEIGHTS.get(network, ("", {}))
    return bool(real and name and (real / "weights" / name).is_file())


def pictures(model: Model, real: Path | None, count: int) -> Images:
    """Return real pictures of the class; without a folder, ``count`` pictures of coloured noise."""
    if real and (real / PICTURES).is_dir():
        return load_images(real / PICTURES, model)
    return load_images([noise(seed) for seed in range(count)], model)


def noise(seed: int, size: tuple[int, int] = (320, 256)) -> Image.Image:
    """Make a picture of coarse and fine noise, whose crops differ."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (n, n, 3), dtype=np.uint8)).resize(
                size, Image.Resampling.BICUBIC
            ),
            dtype=np.float32,
        )
        for n in (4, 12, 48)
    ]
    return Image.fromarray(np.mean(layers, axis=0).astype(np.uint8))
