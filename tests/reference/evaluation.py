"""Slow, plain implementations of the evaluation's measures: hooks on the whole module, and loops."""

import math

import torch

from tests.reference.debugging import crop_of


def all_crops(model, images, boxes):
    """All crops of all images as inputs, image by image."""
    size = tuple(model.input_size[1:])
    return torch.stack([crop_of(image, box, size) for image in images for box in boxes])


def phi_after(model, crops, layer, upper, change):
    """φ of the upper layer [crop][neuron] with the lower layer's output changed by a hook."""
    kept = []
    modules = model.module.get_submodule
    handles = [
        modules(layer).register_forward_hook(lambda _, __, output: change(output.clone())),
        modules(upper).register_forward_hook(lambda _, __, output: kept.append(output)),
    ]
    with torch.no_grad():
        model.module(crops)
    for handle in handles:
        handle.remove()
    return [
        [float(channel.mean()) for channel in (one if one.ndim > 1 else one[:, None])]
        for one in kept[-1]
    ]


def zeroed(neurons):
    """A change that sets neurons to zero."""

    def change(output):
        for s in neurons:
            output[:, s] = 0
        return output

    return change


def top(phi, neuron, k, each, most):
    """The k crops with the largest φ; ties are in the order of the crops.

    Every ``each`` consecutive crops are of one image, of which at most ``most`` are taken (None: all).
    """
    order = sorted(range(len(phi)), key=lambda crop: (-phi[crop][neuron], crop))
    taken = []
    for crop in order:
        same = [other for other in taken if other // each == crop // each]
        if most is None or len(same) < most:
            taken.append(crop)
    return set(taken[:k])


def overlap_left(model, crops, layer, upper, neuron, change, k, each, most):
    """|V_a ∩ V_a'| / k."""
    before = phi_after(model, crops, layer, upper, lambda output: output)
    after = phi_after(model, crops, layer, upper, change)
    return len(top(before, neuron, k, each, most) & top(after, neuron, k, each, most)) / k


def pearson(x, y):
    """Pearson's correlation by its definition."""
    mx, my = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    below = math.sqrt(sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y))
    return above / below


def answers(model, images, target, changes):
    """Whether each image is predicted as the target when hooks change neurons of layers."""
    handles = [
        model.module.get_submodule(layer).register_forward_hook(
            lambda _, __, output, change=change: change(output.clone())
        )
        for layer, change in changes.items()
    ]
    with torch.no_grad():
        said = [int(model.module(image[None]).argmax()) for image in images]
    for handle in handles:
        handle.remove()
    return [c == target for c in said]


def given(model, crop, layer, target, changes, steps=16):
    """Integrated gradients of an output with respect to a layer's channels, on one input.

    Midpoints on the line from zero; hooks change the layers of ``changes``.
    """
    kept = []
    handle = model.module.get_submodule(layer).register_forward_hook(
        lambda _, __, o: kept.append(o)
    )
    with torch.no_grad():
        model.module(crop[None])
    handle.remove()
    x, total = kept[0], 0
    for step in range(steps):
        point = (x * (step + 0.5) / steps).requires_grad_()
        handles = [
            model.module.get_submodule(layer).register_forward_hook(lambda _, __, o, p=point: p)
        ] + [
            model.module.get_submodule(name).register_forward_hook(
                lambda _, __, output, change=change: change(output.clone())
            )
            for name, change in changes.items()
        ]
        out = model.module(crop[None])[0, target]
        for handle in handles:
            handle.remove()
        total = total + torch.autograd.grad(out, point)[0] / steps
    return [float(channel.sum()) for channel in (x * total)[0]]


def rand_index(one, other):
    """Adjusted Rand index by counting pairs of points."""
    n = len(one)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    together = [(one[i] == one[j], other[i] == other[j]) for i, j in pairs]
    both = sum(a and b for a, b in together)
    first, second = sum(a for a, _ in together), sum(b for _, b in together)
    expected = first * second / len(pairs)
    return (both - expected) / ((first + second) / 2 - expected)
