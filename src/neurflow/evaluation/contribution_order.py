"""Order of a layer's neurons by their contribution to the target through the kept part of the network.

1. Layers are ordered from the target down. The contribution of a neuron is its integrated gradients of
   the target's activation over the target's own ``V_a``, with a zero baseline and midpoints.
2. In each layer above, only the first share of its order is kept, and the other neurons are zeroed.
   Paths through neurons that would be ablated therefore contribute nothing. The contribution is the
   mean over several shares.
3. The *signed* order starts with the neurons that raise the target most, the *absolute* order with
   those that change it most in either direction. The circuit's neurons come before all others, except
   that the signed order puts those of them that lower the target last.

The signed order is meant to keep as much of the target as possible, and the absolute order to change it
as little as possible. The areas CPR and CMD of MIB (Mueller et al. 2025) measure these two aims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from neurflow.evaluation.laboratory import Laboratory
from neurflow.model import Layer

STEPS = 16
"""number of integration points"""
KEPT_SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)
"""shares of each layer above that are kept in turn"""
BATCH = 16
Order = Mapping[str, Sequence[int]]
"""layer → all its neurons, in the order in which they are kept"""


def orders_of_circuit(lab: Laboratory, *, signed: bool) -> dict[str, list[int]]:
    """Return layer → its neurons, ordered by their contribution through the circuit.

    The layers are those below the target.
    """
    found: dict[str, list[int]] = {}
    for name in reversed(lab.names[:-1]):
        own = sorted(lab.circuit.layer(name).neurons)
        found[name] = ordered(scores(lab, name, found, signed=signed), own)
    return {name: found[name] for name in lab.names[:-1]}


def scores(lab: Laboratory, name: str, above: Order, *, signed: bool) -> np.ndarray:
    """Return the contributions ``[neuron]`` of a layer to the target: means over the shares kept above.

    Args:
        lab: has the target and its crops.
        name: the layer.
        above: orders of the layers above it; if empty, all their neurons are kept.
        signed: whether signed values are averaged over the crops, rather than absolute ones.
    """

    def compute() -> list[float]:
        shares = KEPT_SHARES if above else (1.0,)
        values = np.stack([through(lab, name, first_share(above, share)) for share in shares])
        found: list[float] = (values if signed else np.abs(values)).mean((0, 1)).tolist()
        return found

    return np.array(lab.cached(f"given {name} {sorted(above)} {signed}", compute))


def ordered(scores: np.ndarray, circuit: Sequence[int]) -> list[int]:
    """Order neurons by ``scores`` ``[neuron]``.

    The circuit's neurons come first, or last if their score is not positive.
    """
    own = np.isin(np.arange(len(scores)), circuit)
    rank = np.where(own, np.where(scores > 0, 0, 2), 1)
    found: list[int] = np.lexsort((-scores, rank)).tolist()
    return found


def first_share(orders: Order, share: float) -> dict[str, list[int]]:
    """Return the first ``share`` of each layer's neurons, rounded up."""
    return {name: list(order[: int(np.ceil(share * len(order)))]) for name, order in orders.items()}


def through(lab: Laboratory, name: str, kept: Order) -> np.ndarray:
    """Return integrated gradients ``[crop, neuron]`` of the target with only some neurons above kept.

    Args:
        lab: has the target and its crops.
        name: the layer of the neurons.
        kept: layer above it → the neurons that are kept there.
    """
    model, target = lab.model, lab.circuit.target
    segment, layer = model.segment(name, target.layer), model.layer(name)
    observe = model.outputs([model.node(name), *segment.bypass])
    (numbers,), _ = lab.scoring.top(target.layer, [target.neuron], lab.circuit.config.k)
    changes = {above: _only(model.layer(above), neurons) for above, neurons in kept.items()}
    lab.progress.start(f"{target.layer} → {name}, through what is kept", len(numbers))
    found = []
    for start in range(0, len(numbers), BATCH):
        part = np.sort(numbers)[start : start + BATCH]
        with torch.inference_mode():
            observed = observe(model.feed(lab.scoring.crops.pixels(part)))
        x, *bypass = (value.clone() for value in observed)

        def value(x: Tensor, bypass: Sequence[Tensor] = bypass) -> Tensor:
            phi = segment.upper.pool(segment.run(x, bypass, changes))
            own = phi[:, target.neuron]
            return own if target.minus is None else own - phi[:, target.minus]

        scores = (x * _mean_gradient(value, x)).movedim(layer.axis, -1)
        found.append(scores.flatten(1, -2).sum(1) if scores.ndim > 2 else scores)
        lab.progress.advance(len(part))
    return torch.cat(found).double().cpu().numpy()


def _mean_gradient(value: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the mean gradient along the line from zero to ``x``."""
    total = torch.zeros_like(x)
    for step in range(STEPS):
        point = (x * (step + 0.5) / STEPS).requires_grad_()
        (gradient,) = torch.autograd.grad(value(point).sum(), point)
        total += gradient / STEPS
    return total


def _only(layer: Layer, neurons: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """Return a function that zeroes all neurons of a layer except the given ones."""
    keep = torch.zeros(layer.neurons)
    keep[list(neurons)] = 1
    return partial(_scaled, keep=keep, axis=layer.axis)


def _scaled(x: Tensor, keep: Tensor, axis: int) -> Tensor:
    shape = [1] * x.ndim
    shape[axis] = len(keep)
    return x * keep.to(x).view(shape)
