"""Plain implementations of attribution methods, crop by crop, on a convolution, a norm and a ReLU."""

import torch


def phi(block, x, a):
    return block(x).mean((2, 3))[0, a]


def gradient(block, x, a):
    rows = []
    for sample in x:
        at = sample[None].clone().requires_grad_()
        (found,) = torch.autograd.grad(phi(block, at, a), at)
        rows.append(found.sum((0, 2, 3)))
    return torch.stack(rows)


def input_x_gradient(block, x, a):
    rows = []
    for sample in x:
        at = sample[None].clone().requires_grad_()
        (found,) = torch.autograd.grad(phi(block, at, a), at)
        rows.append((found * at).sum((0, 2, 3)).detach())
    return torch.stack(rows)


def backwards(block, x, a, through):
    """Gradient with ``through(input of the ReLU, gradient of its output)`` for the ReLU."""
    rows = []
    for sample in x:
        at = sample[None].clone().requires_grad_()
        before = block[1](block[0](at))
        behind = torch.zeros_like(before)
        behind[:, a] = 1 / before[0, a].numel()
        (found,) = torch.autograd.grad(before, at, through(before.detach(), behind))
        rows.append(found)
    return torch.cat(rows)


def guided_backprop(block, x, a):
    def through(before, gradient):
        return torch.where((before > 0) & (gradient > 0), gradient, torch.zeros_like(gradient))

    return backwards(block, x, a, through).sum((2, 3))


def deeplift(block, x, a):
    """Rescale rule: the slope of the ReLU between zero input and x."""
    with torch.no_grad():
        reference = block[1](block[0](torch.zeros_like(x[:1])))

    def through(before, gradient):
        run = before - reference
        rise = before.clamp_min(0) - reference.clamp_min(0)
        return gradient * rise / run

    return (backwards(block, x, a, through) * x).sum((2, 3))


def smoothgrad(block, x, a, samples):
    generator = torch.Generator().manual_seed(7)
    total = 0
    for _ in range(samples):
        spread = torch.stack([0.15 * (sample.max() - sample.min()) for sample in x])
        noise = torch.randn(x.shape, generator=generator) * spread.view(-1, 1, 1, 1)
        at = (x + noise).requires_grad_()
        (found,) = torch.autograd.grad(block(at).mean((2, 3))[:, a].sum(), at)
        total = total + found.sum((2, 3))
    return total / samples


def ablation(block, x, a):
    rows = []
    with torch.no_grad():
        for sample in x:
            row = []
            for s in range(len(sample)):
                without = sample[None].clone()
                without[0, s] = 0
                row.append(phi(block, sample[None], a) - phi(block, without, a))
            rows.append(torch.stack(row))
    return torch.stack(rows)


def lrp(block, x, a):
    """ε rule by hand: the norm folded into the convolution, relevance in proportion to x · w."""
    conv, norm = block[0], block[1]
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = (conv.weight * scale[:, None, None, None]).detach()
    with torch.no_grad():
        before = norm(conv(x))
        relevance = torch.zeros_like(before)
        relevance[:, a] = before[:, a].clamp_min(0) / before[0, a].numel()
        shares = relevance / (before + 1e-6 * torch.where(before < 0, -1.0, 1.0))
        back = torch.nn.functional.conv_transpose2d(shares, weight, None, conv.stride, conv.padding)
        return (x * back).sum((2, 3))
