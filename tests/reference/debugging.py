"""Slow, plain implementations of image debugging, from its definition."""

import math

import torch

from neurflow.pictures.crops import crop_boxes


def activation(model, layer, image):
    """φ of every neuron of a layer on one input, by a hook on the module itself."""
    kept = []
    handle = model.module.get_submodule(layer).register_forward_hook(
        lambda _, __, output: kept.append(output.detach())
    )
    with torch.no_grad():
        model.module(image[None])
    handle.remove()
    output = kept[-1][0]
    return [float(channel.mean()) for channel in output]


def crop_of(image, box, size):
    """A crop as the model sees it."""
    left, top, right, bottom = box
    window = image[None, :, top:bottom, left:right]
    if window.shape[-2:] == size:
        return window[0]
    return torch.nn.functional.interpolate(window, size=size, mode="bilinear", align_corners=False)[
        0
    ]


def image_score(model, circuit, group, concept_images, image, epsilon=1e-6):
    """exp(mean_s log(max(φ_s, 0) / (|mean φ_s over the group's crops| + ε) + ε)) of the best crop."""
    layer, size = group.id.layer, tuple(model.input_size[1:])
    neurons = sorted({neuron for neuron, _ in group.members})
    own = [
        activation(model, layer, crop_of(concept_images[crop.image], crop.box, size))
        for crop in group.crops
    ]
    means = {s: sum(phi[s] for phi in own) / len(own) for s in neurons}
    scores = []
    for box in crop_boxes(*size, circuit.config.granularities):
        phi = activation(model, layer, crop_of(image, box, size))
        logs = [math.log(max(phi[s], 0) / (abs(means[s]) + epsilon) + epsilon) for s in neurons]
        scores.append(math.exp(sum(logs) / len(logs)))
    return max(scores)


def masked_logits(model, images, changes):
    """Logits of the whole module with layers' outputs changed by hooks.

    ``changes``: layer → (channel axis, function that changes the values of a neuron).
    """

    def hook_of(axis, change):
        def hook(_, __, output):
            parts = output.clone().unbind(axis)
            return torch.stack([change(neuron, part) for neuron, part in enumerate(parts)], axis)

        return hook

    handles = [
        model.module.get_submodule(layer).register_forward_hook(hook_of(*change))
        for layer, change in changes.items()
    ]
    with torch.no_grad():
        logits = model.module(images)
    for handle in handles:
        handle.remove()
    return logits
