"""The crop part of a secant tail run on some crops (``crop_tail``): its slopes, and the modes.

Tensors have the axes ``[cell or point, crop, …]``. Both lie behind each other in the first axis, as one
batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, fx

from neurflow.model.fast.crop_tail import CropTail
from neurflow.model.fast.pullback import call
from neurflow.model.fast.slopes import Elementwise


@dataclass(frozen=True)
class Cells:
    """The cells of a path.

    Attributes:
        points: their ends.
        lengths: theirs.
        count: how many modes gradients are projected on; None to keep every cell.
    """

    points: Sequence[float]
    lengths: Float[Tensor, " cell"]
    count: int | None = None


@dataclass
class Crops:
    """The crop part on some crops.

    Attributes:
        count: how many.
        values: ``[point · crop, …]`` of its nodes.
        sizes: of these, without the first axis.
        slopes: ``[cell, crop, …]`` of its element-wise operations.
        modes: ``[crop, mode, cell]`` functions that gradients are projected on; None if every cell is
            kept.
        factors: ``[part, crop, …]`` what the slopes multiply the parts of a gradient by, a part being a
            cell or a mode; ``[part, part, crop, …]`` between modes.
        ends: inputs of its other operations, at the beginnings and at the ends of the cells.
    """

    count: int
    values: dict[fx.Node, Any] = field(default_factory=dict)
    sizes: dict[fx.Node, torch.Size] = field(default_factory=dict)
    slopes: dict[fx.Node, Tensor] = field(default_factory=dict)
    modes: Tensor | None = None
    factors: dict[fx.Node, Tensor] = field(default_factory=dict)
    ends: dict[fx.Node, tuple[list[Tensor], list[Tensor]]] = field(default_factory=dict)


def run_crops(
    tail: CropTail, cells: Cells, start: Sequence[Tensor], end: Sequence[Tensor]
) -> Crops:
    """Run the crop part at all points, and keep the slopes over the cells.

    Args:
        tail: divided.
        cells: of the path.
        start: the tail's ``inputs`` ``[crop, …]`` where it begins.
        end: and where it ends.
    """
    made = Crops(len(start[0]))
    values = made.values
    values[tail.batch] = len(cells.points) * made.count
    for node, low, high in zip(tail.inputs, start, end, strict=True):
        values[node] = torch.cat([torch.lerp(low, high, alpha) for alpha in cells.points])
    for node in tail.nodes:
        if node.op == "get_attr":
            values[node] = getattr(tail.tail, str(node.target))
        elif node in tail.slopes:
            _keep_slope(tail, made, node)
        else:
            values[node] = call(node, values.__getitem__)
    made.sizes = {n: v.shape[1:] for n, v in values.items() if isinstance(v, Tensor)}
    if cells.count is not None:
        made.modes = principal(_next_to_frontier(tail, made), cells.lengths, cells.count)
    for node, slope in made.slopes.items():
        last = tail.slopes[node][1][0] in tail.flat
        made.factors[node] = _factor(made.modes, cells.lengths, slope, last=last)
    return made


def _keep_slope(tail: CropTail, made: Crops, node: fx.Node) -> None:
    operation, tensors = tail.slopes[node]
    inputs = [made.values[tensor] for tensor in tensors]
    made.values[node] = operation.value(*inputs)
    moving = [tensor in tail.varying for tensor in tensors]
    low, high = (
        [
            value[first : first + len(value) - made.count] if moves else value
            for value, moves in zip(inputs, moving, strict=True)
        ]
        for first in (0, made.count)
    )
    if isinstance(operation, Elementwise):
        made.slopes[node] = operation.slopes(low, high).unflatten(0, (-1, made.count))
    else:
        made.ends[node] = low, high


def _next_to_frontier(tail: CropTail, made: Crops) -> Float[Tensor, "cell crop unit"]:
    """The slopes that act on the frontier itself, each weighted by the way of its input."""
    weighted = []
    for node, slope in made.slopes.items():
        source = tail.slopes[node][1][0]
        if source in tail.flat:
            value = made.values[source]
            way = value[-made.count :] - value[: made.count]
            weighted.append((slope * way).flatten(2))
    return torch.cat(weighted, 2)


def _factor(modes: Tensor | None, lengths: Tensor, slope: Tensor, *, last: bool) -> Tensor:
    if modes is None:
        return slope
    weights = modes * lengths
    if not last:
        weights = (weights[:, :, None] * modes[:, None]).flatten(1, 2)
    found = torch.empty_strided(
        (weights.shape[1], *slope.shape[1:]),
        slope.stride(),
        dtype=slope.dtype,
        device=slope.device,
    )
    for i, matrix in enumerate(weights):
        _contract(matrix, slope[:, i], found[:, i])
    return found if last else found.unflatten(0, (modes.shape[1], -1))


def principal(
    slopes: Float[Tensor, "cell crop unit"], lengths: Float[Tensor, " cell"], count: int
) -> Float[Tensor, "crop mode cell"]:
    """Functions of the cell that say most about some slopes, for each crop.

    They are orthonormal under the cells' lengths. The first is 1, the others are the principal
    components of what the slopes are beyond their means.
    """
    scale = lengths.double().sqrt()
    rows = slopes.movedim(1, 0)
    products = (rows @ rows.transpose(1, 2)).double() * scale[:, None] * scale
    first = scale / scale.norm()
    beyond = torch.eye(len(scale), dtype=scale.dtype, device=scale.device) - torch.outer(
        first, first
    )
    _, vectors = torch.linalg.eigh(beyond @ products @ beyond)
    others = vectors[:, :, -count:].flip(2).transpose(1, 2)[:, : count - 1]
    found = torch.cat([first.expand(len(others), 1, -1), others], 1)
    return (found / scale).to(lengths)


def _contract(matrix: Tensor, value: Tensor, out: Tensor) -> None:
    """``matrix`` ``[a, b]`` times ``value`` ``[b, …]``, whatever the memory layout of the latter."""
    for total, row in zip(out, matrix.tolist(), strict=True):
        torch.mul(value[0], row[0], out=total)
        for part, weight in zip(value[1:], row[1:], strict=True):
            total.add_(part, alpha=weight)
