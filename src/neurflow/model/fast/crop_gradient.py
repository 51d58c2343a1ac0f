"""Gradients at the frontier for many targets of the same crops (``crop_tail`` says how).

Tensors of the crop part have the axes ``[cell or point, crop, …]``, those of the way back
``[cell or mode, pair, …]``. Both lie behind each other in the first axis, as one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, fx

from neurflow.model.fast.crop_tail import CropTail, Joint
from neurflow.model.fast.one_row import row_products
from neurflow.model.fast.pullback import Values, call, pull, sources
from neurflow.model.fast.slopes import Elementwise
from neurflow.model.network.protocols import Path


def modes(lengths: Float[Tensor, " cell"], count: int) -> Float[Tensor, "mode cell"]:
    """Polynomials in the number of the cell, up to the degree ``count − 1``.

    They are orthonormal under the cells' lengths. The first one is 1.
    """
    cells = len(lengths)
    place = np.linspace(-1, 1, cells) if cells > 1 else np.zeros(1)
    weight = np.sqrt(lengths.double().numpy())
    powers = np.polynomial.legendre.legvander(place, min(count, cells) - 1) * weight[:, None]
    q, r = np.linalg.qr(powers)
    return torch.from_numpy((q * np.sign(np.diag(r))).T / weight).to(lengths)


def together(
    tail: CropTail,
    path: Path,
    crops: Int[Tensor, " pair"],
    ends: tuple[np.ndarray, np.ndarray],
    count: int | None,
    room: int,
) -> tuple[list[Tensor], Float[Tensor, " pair"]]:
    """Mean gradients at the frontier for (target, crop) pairs, and the change of φ_a.

    Args:
        tail: divided.
        path: the line of every pair.
        crops: a number for each pair's crop; equal ones lie side by side.
        ends: of the cells, and their lengths; 0 behind the last.
        count: of modes; None for as many as cells.
        room: numbers of a frontier's tensor to work on at once.
    """
    points, lengths = ends
    wide = torch.from_numpy(lengths[:-1]).to(path.end[0])
    few = count is not None and count < len(wide) and tail.elementwise
    cells = Cells(points.tolist(), wide, modes(wide, count) if few and count else None)
    return CropGradient(tail, path, crops, cells, room).run()


@dataclass(frozen=True)
class Cells:
    """The cells of a path.

    Attributes:
        points: their ends.
        lengths: theirs; together at most 1.
        modes: ``[mode, cell]`` functions of the cell that gradients are projected on; None to keep
            every cell.
    """

    points: Sequence[float]
    lengths: Float[Tensor, " cell"]
    modes: Float[Tensor, "mode cell"] | None = None

    @property
    def parts(self) -> int:
        """How many numbers stand for a function of the cell."""
        return len(self.lengths if self.modes is None else self.modes)

    def project(self, gradient: Tensor) -> Tensor:
        """``[cell, …]`` → ``[part, …]``; gradients contain the cells' lengths already."""
        return gradient if self.modes is None else _contract(self.modes, gradient)

    def factor(self, slope: Tensor, *, last: bool) -> Tensor:
        """What a slope ``[cell, …]`` multiplies the parts of a gradient by.

        ``[part, …]``, after which the parts are summed, if no other slope follows. ``[part, …]`` for
        each part by itself without modes, ``[part, part, …]`` with them.
        """
        if self.modes is None:
            return slope
        weighted = self.modes * self.lengths
        if last:
            return _contract(weighted, slope)
        return _contract((weighted[:, None] * self.modes).flatten(0, 1), slope).unflatten(
            0, (self.parts, self.parts)
        )

    def total(self, gradient: Tensor) -> Tensor:
        """The sum over the cells of a gradient ``[part, …]``."""
        return gradient.sum(0) if self.modes is None else gradient[0]


def _contract(matrix: Tensor, value: Tensor) -> Tensor:
    """``matrix`` ``[a, b]`` times ``value`` ``[b, …]``, in the memory layout of ``value``."""
    found = torch.empty_strided(
        (len(matrix), *value.shape[1:]), value.stride(), dtype=value.dtype, device=value.device
    )
    for total, row in zip(found, matrix.tolist(), strict=True):
        torch.mul(value[0], row[0], out=total)
        for part, weight in zip(value[1:], row[1:], strict=True):
            total.add_(part, alpha=weight)
    return found


