"""A tail in two parts: what depends on the crop alone, and what depends on the target too.

In a block of a transformer the first is nearly everything: norms, attention, and the hidden layer
of the MLP. Where several targets ask for the same crop, it is run once for all of them.
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
        through: how many tensors of the frontier the crop part takes: the first ones.
        crop: ``(batch, *through)`` → the tensors at which the two parts meet.
        target: ``(batch, *these, *own, *fixed)`` → ``(φ_a [batch],)``, with the rest of the frontier.
    """

    through: int
    crop: fx.GraphModule
    target: fx.GraphModule


def part(tail: fx.GraphModule, through: int) -> Parted | None:
    """Divide a tail; None if nothing but inputs, or all of it, depends on the crop alone.

    Args:
        tail: ``(batch, *through, *own, *fixed)`` → ``(φ_a [batch],)``.
        through: how many tensors of the frontier are the same for all targets.
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
