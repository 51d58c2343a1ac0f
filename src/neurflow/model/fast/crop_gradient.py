"""Gradients at the frontier for many targets of the same crops (the algorithm is in ``crop_tail``).

Tensors of the crop part have the axes ``[cell or point, crop, …]``, and those of the backward pass
``[part, pair, …]``, where a part is a cell or a mode. In a batch, the two axes are joined into one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, fx

from neurflow.model.fast.crop_tail import CropTail, Joint
from neurflow.model.fast.crops import Crops, run_crops
from neurflow.model.fast.one_row import row_products
from neurflow.model.fast.pullback import Values, call, pull, sources
from neurflow.model.network.protocols import Cells, Path, points_between
from neurflow.runtime.memory import rounded_batch

HELD = 4
"""chunks of frontier values that the crop part of one crop may take"""
SAME = 1e-6
"""relative difference of gradients that counts as rounding"""


def together(
    tail: CropTail,
    path: Path,
    crops: Int[Tensor, " pair"],
    cells: Cells,
    capacity: int,
) -> tuple[list[Tensor], Float[Tensor, " pair"]]:
    """Mean gradients at the frontier for (target, crop) pairs, and the change of φ_a over the cells.

    Args:
        tail: the divided tail.
        path: the line of every pair.
        crops: a number for each pair's crop; equal numbers must be adjacent.
        cells: cells of the path.
        capacity: number of values of a frontier's tensor that are processed at once.
    """
    each = max(value[0].numel() for value in path.end[: len(tail.inputs)])
    most = max(1, HELD * capacity // each - 1)
    if len(cells.weights) <= most:
        return CropGradient(tail, path, crops, cells, capacity).run()
    found = [CropGradient(tail, path, crops, part, capacity).run() for part in _split(cells, most)]
    totals, changes = zip(*found, strict=True)
    return [sum(parts[1:], parts[0]) for parts in zip(*totals, strict=True)], sum(
        changes[1:], changes[0]
    )


def _split(cells: Cells, most: int) -> Iterator[Cells]:
    """Divide the cells into consecutive parts of at most ``most`` cells."""
    for first in range(0, len(cells.weights), most):
        weights = cells.weights[first : first + most]
        last = first + len(weights) + cells.uses_secants
        yield Cells(cells.points[first:last], weights)


class CropGradient:
    """The gradients at the frontier of some (target, crop) pairs, summed over cells.

    Args:
        tail: the divided tail.
        path: the line of every pair; its first tensors are the tail's ``inputs``.
        crop: ``[pair]`` a number for each pair's crop; equal numbers must be adjacent.
        cells: cells of the path.
        capacity: number of values of a frontier's tensors that are processed at once.
    """

    def __init__(
        self, tail: CropTail, path: Path, crop: Int[Tensor, " pair"], cells: Cells, capacity: int
    ) -> None:
        self.tail, self.path, self.cells = tail, path, cells
        _, row, counts = torch.unique_consecutive(crop, return_inverse=True, return_counts=True)
        self.row = row.to(path.end[0].device)
        self.ends = counts.cumsum(0).tolist()
        each = max(value[0].numel() for value in path.end[: len(tail.inputs)])
        taps = [path.fixed[j.rows].shape[1] for j in tail.joints if j.rows is not None]
        self.at_once = max(1, capacity // (each * max([cells.count or len(cells.weights), *taps])))
        self.pairs_at_once = max(1, capacity // each) if tail.channelwise else self.at_once

    def run(self) -> tuple[list[Tensor], Float[Tensor, " pair"]]:
        """Return ``Σ_n w_n ∂φ_a/∂frontier`` ``[pair, …]`` of each tensor, and the change of φ_a."""
        change = self.path.end[0].new_empty(len(self.row))
        totals = [torch.empty_like(value) for value in self.path.end]
        with torch.no_grad():
            for crops in self._crops():
                each = range(crops.start, crops.stop)
                firsts = self._steady([self._pairs(slice(i, i + 1))[0] for i in each])
                inside = range(len(self.tail.inputs))
                ends = ([e[i][firsts] for i in inside] for e in (self.path.start, self.path.end))
                made = run_crops(self.tail, self.cells, *ends)
                first, last = self._pairs(crops)
                for start in range(first, last, self.pairs_at_once):
                    pairs = slice(start, min(start + self.pairs_at_once, last))
                    batch = self._batch(made, pairs, crops.start)
                    count = pairs.stop - pairs.start
                    for total, found in zip(totals, batch.gradients(), strict=True):
                        total[pairs] = found[:count]
                    change[pairs] = batch.change[:count]
        return totals, change

    def _batch(self, made: Crops, pairs: slice, first_crop: int) -> _Pairs:
        """Return some pairs, with copies of the last one up to a rounded batch size."""
        chosen: slice | Tensor = pairs
        padded = self._steady(range(pairs.start, pairs.stop))
        if len(padded) > pairs.stop - pairs.start:
            chosen = padded
        return _Pairs(self, made, chosen, self.row[chosen] - first_crop)

    def _steady(self, numbers: Sequence[int]) -> Tensor:
        """Repeat the last number up to a rounded batch size."""
        missing = rounded_batch(len(numbers), self.row.device) - len(numbers)
        return torch.tensor([*numbers, *[numbers[-1]] * missing], device=self.row.device)

    def _crops(self) -> Iterator[slice]:
        """Yield groups of crops whose pairs fill about one batch."""
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


class _Pairs:
    """One batch of pairs.

    Args:
        whole: the gradients of all pairs.
        made: the crop part on the pairs' crops.
        pairs: the pairs of the batch; indices if some are repeated.
        row: ``[pair]`` crop of each pair.
    """

    def __init__(
        self, whole: CropGradient, made: Crops, pairs: slice | Tensor, row: Tensor
    ) -> None:
        self.whole = whole
        self.tail, self.path, self.cells, self.made = whole.tail, whole.path, whole.cells, made
        self.chosen, self.count, self.row = pairs, len(row), row
        self.fixed = [value[pairs] for value in self.path.fixed]
        self.parts: dict[fx.Node, Tensor] = {}
        self.change = torch.empty(0)

    def gradients(self) -> list[Tensor]:
        """Return the sums of gradients at the frontier ``[pair, …]``."""
        joints, own = self._head()
        at_joints = [torch.unflatten(gradient, 0, (-1, self.count)) for gradient in joints]
        through = self._by_rows(*at_joints) if self.tail.channelwise else None
        through = through or self._through(at_joints)
        return [*through, *(torch.unflatten(g, 0, (-1, self.count)).sum(0) for g in own)]

    def _through(self, at_joints: Sequence[Tensor]) -> list[Tensor]:
        """Return the sums of gradients at the tail's inputs, from those at the joints."""
        for joint, gradient in zip(self.tail.joints, at_joints, strict=True):
            self._enter(joint, gradient)
        for node in reversed(self.tail.varying):
            if node.op != "placeholder" and node in self.parts:
                self._back(node, self.parts.pop(node))
        ends = self.path.end
        return [
            self.parts.get(node, ends[i].new_zeros(())).expand(self.count, *ends[i].shape[1:])
            for i, node in enumerate(self.tail.inputs)
        ]

    def _by_rows(self, gradient: Float[Tensor, "cell pair place tap"]) -> list[Tensor] | None:
        """Return the same for a channelwise tail, where the pairs of a crop differ by channel factors.

        None if they differ otherwise, or if no crop has several pairs.
        """
        firsts = torch.searchsorted(self.row, torch.unique_consecutive(self.row))
        if gradient.shape[-1] > 1 or len(firsts) == self.count:
            return None
        first = gradient[:, firsts]
        place = torch.searchsorted(self.row[firsts], self.row)
        total = gradient.sum((0, 2, 3))
        scale = total / total[firsts][place]  # a norm after the rows has a scale for each target
        apart = (first[:, place] * scale[:, None, None] - gradient).abs().amax((0, 2, 3))
        if not (apart <= SAME * gradient.abs().amax((0, 2, 3))).all():
            return None
        chosen = torch.arange(len(self.whole.row), device=firsts.device)[self.chosen]
        unit = _Pairs(self.whole, self.made, chosen[firsts], self.row[firsts])
        rows = self.tail.joints[0].rows
        assert rows is not None
        unit.fixed[rows] = torch.ones_like(unit.fixed[rows])
        (found,) = unit._through([first])
        own = self.fixed[rows][:, 0] * scale[:, None]
        return [found[place] * own.view(*own.shape, *[1] * (found.ndim - 2))]

    def _head(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return gradients ``[cell · pair, …]`` at the joints and at the pairs' frontier."""
        points, tail = self.cells.points, self.tail
        own = slice(len(tail.inputs), None)
        line = [
            points_between(low[self.chosen], high[self.chosen], points)
            for low, high in zip(self.path.start[own], self.path.end[own], strict=True)
        ]
        leaves = [*map(self._read, tail.joints), *line]
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        fixed = [
            value.repeat(len(points), *[1] * (value.ndim - 1)) if needed else value
            for value, needed in zip(self.fixed, tail.needed, strict=True)
        ]
        head = partial(tail.head, len(points)) if self.cells.uses_secants else tail.head_at_points
        with torch.enable_grad():
            phi = head(len(points) * self.count, *leaves, *fixed)[0]
        at_points = torch.unflatten(phi.detach(), 0, (len(points), -1))
        self.change = at_points[-1] - at_points[0]
        weights = self.cells.weights
        shares = torch.cat([weights, weights.new_zeros(len(points) - len(weights))])
        found = torch.autograd.grad(
            phi, leaves, shares.repeat_interleave(self.count), materialize_grads=True
        )
        # no cell starts at the last point
        kept = [gradient[: len(weights) * self.count] for gradient in found]
        return kept[: len(tail.joints)], kept[len(tail.joints) :]

    def _read(self, joint: Joint) -> Tensor:
        """Return the values that the head reads at a joint, ``[point · pair, …]``."""
        value = self.made.values[joint.value]
        if joint.rows is None:
            return self._to_pairs(torch.unflatten(value, 0, (-1, self.made.count))).flatten(0, 1)
        rows = self.fixed[joint.rows]
        points = len(self.cells.points)
        if self.made.count > 1:
            each = self._to_pairs(torch.unflatten(value, 0, (points, -1))).flatten(0, 1)
            return row_products(each, rows.repeat(points, 1, 1))
        products = value @ rows.flatten(0, 1).T  # all pairs' rows in one product
        places, taps = products.shape[1], rows.shape[1]
        split = products.view(points, places, self.count, taps).transpose(1, 2)
        return split.reshape(points * self.count, places, taps)

    def _to_pairs(self, value: Tensor) -> Tensor:
        """Return ``[…, crop, …]`` → ``[…, pair, …]`` along the second axis."""
        if self.made.count == 1:
            return value.expand(len(value), self.count, *value.shape[2:])
        alike = self.made.count == self.count and isinstance(self.chosen, slice)
        return value if alike else value[:, self.row]

    def _enter(self, joint: Joint, gradient: Float[Tensor, "cell pair ..."]) -> None:
        """Propagate the gradient at a joint to the value of the crop part that it reads."""
        flat = joint.value in self.tail.flat
        if joint.rows is None:
            self._add(joint.value, gradient.sum(0) if flat else self._projected(gradient))
            return
        slope = joint.slope
        if slope is not None and slope in self.made.slopes:
            source = self.tail.slopes[slope][1][0]
            last = source in self.tail.flat
            if last or self.made.modes is not None:
                self._enter_by_slope(joint, slope, source, gradient)
                return
        rows = self.fixed[joint.rows]
        parts = gradient.sum(0) if flat else self._projected(gradient)
        repeats = len(parts) // self.count
        self._add(joint.value, torch.bmm(parts, rows.repeat(repeats, 1, 1)))

    def _projected(
        self, gradient: Float[Tensor, "cell pair ..."]
    ) -> Float[Tensor, "part_pair ..."]:
        """Return the parts of a gradient, whose cells contain their lengths."""
        if self.made.modes is None:
            return gradient.flatten(0, 1)
        each = gradient.flatten(2)
        found = torch.einsum("amc,cax->max", self.made.modes[self.row], each)
        return found.reshape(-1, *gradient.shape[2:])

    def _enter_by_slope(
        self, joint: Joint, slope: fx.Node, source: fx.Node, gradient: Tensor
    ) -> None:
        """Add a gradient to the parts through the slope before the value; its cells are summed first.

        Rows do not depend on the cell, so they come after the sum.
        """
        assert joint.rows is not None
        rows, modes = self.fixed[joint.rows], self.made.modes
        factor = self._reshaped(joint, self.made.slopes[slope])
        if source in self.tail.flat or modes is None:
            asked = gradient.permute(2, 1, 3, 0)[:, :, None]
        else:
            asked = torch.einsum("amc,capt->pamtc", modes[self.row], gradient)
        places, count, parts, taps, _ = asked.shape
        asked = asked.contiguous()  # products of many matrices are slow in other layouts
        if self.made.count == 1:  # one product per position: (pair, mode, tap) by cell by channel
            summed = asked.flatten(1, 3) @ factor[:, 0].transpose(0, 1)
        else:
            each = self._to_pairs(factor).permute(2, 1, 0, 3)
            summed = asked.flatten(2, 3) @ each
        summed = summed.view(places, count, parts, taps, -1).permute(2, 1, 3, 0, 4)
        found = summed.new_empty(parts, count, places, summed.shape[-1])
        torch.mul(summed[:, :, 0], rows[:, None, 0], out=found)
        for tap in range(1, taps):
            found.addcmul_(summed[:, :, tap], rows[:, None, tap])
        taken = found.flatten(0, 1)
        for node in reversed(joint.reshapes):
            (taken,) = pull(node, taken, sources(node)[:1], self._value(taken), self._size)
        self._add(source, taken)

    def _reshaped(self, joint: Joint, slope: Tensor) -> Tensor:
        """Return a slope ``[cell, crop, …]`` in the shape of the joint's value."""
        value = slope.flatten(0, 1)
        for node in joint.reshapes:
            values = {node.all_input_nodes[0]: value}
            value = call(node, partial(_either, values, self._value(value)))
        return torch.unflatten(value, 0, (-1, self.made.count))

    def _back(self, node: fx.Node, parts: Tensor) -> None:
        """Propagate the parts of a gradient through one call."""
        if node in self.tail.slopes:
            self._through_slope(node, parts)
            return
        inputs = [n for n in sources(node) if n in self.tail.varying]
        found = pull(node, parts, inputs, self._value(parts), self._size)
        for source, gradient in zip(inputs, found, strict=True):
            if source in self.tail.flat and node not in self.tail.flat:
                gradient = self._total(torch.unflatten(gradient, 0, (-1, self.count)))
            self._add(source, gradient)

    def _through_slope(self, node: fx.Node, parts: Tensor) -> None:
        if node in self.made.ends:
            self._through_ends(node, parts)
            return
        split = torch.unflatten(parts, 0, (-1, self.count))
        source, factor = self.tail.slopes[node][1][0], self.made.factors[node]
        if source in self.tail.flat:
            factor = self._to_pairs(factor)
            total = factor[0] * split[0]
            for one, other in zip(factor[1:], split[1:], strict=True):
                total.addcmul_(one, other)
            self._add(source, total)
        elif self.made.modes is None:
            self._add(source, (self._to_pairs(factor) * split).flatten(0, 1))
        else:
            made = torch.zeros_like(split)
            for total, row in zip(made, factor, strict=True):
                for one, other in zip(self._to_pairs(row), split, strict=True):
                    total.addcmul_(one, other)
            self._add(source, made.flatten(0, 1))

    def _through_ends(self, node: fx.Node, parts: Tensor) -> None:
        """Propagate through an operation of several tensors, cell by cell."""
        operation, tensors = self.tail.slopes[node]

        def each(tensor: fx.Node, value: Tensor) -> Tensor:
            if tensor not in self.tail.varying:
                return value
            return self._to_pairs(torch.unflatten(value, 0, (-1, self.made.count))).flatten(0, 1)

        low, high = (list(map(each, tensors, ends)) for ends in self.made.ends[node])
        for source, gradient in zip(tensors, operation.pull(parts, low, high), strict=True):
            if gradient is None or source not in self.tail.varying:
                continue
            if source in self.tail.flat:
                gradient = torch.unflatten(gradient, 0, (-1, self.count)).sum(0)
            self._add(source, gradient)

    def _total(self, gradient: Float[Tensor, "part pair ..."]) -> Float[Tensor, "pair ..."]:
        """Return the sum over the cells; the first mode is 1."""
        return gradient.sum(0) if self.made.modes is None else gradient[0]

    def _add(self, node: fx.Node, gradient: Tensor) -> None:
        before = self.parts.get(node)
        self.parts[node] = gradient if before is None else before + gradient

    def _value(self, gradient: Tensor) -> Values:
        """Return a function that returns constant values; sizes follow the batch of ``gradient``.

        It must not refer to itself: tensors in such a cycle live until the next garbage collection.
        """
        return partial(self._value_at, len(gradient))

    def _value_at(self, batch: int, node: fx.Node) -> Any:
        if node is self.tail.batch:
            return batch
        value = self.made.values[node]
        return call(node, partial(self._value_at, batch)) if isinstance(value, int) else value

    def _size(self, node: fx.Node) -> torch.Size:
        return self.made.sizes[node]


def _either(first: Mapping[fx.Node, Tensor], others: Values, node: fx.Node) -> Any:
    return first[node] if node in first else others(node)
