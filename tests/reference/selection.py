"""Plain implementations of the selection rules, crop by crop, on a convolution and a ReLU."""

import torch

from tests.reference.method import integrated_gradients

FINE = 40
"""points: enough that the choice does not rest on their number"""


def attributions(block, a, x):
    """T [crop][lower neuron]."""
    rows = []
    for sample in x:
        found = integrated_gradients(lambda z: block(z).mean((2, 3))[0, a], sample[None], FINE)
        rows.append(found.sum((0, 2, 3)))
    return torch.stack(rows)


def zeroed(x, without):
    x = x.clone()
    for s in without:
        x[:, s] = 0
    return x


def drive(block, a, own, others, without=()):
    own, others = (attributions(block, a, zeroed(x, without)).mean(0) for x in (own, others))
    return own - others, bool((own != 0).any())


def largest(values, count, without=()):
    order = sorted(range(len(values)), key=lambda s: (-float(values[s]), s))
    return [s for s in order if s not in without][:count]


def select(rule, block, a, own, others, tau):
    if rule == "published":
        return largest(attributions(block, a, own).abs().mean(0), tau)
    if rule == "signed":
        return largest(attributions(block, a, own).mean(0), tau)
    first, _ = drive(block, a, own, others)
    if rule == "contrast":
        return largest(first, tau)
    step = -(-tau // 3)
    chosen = largest(first, step)
    for _ in range(2):
        values, speaks = drive(block, a, own[::2], others[::2], chosen)
        values = values if speaks else first
        chosen += largest(values, min(step, tau - len(chosen)), chosen)
    return chosen
