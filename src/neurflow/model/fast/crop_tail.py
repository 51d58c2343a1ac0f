"""The part of a secant tail that depends only on the crop, run once for all targets of the crop.

A tail maps the line at the frontier to ``φ_a``. Most of it does not depend on the target ``a``: in a
bottleneck, everything up to the row of the last convolution.

1. The *crop part* follows from those tensors of the frontier that are the same for all targets. It is
   run once per crop, at the ends of all cells, and the slopes of its operations are stored.
2. The *head* is the rest. It is run for every (target, crop) pair. It reads the crop part at the
   *joints*. If a value of the crop part is multiplied by a row of a weight, the joint is the
   product, so the value is never copied to the pairs.
3. The gradients at the joints are propagated back through the crop part by its slopes and linear maps,
   for many pairs and cells at once, without autograd.
4. *Modes* reduce this work. A gradient is a function of the cell. It is projected on a few orthonormal
   functions: the constant, and the principal components of the slopes next to the frontier. Linear maps
   are then applied once per mode instead of once per cell. A slope next to a joint is applied before
   the projection and a slope next to the frontier after it, so both act on every cell. With as many
   modes as cells, the projection would be exact.
5. In an inverted residual, channels do not mix between the frontier and the joint, and everything after
   the joint is affine. Targets then differ only in their rows, so one gradient per crop is enough for
   all of them: each channel is multiplied by the target's row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from torch import fx

from neurflow.model.fast.one_row import row_products
from neurflow.model.fast.ops import is_affine, with_slope
from neurflow.model.fast.pullback import window_of
from neurflow.model.fast.secants import secant_tail
from neurflow.model.fast.slopes import Elementwise, Operation
from neurflow.model.network.extract import extract
from neurflow.model.network.graph import (
    NetworkGraph,
    ancestors,
    arguments,
    aten,
    descendants,
    is_tensor,
)

RESHAPES = {aten.flatten.using_ints, aten.transpose.int, aten.reshape.default, aten.clone.default}


@dataclass(frozen=True)
class Joint:
    """A value of the crop part that the head reads.

    Attributes:
        read: the input of the head: the value itself, or its product with rows.
        value: the node of the crop part.
        rows: position of the rows among the fixed tensors; None if the value itself is read.
        slope: the call with a slope of which the value is a reshape, if no other call reads it.
        reshapes: the calls from there to the value, in order.
    """

    read: fx.Node
    value: fx.Node
    rows: int | None = None
    slope: fx.Node | None = None
    reshapes: tuple[fx.Node, ...] = ()


@dataclass(frozen=True)
class CropTail:
    """A secant tail, divided into crop part and head.

    Attributes:
        tail: the whole tail.
        inputs: the frontier's tensors that the crop part starts from.
        nodes: constants and calls of the crop part, in order.
        varying: its tensors that vary along the path, in order; the inputs come first.
        flat: those of them that are affine in the inputs.
        slopes: its calls that are not affine → the operation with its slope, and its inputs.
        joints: values that the head reads.
        head: ``(points, batch, *joints, *own, *fixed)`` → ``(φ_a [batch],)``, with slopes of secants.
        head_at_points: ``(batch, *joints, *own, *fixed)`` → the same, with derivatives.
        needed: indices of the fixed tensors that the head reads.
    """

    tail: fx.GraphModule
    inputs: Sequence[fx.Node]
    nodes: Sequence[fx.Node]
    varying: Sequence[fx.Node]
    flat: Set[fx.Node]
    slopes: Mapping[fx.Node, tuple[Operation, list[fx.Node]]]
    joints: Sequence[Joint]
    head: fx.GraphModule
    head_at_points: fx.GraphModule
    needed: Sequence[bool]

    @property
    def projects(self) -> bool:
        """Whether modes are worthwhile: maps between the slopes mix channels.

        Along the path, the gradient of a single unit is not approximated by a few functions, but that
        of a sum over many units is.
        """
        single = all(isinstance(slope, Elementwise) for slope, _ in self.slopes.values())
        return single and any(node not in self.flat and self._mixes(node) for node in self.varying)

    def _mixes(self, node: fx.Node) -> bool:
        """Return whether a call sums over channels, as linear maps and most convolutions do."""
        if node.target is not aten.conv2d.default:
            return node.target is aten.linear.default
        weight = arguments(node)[1]
        return weight.op != "get_attr" or getattr(self.tail, weight.target).shape[1] > 1

    @cached_property
    def channelwise(self) -> bool:
        """Whether a channel of the only joint depends only on the same channel of the only input."""
        if len(self.joints) != 1 or len(self.inputs) != 1 or self.joints[0].rows is None:
            return False
        apart = {*self.inputs, *self.joints[0].reshapes}
        return not self.needed[self.joints[0].rows] and all(
            node in apart or self._keeps_channels(node) for node in self.varying
        )

    def _keeps_channels(self, node: fx.Node) -> bool:
        """Return whether a call is element-wise or a depthwise convolution."""
        if node in self.slopes:
            return isinstance(self.slopes[node][0], Elementwise)
        if node.target is not aten.conv2d.default:
            return False
        weight = arguments(node)[1]
        shape: Sequence[int] = ()
        if weight.op == "get_attr":
            shape = getattr(self.tail, weight.target).shape
        return len(shape) == 4 and shape[1] == 1 and window_of(arguments(node))[1] == shape[0]

    @property
    def batch(self) -> fx.Node:
        """The placeholder of the number of samples."""
        return next(iter(self.tail.graph.nodes))


def crop_tail(
    network: NetworkGraph, tail: fx.GraphModule, through: int, own: int
) -> CropTail | None:
    """Divide a tail; None if there is no crop part, or if the batch is not always the first axis.

    Args:
        network: the network of the tail.
        tail: ``(batch, *through, *own, *fixed)`` → ``(φ_a [batch],)``.
        through: number of tensors of the frontier that are the same for all targets.
        own: number of the other tensors of the frontier.
    """
    batch, *inputs = (node for node in tail.graph.nodes if node.op == "placeholder")
    starts, pairs = inputs[:through], inputs[through:]
    apart = set().union(*map(descendants, pairs))
    inside = [n for n in _in_order(tail.graph, starts) if n not in apart]
    flat, slopes = _divided(inside, starts)
    joints = _joints(inside, pairs[own:], slopes or {})
    (output,) = arguments(tail.graph.output_node())[0]
    if not slopes or output in inside or not all(samples_first(network, n) for n in inside):
        return None
    head = extract(tail, [batch, *(joint.read for joint in joints), *pairs], [output])
    with_slopes = secant_tail(head, len(joints) + own, lambda _: 0)
    if with_slopes is None:
        return None
    nodes = [n for n in ancestors([joint.value for joint in joints]) if n.op != "placeholder"]
    read = {n.name for n in head.graph.nodes if n.op == "placeholder" and n.users}
    return CropTail(
        tail=tail,
        inputs=starts,
        nodes=nodes,
        varying=[n for n in inside if n in {*starts, *nodes}],
        flat=flat,
        slopes=slopes,
        joints=joints,
        head=with_slopes,
        head_at_points=head,
        needed=[node.name in read for node in pairs[own:]],
    )


def _in_order(graph: fx.Graph, starts: Sequence[fx.Node]) -> list[fx.Node]:
    found = set().union(*map(descendants, starts))
    return [node for node in graph.nodes if node in found]


def samples_first(network: NetworkGraph, node: fx.Node) -> bool:
    """Return whether the first axis, in all pieces of a tuple, is the batch with one row per sample."""
    if "val" not in node.meta or not is_tensor(node):
        return node.op == "placeholder" or not is_tensor(node)
    return network.batch_axis(node) == (0, 1)


def _divided(
    inside: Sequence[fx.Node], starts: Sequence[fx.Node]
) -> tuple[set[fx.Node], dict[fx.Node, tuple[Operation, list[fx.Node]]] | None]:
    """Return (nodes affine in the starts, the others' slopes); no slopes if one has none."""
    varying, flat = set(inside), set(starts)
    slopes = {}
    for node in inside:
        if node in flat:
            continue
        inputs = varying.intersection(node.all_input_nodes)
        if is_affine(node, varying):
            flat |= {node} if inputs <= flat else set()
            continue
        found = with_slope(node, varying)
        if found is None:
            return flat, None
        slopes[node] = found
    return flat, slopes


def _joints(
    inside: Sequence[fx.Node], fixed: Sequence[fx.Node], slopes: Collection[fx.Node]
) -> list[Joint]:
    """Return the joints: nodes inside that nodes outside read."""
    within = set(inside)
    joints: dict[fx.Node, Joint] = {}
    for value in inside:
        for user in value.users:
            if user in within or user.op == "output":
                continue
            args = user.args
            rowed = user.target is row_products and args[0] is value and args[1] in fixed
            if rowed:
                rows = fixed.index(args[1])
                joints[user] = Joint(user, value, rows, *_behind_a_slope(value, slopes))
            else:
                joints[value] = Joint(value, value)
    return list(joints.values())


def _behind_a_slope(
    value: fx.Node, slopes: Collection[fx.Node]
) -> tuple[fx.Node | None, tuple[fx.Node, ...]]:
    """Return the call with a slope that a value is a reshape of, with the reshapes in order."""
    reshapes: list[fx.Node] = []
    while len(value.users) == 1:
        if value in slopes:
            return value, tuple(reversed(reshapes))
        if value.target not in RESHAPES:
            break
        reshapes.append(value)
        value = value.all_input_nodes[0]
    return None, ()
