"""Divides a tail into a part that depends only on the crop and a part that depends on the target.

In a transformer block, the first part is nearly everything: norms, attention, and the hidden layer of
the MLP. It is run once for all targets of a crop.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx

from neurflow.model.network.extract import extract
from neurflow.model.network.graph import arguments, descendants


@dataclass(frozen=True)
class Parted:
    """A tail in two parts.

    Attributes:
        through: number of tensors of the frontier that the crop part uses, the first ones.
        crop: ``(batch, *through)`` → the tensors where the two parts meet.
        target: ``(batch, *these, *own, *fixed)`` → ``(φ_a [batch],)``, where ``own`` are the other
            tensors of the frontier.
    """

    through: int
    crop: fx.GraphModule
    target: fx.GraphModule


def part(tail: fx.GraphModule, through: int) -> Parted | None:
    """Divide a tail; None if one of the two parts would have no operations.

    Args:
        tail: ``(batch, *through, *own, *fixed)`` → ``(φ_a [batch],)``.
        through: number of tensors of the frontier that are the same for all targets.
    """
    batch, *inputs = (node for node in tail.graph.nodes if node.op == "placeholder")
    starts, others = inputs[:through], inputs[through:]
    apart = set().union(*map(descendants, others))
    inside = set().union(*map(descendants, starts)) - apart
    (output,) = arguments(tail.graph.output_node())[0]
    if output in inside or inside <= set(starts):
        return None
    meeting = [node for node in tail.graph.nodes if node in inside and node.users.keys() & apart]
    crop = extract(tail, [batch, *starts], meeting)
    target = extract(tail, [batch, *meeting, *others], [output])
    return Parted(through, crop, target)
