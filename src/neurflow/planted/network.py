"""Builds the network of a plan, from hand-set kernels and ReLUs; nothing is trained.

Each detector reads one tile of 8×8 pixels. The colour of a tile is a direction in the plane of equal
brightness, so that colour kernels do not respond to patterns. The pattern is a ±1 template that is
added to the brightness; all templates are orthogonal. The other levels are sparse convolutions over
tiles, in which each weight is a wire of the plan.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from neurflow.planted.plan import COLOURS, GENERIC, PATTERNS, Plan, Unit

TILE = 8
"""side of a tile in pixels"""
GRID = 8
"""side of a picture in tiles"""
GREY, BRIGHTER, CHROMA, CONTRAST = 0.5, 0.06, 0.3, 0.15
"""brightness of the background, and brightness, colour and pattern that a tile adds to it"""
SILENT_BELOW = 0.6
"""share of the full colour or pattern below which a detector is 0; a neighbouring colour has 0.5"""


def colour_direction(colour: str) -> np.ndarray:
    """Return a unit vector ``[rgb]`` of equal brightness; neighbouring colours are 60° apart."""
    angle = np.pi / 3 * COLOURS.index(colour)
    across, up = np.array([2, -1, -1]) / np.sqrt(6), np.array([0, 1, -1]) / np.sqrt(2)
    return np.cos(angle) * across + np.sin(angle) * up


def pattern_template(pattern: str) -> np.ndarray:
    """Return a template ``[row, column]`` of ±1, with mean 0 and orthogonal to the other templates."""
    place = np.arange(TILE)
    step, stripes, fine = (np.where(place // width % 2, -1.0, 1.0) for width in (4, 2, 1))
    flat = np.ones(TILE)
    rows, columns = {
        "edge-h": (step, flat),
        "edge-v": (flat, step),
        "corner": (step, step),
        "stripes-h": (stripes, flat),
        "stripes-v": (flat, stripes),
        "checker": (fine, fine),
    }[pattern]
    return np.outer(rows, columns)


class Clamp(nn.Module):
    """Clamps values to [0, 1], by means of ReLUs."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``1 − relu(1 − relu(x))``."""
        return 1 - torch.relu(1 - torch.relu(x))


def build_network(plan: Plan) -> nn.Sequential:
    """Build the network of a plan: a block for each level, pooling, and ``head`` for the logits."""
    blocks: list[tuple[str, nn.Module]] = []
    for number, (name, units) in enumerate(zip(plan.layers, plan.levels, strict=False)):
        below = len(plan.levels[number - 1]) if number else 3
        conv = _convolution(units, below) if number else _detectors(units)
        blocks.append((name, nn.Sequential(conv, Clamp() if plan.saturates else nn.ReLU())))
    head = nn.Linear(len(plan.levels[-1]), len(plan.head))
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        for row, unit in enumerate(plan.head):
            for wire in chain(*unit.wires, unit.always):
                head.weight[row, wire.source] += wire.weight * GRID
    pooled = [("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), ("head", head)]
    return nn.Sequential(OrderedDict([*blocks, *pooled])).eval().requires_grad_(False)


def _detectors(units: list[Unit]) -> nn.Conv2d:
    conv = nn.Conv2d(3, len(units), TILE, stride=TILE)
    with torch.no_grad():
        for row, unit in enumerate(units):
            kernels, bias = np.zeros((3, TILE, TILE)), 0.0
            for concept in unit.concepts:
                if concept == GENERIC:
                    kernels += 1 / (3 * BRIGHTER)
                    bias -= GREY / BRIGHTER
                    continue
                if concept in COLOURS:
                    kernels += (
                        colour_direction(concept)[:, None, None] / CHROMA / (1 - SILENT_BELOW)
                    )
                else:
                    assert concept in PATTERNS
                    kernels += pattern_template(concept) / (3 * CONTRAST) / (1 - SILENT_BELOW)
            if unit.concepts[0] != GENERIC:
                bias = -SILENT_BELOW / (1 - SILENT_BELOW)
            conv.weight[row] = torch.from_numpy(unit.level * kernels / TILE**2)
            conv.bias[row] = unit.level * bias  # type: ignore[index]
    return conv


def _convolution(units: list[Unit], below: int) -> nn.Conv2d:
    wires = [wire for unit in units for wire in chain(*unit.wires, unit.always)]
    reach = max(abs(step) for wire in wires for step in wire.offset)
    conv = nn.Conv2d(below, len(units), 2 * reach + 1, padding=reach)
    with torch.no_grad():
        conv.weight.zero_()
        for row, unit in enumerate(units):
            conv.bias[row] = -unit.gain * unit.threshold  # type: ignore[index]
            for wire in chain(*unit.wires, unit.always):
                right, down = wire.offset
                conv.weight[row, wire.source, reach + down, reach + right] += (
                    unit.gain * wire.weight
                )
    return conv
