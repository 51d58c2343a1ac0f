"""The part of a secant tail that depends on the crop alone, run once for all targets of the crop.

A tail maps the line at the frontier to ``φ_a``. Most of it knows nothing of the target ``a``: in a
bottleneck, everything up to the row of the last convolution.

1. The *crop part* is what follows from the frontier's tensors that are the same for all targets. It is
   run once per crop, at the ends of all cells. The slopes of its operations are kept.
2. The *head* is the rest. It is run for every (target, crop) pair, from where it reads the crop part:
   the *joints*. Where a value of the crop part is multiplied with a row of a weight, the joint is the
   product, so the value is never copied to the pairs.
3. The gradients at the joints go back through the crop part by its slopes and linear maps, for many
   pairs and cells at once, without a graph of autograd's.
4. With few *modes* there is less to take back. A gradient is a function of the cell. It is projected on
   a few orthonormal functions, the constant and those that the slopes next to the frontier are mostly
   made of. Linear maps are then applied once for each of these instead of once for each cell. A slope
   next to a joint is applied before the projection and one next to the frontier after it, so both are
   felt in every cell. With as many modes as cells nothing would be lost.
5. In an inverted residual, channels stay apart between the frontier and the joint, and behind it all is
   affine. Targets then differ in their rows alone, so one gradient per crop serves all of them: each
   channel of it is multiplied with the target's row.
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
    """Where the head reads the crop part.

    Attributes:
        read: what the head is given: the value itself, or its product with rows.
        value: the node of the crop part.
        rows: position of the rows among the fixed tensors; None if the value itself is read.
        slope: the call with a slope that the value is a mere reshape of, if nothing else reads it.
        reshapes: the calls from there to the value, in order.
    """

    read: fx.Node
    value: fx.Node
    rows: int | None = None
    slope: fx.Node | None = None
    reshapes: tuple[fx.Node, ...] = ()


@dataclass(frozen=True)
class CropTail:
    """A secant tail, divided.

    Attributes:
        tail: the whole.
        inputs: the frontier's tensors that the crop part starts from.
        nodes: constants and calls of the crop part, in order.
        varying: its tensors that vary along the path, in order; the inputs come first.
        flat: those of them that are affine in the inputs.
        slopes: its calls that are not affine → the operation with its slope, and what it reads.
        joints: where the head reads it.
        head: ``(points, batch, *joints, *own, *fixed)`` → ``(φ_a [batch],)``, with slopes of secants.
        head_at_points: ``(batch, *joints, *own, *fixed)`` → the same, with derivatives.
        needed: which of the fixed tensors the head reads.
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
        """Whether few modes pay: between slopes of single units there are maps that mix channels.

        What one unit's gradient is along the path few functions do not tell; of many units' sum they
        tell most.
        """
        single = all(isinstance(slope, Elementwise) for slope, _ in self.slopes.values())
        return single and any(node not in self.flat and self._mixes(node) for node in self.varying)

    def _mixes(self, node: fx.Node) -> bool:
        """Whether a call sums over channels: a linear map, or a convolution that is not depthwise."""
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
        """Whether a call is element-wise or a depthwise convolution."""
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
    """Divide a tail; None if there is nothing to share, or samples do not come first everywhere.

    Args:
        network: where the tail comes from.
        tail: ``(batch, *through, *own, *fixed)`` → ``(φ_a [batch],)``.
        through: how many tensors of the frontier are the same for all targets.
        own: how many are not.
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
    """Whether samples lie along the first axis, one row each; pieces of several tensors are asked."""
    if "val" not in node.meta or not is_tensor(node):
        return node.op == "placeholder" or not is_tensor(node)
    return network.batch_axis(node) == (0, 1)


def _divided(
    inside: Sequence[fx.Node], starts: Sequence[fx.Node]
) -> tuple[set[fx.Node], dict[fx.Node, tuple[Operation, list[fx.Node]]] | None]:
    """(nodes affine in the starts, the others' slopes); no slopes if one has none."""
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
    """Where nodes outside read nodes inside."""
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
    """The call with a slope that a value is a reshape of, with the reshapes in order."""
    reshapes: list[fx.Node] = []
    while len(value.users) == 1:
        if value in slopes:
            return value, tuple(reversed(reshapes))
        if value.target not in RESHAPES:
            break
        reshapes.append(value)
        value = value.all_input_nodes[0]
    return None, ()
