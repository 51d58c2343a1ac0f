"""The formulas of the method as plain loops over single numbers."""

import math

import numpy as np
import torch


def crop_boxes(height, width, granularities):
    boxes = []
    for g in granularities:
        size = max(int(g * min(height, width)), 1)
        tops, lefts = [], []
        for length, starts in ((height, tops), (width, lefts)):
            stride = max(min(int(size / 2), length - size), 1)
            start = 0
            while start + size <= length:
                starts.append(start)
                start += stride
        boxes += [(left, top, left + size, top + size) for top in tops for left in lefts]
    return boxes


def top_crops(phi, k, image=None, per_image=None):
    """Numbers of the crops with the k largest activations; ties are in the order of the crops."""
    order = sorted(range(len(phi)), key=lambda i: (-phi[i], i))
    kept, used = [], {}
    for i in order:
        if per_image is not None and used.get(image[i], 0) >= per_image:
            continue
        if image is not None:
            used[image[i]] = used.get(image[i], 0) + 1
        kept.append(i)
    return kept[:k]


def integrated_gradients(phi, x, steps):
    """IG of a scalar function of one sample, zero baseline: [same shape as x]."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(x)
    for point, weight in zip(points, weights, strict=True):
        alpha = (point + 1) / 2
        at = (alpha * x).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(phi(at), at)
        total += weight / 2 * gradient
    return x * total


def core_neurons(scores, tau):
    """scores [crop][neuron] → the tau neurons of largest mean absolute score."""
    crops, neurons = len(scores), len(scores[0])
    importance = [sum(abs(scores[v][s]) for v in range(crops)) / crops for s in range(neurons)]
    return sorted(range(neurons), key=lambda s: (-importance[s], s))[:tau]


def interaction_weights(scores, core):
    """scores [crop][neuron] of one semantic group → weight of each core neuron."""
    signed = {s: sum(row[s] for row in scores) / len(scores) for s in core}
    total = sum(abs(value) for value in signed.values())
    return {s: value / total for s, value in signed.items()}


def silhouette(points, labels):
    """Mean silhouette by its definition."""
    scores = []
    for i, label in enumerate(labels):
        mean = {}
        for other in set(labels):
            members = [j for j in range(len(labels)) if labels[j] == other and j != i]
            if members:
                mean[other] = sum(math.dist(points[i], points[j]) for j in members) / len(members)
        if label not in mean:
            scores.append(0.0)
            continue
        inner = mean.pop(label)
        outer = min(mean.values())
        scores.append((outer - inner) / max(inner, outer) if max(inner, outer) > 0 else 0.0)
    return sum(scores) / len(scores)


def group_interaction(upper_group, lower_group, weights, crop_points, vectors, conserving, mean):
    """W(G, H).

    upper_group: [(a, i)]; lower_group: [(s, j)]; weights[a, i]: {s: w}; crop_points[a, i]: points of
    V_a^i; vectors[s]: concept vector of each meaning of s.
    """
    total = 0.0
    for pair in upper_group:
        for s, weight in weights[pair].items():
            meanings = [j for t, j in lower_group if t == s]
            if not meanings:
                continue
            if not conserving:
                total += weight
                continue
            points = crop_points[pair]
            nearest = [
                min(range(len(vectors[s])), key=lambda j: math.dist(point, vectors[s][j]))
                for point in points
            ]
            total += weight * sum(n in meanings for n in nearest) / len(points)
    return total / len(upper_group) if mean else total


def dip(places, weights):
    """Hartigan's dip of weighted places: for each mode, the farthest point from any chord."""
    points = sorted(zip(places, weights, strict=True))
    x, total = [place for place, _ in points], sum(weights)
    y = [(sum(w for _, w in points[:i]) + points[i][1] / 2) / total for i in range(len(x))]

    def heights(first, last):
        for a in range(first, last + 1):
            for b in range(a + 1, last):
                for c in range(b + 1, last + 1):
                    yield y[b] - y[a] - (y[c] - y[a]) * (x[b] - x[a]) / (x[c] - x[a])

    end = len(x) - 1
    return min(
        max(0, *heights(0, mode), *(-h for h in heights(mode, end))) / 2 for mode in range(len(x))
    )
