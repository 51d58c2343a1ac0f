"""The crop part of a secant tail on some crops (``crop_tail``): its slopes, and the modes.

Tensors have the axes ``[cell or point, crop, …]``. In a batch, the first two are joined into one axis.
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
from neurflow.model.network.protocols import Cells, points_between


@dataclass
class Crops:
    """The crop part on some crops.

    Attributes:
        count: number of crops.
        values: ``[point · crop, …]`` value of each node.
        sizes: shapes of these values, without the first axis.
        slopes: ``[cell, crop, …]`` slopes of its element-wise operations.
        modes: ``[crop, mode, cell]`` functions on which gradients are projected; None if they are
            not.
        factors: ``[part, crop, …]`` slopes by which the parts of a gradient are multiplied, where a
            part is a cell or a mode; ``[part, part, crop, …]`` between modes.
        ends: inputs of its other operations, at the start and at the end of the cells.
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
    """Run the crop part at all points, and store the slopes over the cells.

    Args:
        tail: the divided tail.
        cells: cells of the path.
        start: the tail's ``inputs`` ``[crop, …]`` at the start of the path.
        end: the same at its end.
    """
    made = Crops(len(start[0]))
    values = made.values
    values[tail.batch] = len(cells.points) * made.count
    for node, low, high in zip(tail.inputs, start, end, strict=True):
        values[node] = points_between(low, high, cells.points)
    for node in tail.nodes:
        if node.op == "get_attr":
            values[node] = getattr(tail.tail, str(node.target))
        elif node in tail.slopes:
            _keep_slope(tail, cells, made, node)
        else:
            values[node] = call(node, values.__getitem__)
    made.sizes = {n: v.shape[1:] for n, v in values.items() if isinstance(v, Tensor)}
    if cells.count is not None:
        made.modes = principal(_next_to_frontier(tail, made), cells.weights, cells.count)
    for node, slope in made.slopes.items():
        last = tail.slopes[node][1][0] in tail.flat
        made.factors[node] = _factor(made.modes, cells.weights, slope, last=last)
    return made


def _keep_slope(tail: CropTail, cells: Cells, made: Crops, node: fx.Node) -> None:
    operation, tensors = tail.slopes[node]
    inputs = [made.values[tensor] for tensor in tensors]
    made.values[node] = operation.value(*inputs)
    moving = [tensor in tail.varying for tensor in tensors]
    size = len(cells.weights) * made.count
    low, high = (
        [
            value[first : first + size] if moves else value
            for value, moves in zip(inputs, moving, strict=True)
        ]
        for first in (0, made.count if cells.uses_secants else 0)
    )
    if isinstance(operation, Elementwise):
        slope = operation.slopes(low, high) if cells.uses_secants else operation.derivatives(low)
        made.slopes[node] = torch.unflatten(slope, 0, (-1, made.count))
    else:
        made.ends[node] = low, high


def _next_to_frontier(tail: CropTail, made: Crops) -> Float[Tensor, "cell crop unit"]:
    """Return the slopes next to the frontier, weighted by the change of their input."""
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
    torch.bmm(weights, _rows(slope), out=_rows(found))
    return found if last else torch.unflatten(found, 0, (modes.shape[1], -1))


def principal(
    slopes: Float[Tensor, "cell crop unit"], lengths: Float[Tensor, " cell"], count: int
) -> Float[Tensor, "crop mode cell"]:
    """Return the principal components of some slopes as functions of the cell, for each crop.

    They are orthonormal under the lengths of the cells. The first one is constant. The others are the
    principal components of the deviations of the slopes from their means.
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


def _rows(value: Float[Tensor, "part crop ..."]) -> Float[Tensor, "crop part unit"]:
    """View a dense tensor of any memory layout as matrices; units are in memory order."""
    parts, crops = value.shape[:2]
    shape = (crops, parts, value[0, 0].numel())
    return value.as_strided(shape, (value.stride(1), value.stride(0), 1))