@dataclass
class _Crops:
    """The crop part on some crops.

    Attributes:
        count: how many.
        values: ``[point · crop, …]`` of its nodes.
        sizes: of these, without the first axis.
        slopes: ``[cell, crop, …]`` of its element-wise operations.
        factors: what they multiply the parts of a gradient by.
        ends: inputs of its other operations, at the beginnings and at the ends of the cells.
    """

    count: int
    values: dict[fx.Node, Any] = field(default_factory=dict)
    sizes: dict[fx.Node, torch.Size] = field(default_factory=dict)
    slopes: dict[fx.Node, Tensor] = field(default_factory=dict)
    factors: dict[fx.Node, Tensor] = field(default_factory=dict)
    ends: dict[fx.Node, tuple[list[Tensor], list[Tensor]]] = field(default_factory=dict)


class CropGradient:
    """The gradients at the frontier of some (target, crop) pairs, summed over cells.

    Args:
        tail: divided.
        path: the line of every pair; its first tensors are the tail's ``inputs``.
        crop: ``[pair]`` a number for each pair's crop; equal ones lie side by side.
        cells: of the path.
        room: numbers of a frontier's tensors to work on at once.
    """

    def __init__(
        self, tail: CropTail, path: Path, crop: Int[Tensor, " pair"], cells: Cells, room: int
    ) -> None:
        self.tail, self.path, self.cells = tail, path, cells
        _, self.row, counts = torch.unique_consecutive(
            crop, return_inverse=True, return_counts=True
        )
        self.ends = counts.cumsum(0).tolist()
        each = max(value[0].numel() for value in path.end[: len(tail.inputs)])
        self.at_once = max(1, room // (each * len(cells.lengths)))

    def run(self) -> tuple[list[Tensor], Float[Tensor, " pair"]]:
        """``Σ_n w_n ∂φ_a/∂frontier`` ``[pair, …]`` for each tensor of the frontier; the change of φ_a."""
        change = self.path.end[0].new_empty(len(self.row))
        totals = [torch.zeros_like(value) for value in self.path.end]
        with torch.no_grad():
            for crops in self._crops():
                made = self._forward(crops)
                first, last = self._pairs(crops)
                for start in range(first, last, self.at_once):
                    pairs = slice(start, min(start + self.at_once, last))
                    batch = _Pairs(self, made, pairs, self.row[pairs] - crops.start)
                    for total, found in zip(totals, batch.gradients(), strict=True):
                        total[pairs] = found
                    change[pairs] = batch.change
        return totals, change

    def _crops(self) -> Iterator[slice]:
        """Crops whose pairs together are about a batch."""
        start = 0
        while start < len(self.ends):
            stop = start + 1
            while stop < len(self.ends) and self._size(start, stop + 1) <= self.at_once:
                stop += 1
            yield slice(start, stop)
            start = stop

    def _size(self, start: int, stop: int) -> int:
        first, last = self._pairs(slice(start, stop))
        return last - first

    def _pairs(self, crops: slice) -> tuple[int, int]:
        return self.ends[crops.start - 1] if crops.start else 0, self.ends[crops.stop - 1]

    def _forward(self, crops: slice) -> _Crops:
        """Run the crop part at all points, and keep the slopes over the cells."""
        tail, points = self.tail, self.cells.points
        firsts = [self._pairs(slice(i, i + 1))[0] for i in range(crops.start, crops.stop)]
        made = _Crops(len(firsts))
        values = made.values
        values[tail.batch] = len(points) * made.count
        for node, low, high in zip(tail.inputs, self.path.start, self.path.end, strict=False):
            ends = low[firsts], high[firsts]
            values[node] = torch.cat([torch.lerp(*ends, alpha) for alpha in points])
        for node in tail.nodes:
            if node.op == "get_attr":
                values[node] = getattr(tail.tail, str(node.target))
            elif node in tail.slopes:
                self._slope(made, node)
            else:
                values[node] = call(node, values.__getitem__)
        made.sizes = {n: v.shape[1:] for n, v in values.items() if isinstance(v, Tensor)}
        return made

    def _slope(self, made: _Crops, node: fx.Node) -> None:
        operation, tensors = self.tail.slopes[node]
        inputs = [made.values[tensor] for tensor in tensors]
        made.values[node] = operation.value(*inputs)
        moving = [tensor in self.tail.varying for tensor in tensors]
        ends: list[list[Tensor]] = [
            [
                value[first : first + len(value) - made.count] if moves else value
                for value, moves in zip(inputs, moving, strict=True)
            ]
            for first in (0, made.count)
        ]
        if isinstance(operation, Elementwise):
            slope = operation.slopes(*ends).unflatten(0, (-1, made.count))
            last = tensors[0] in self.tail.flat
            made.slopes[node], made.factors[node] = slope, self.cells.factor(slope, last=last)
        else:
            made.ends[node] = ends[0], ends[1]


class _Pairs:
    """One batch of pairs.

    Args:
        whole: what it is a batch of.
        made: the crop part on the pairs' crops.
        pairs: which pairs.
        row: ``[pair]`` the crop of each.
    """

    def __init__(self, whole: CropGradient, made: _Crops, pairs: slice, row: Tensor) -> None:
        self.tail, self.path, self.cells, self.made = whole.tail, whole.path, whole.cells, made
        self.chosen, self.count, self.row = pairs, len(row), row
        self.fixed = [value[pairs] for value in self.path.fixed]
        self.parts: dict[fx.Node, Tensor] = {}
        self.change = torch.empty(0)

    def gradients(self) -> list[Tensor]:
        """The sums of gradients at the frontier ``[pair, …]``."""
        joints, own = self._head()
        for joint, gradient in zip(self.tail.joints, joints, strict=True):
            self._enter(joint, gradient.unflatten(0, (-1, self.count)))
        for node in reversed(self.tail.varying):
            if node.op != "placeholder" and node in self.parts:
                self._back(node, self.parts.pop(node))
        ends = self.path.end
        through = [
            self.parts.get(node, ends[i].new_zeros(())).expand(self.count, *ends[i].shape[1:])
            for i, node in enumerate(self.tail.inputs)
        ]
        return [*through, *(g.unflatten(0, (-1, self.count)).sum(0) for g in own)]

    def _head(self) -> tuple[list[Tensor], list[Tensor]]:
        """Gradients ``[cell · pair, …]`` at the joints and at the frontier's tensors of the pairs."""
        points, tail = self.cells.points, self.tail
        own = slice(len(tail.inputs), None)
        line = [
            torch.cat([torch.lerp(low[self.chosen], high[self.chosen], alpha) for alpha in points])
            for low, high in zip(self.path.start[own], self.path.end[own], strict=True)
        ]
        leaves = [*map(self._read, tail.joints), *line]
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        fixed = [
            value.repeat(len(points), *[1] * (value.ndim - 1)) if needed else value
            for value, needed in zip(self.fixed, tail.needed, strict=True)
        ]
        with torch.enable_grad():
            phi = tail.head(len(points), len(points) * self.count, *leaves, *fixed)[0]
        at_points = phi.detach().unflatten(0, (len(points), -1))
        self.change = at_points[-1] - at_points[0]
        shares = torch.cat([self.cells.lengths, self.cells.lengths.new_zeros(1)])
        found = torch.autograd.grad(
            phi, leaves, shares.repeat_interleave(self.count), materialize_grads=True
        )
        # behind the last point no cell begins
        found = [gradient[: -self.count] for gradient in found]
        return found[: len(tail.joints)], found[len(tail.joints) :]

    def _read(self, joint: Joint) -> Tensor:
        """What the head reads at a joint, ``[point · pair, …]``."""
        value = self.made.values[joint.value]
        if joint.rows is None:
            return self._to_pairs(value.unflatten(0, (-1, self.made.count))).flatten(0, 1)
        rows = self.fixed[joint.rows]
        points = len(self.cells.points)
        if self.made.count > 1:
            each = self._to_pairs(value.unflatten(0, (points, -1))).flatten(0, 1)
            return row_products(each, rows.repeat(points, 1, 1))
        products = value @ rows.flatten(0, 1).T  # all pairs' rows in one product
        places, taps = products.shape[1], rows.shape[1]
        split = products.view(points, places, self.count, taps).transpose(1, 2)
        return split.reshape(points * self.count, places, taps)

    def _to_pairs(self, value: Tensor) -> Tensor:
        """``[…, crop, …]`` → ``[…, pair, …]`` along the second axis."""
        if self.made.count == 1:
            return value.expand(len(value), self.count, *value.shape[2:])
        return value if self.made.count == self.count else value[:, self.row]

    def _enter(self, joint: Joint, gradient: Float[Tensor, "cell pair ..."]) -> None:
        """Take the gradient at a joint to the value of the crop part that it reads."""
        flat = joint.value in self.tail.flat
        if joint.rows is None:
            parts = gradient.sum(0) if flat else self.cells.project(gradient).flatten(0, 1)
            self._add(joint.value, parts)
            return
        slope = joint.slope
        if slope is not None and slope in self.made.slopes:
            source = self.tail.slopes[slope][1][0]
            last = source in self.tail.flat
            if last or self.cells.modes is not None:
                self._enter_by_slope(joint, slope, source, gradient)
                return
        rows = self.fixed[joint.rows]
        parts = gradient.sum(0) if flat else self.cells.project(gradient).flatten(0, 1)
        repeats = len(parts) // self.count
        self._add(joint.value, torch.bmm(parts, rows.repeat(repeats, 1, 1)))

    def _enter_by_slope(
        self, joint: Joint, slope: fx.Node, source: fx.Node, gradient: Tensor
    ) -> None:
        """The same, through the slope that the value lies behind, whose cells are summed first.

        Rows do not depend on the cell, so they come after the sum.
        """
        assert joint.rows is not None
        rows, cells = self.fixed[joint.rows], self.cells
        wanted = None if source in self.tail.flat else cells.modes
        factor = self._reshaped(joint, self.made.slopes[slope])
        weights = gradient.new_ones(1, len(gradient)) if wanted is None else wanted
        asked = torch.einsum("mc,capt->pamtc", weights, gradient)
        parts, (places, count, modes, taps, _) = len(weights), asked.shape
        if self.made.count == 1:  # one product a place: (pair, mode, tap) by cell by channel
            summed = asked.flatten(1, 3) @ factor[:, 0].transpose(0, 1)
        else:
            each = self._to_pairs(factor).permute(2, 1, 0, 3)
            summed = asked.flatten(2, 3) @ each
        summed = summed.view(places, count, modes, taps, -1).permute(2, 1, 3, 0, 4)
        found = summed.new_empty(parts, count, places, summed.shape[-1])
        torch.mul(summed[:, :, 0], rows[:, None, 0], out=found)
        for tap in range(1, taps):
            found.addcmul_(summed[:, :, tap], rows[:, None, tap])
        taken = found.flatten(0, 1)
        for node in reversed(joint.reshapes):
            (taken,) = pull(node, taken, sources(node)[:1], self._value(taken), self._size)
        self._add(source, taken)

    def _reshaped(self, joint: Joint, slope: Tensor) -> Tensor:
        """A slope ``[cell, crop, …]`` in the shape of the joint's value."""
        value = slope.flatten(0, 1)
        for node in joint.reshapes:
            previous, values = node.all_input_nodes[0], self._value(value)
            value = call(node, lambda n, v=value, p=previous, f=values: v if n is p else f(n))
        return value.unflatten(0, (-1, self.made.count))

    def _back(self, node: fx.Node, parts: Tensor) -> None:
        """Take the parts of a gradient through one call."""
        if node in self.tail.slopes:
            self._through_slope(node, parts)
            return
        inputs = [n for n in sources(node) if n in self.tail.varying]
        found = pull(node, parts, inputs, self._value(parts), self._size)
        for source, gradient in zip(inputs, found, strict=True):
            if source in self.tail.flat and node not in self.tail.flat:
                gradient = self.cells.total(gradient.unflatten(0, (-1, self.count)))
            self._add(source, gradient)

    def _through_slope(self, node: fx.Node, parts: Tensor) -> None:
        operation, tensors = self.tail.slopes[node]
        split = parts.unflatten(0, (-1, self.count))
        if node in self.made.ends:
            self._through_ends(node, parts)
            return
        source, factor = tensors[0], self.made.factors[node]
        if source in self.tail.flat:
            factor = self._to_pairs(factor)
            total = factor[0] * split[0]
            for one, other in zip(factor[1:], split[1:], strict=True):
                total.addcmul_(one, other)
            self._add(source, total)
        elif self.cells.modes is None:
            self._add(source, (self._to_pairs(factor) * split).flatten(0, 1))
        else:
            made = torch.zeros_like(split)
            for total, row in zip(made, factor, strict=True):
                for one, other in zip(self._to_pairs(row), split, strict=True):
                    total.addcmul_(one, other)
            self._add(source, made.flatten(0, 1))

    def _through_ends(self, node: fx.Node, parts: Tensor) -> None:
        """Through an operation of several tensors, cell by cell."""
        operation, tensors = self.tail.slopes[node]

        def each(tensor: fx.Node, value: Tensor) -> Tensor:
            if tensor not in self.tail.varying:
                return value
            return self._to_pairs(value.unflatten(0, (-1, self.made.count))).flatten(0, 1)

        low, high = (list(map(each, tensors, ends)) for ends in self.made.ends[node])
        for source, gradient in zip(tensors, operation.pull(parts, low, high), strict=True):
            if gradient is None or source not in self.tail.varying:
                continue
            if source in self.tail.flat:
                gradient = gradient.unflatten(0, (-1, self.count)).sum(0)
            self._add(source, gradient)

    def _add(self, node: fx.Node, gradient: Tensor) -> None:
        before = self.parts.get(node)
        self.parts[node] = gradient if before is None else before + gradient

    def _value(self, gradient: Tensor) -> Values:
        """Of what does not vary; sizes follow the batch of ``gradient``."""
        values = self.made.values

        def value(node: fx.Node) -> Any:
            if node is self.tail.batch:
                return len(gradient)
            if isinstance(values[node], int):
                return call(node, value)
            return values[node]

        return value

    def _size(self, node: fx.Node) -> torch.Size:
        return self.made.sizes[node]
