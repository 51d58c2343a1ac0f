"""Attribution methods for (target, crop) pairs, by gradients or ablation; captum computes most of them.

Each method is a :data:`~neurflow.attribution.streaming.Measure`, so ``streaming.attribute`` can run
it like integrated gradients. Scores are signed and summed over space. ``x`` is the output of the
lower layer. Values that bypass it are held at their observed values.

========================  =====================================================================
``gradient``              ``∂φ_a/∂x`` at the crop (Simonyan et al. 2013, without its absolute value)
``input_x_gradient``      ``x ⊙ ∂φ_a/∂x`` (Shrikumar et al. 2016); in a network of ReLUs without
                          biases, this equals layer-wise relevance propagation with the ε rule
``smoothgrad``            the mean gradient under Gaussian noise of 0.15 of the range of ``x``
                          (Smilkov et al. 2017)
``guided_backprop``       the gradient, with negative parts removed after each ReLU
                          (Springenberg et al. 2014)
``gradient_shap``         ``x ⊙`` the mean gradient at random points between 0 and ``x``
                          (Lundberg & Lee 2017): integrated gradients by Monte Carlo
``deeplift``              rescale rule against zero (Shrikumar et al. 2017)
``ablation``              ``φ_a(x) − φ_a(x with s zeroed)``, for every ``s``: exact, and slow
========================  =====================================================================

Guided backprop and DeepLIFT change the backward pass of non-linear modules. The graph of a segment
has no modules, so :func:`with_modules` adds them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from neurflow.attribution.graphs import copied, graph_segment, no_rule
from neurflow.attribution.randomness import seeded
from neurflow.attribution.streaming import Measure
from neurflow.model.fast.affine import affine_nodes
from neurflow.model.fast.ops import is_affine, is_elementwise
from neurflow.model.network.graph import arguments, aten, is_tensor
from neurflow.model.network.protocols import Segment
from neurflow.runtime.extras import require
from neurflow.study.features import Observed

NOISE = 0.15
"""standard deviation of SmoothGrad's noise, relative to the range of ``x`` on a crop"""

Explain = Callable[[nn.Module, Tensor, tuple[Tensor, ...], int], Tensor]
"""(segment, x, its other inputs, samples) → attribution with the shape of ``x``"""

MODULES: dict[Any, Callable[..., nn.Module]] = {
    aten.relu.default: lambda: nn.ReLU(),
    aten.sigmoid.default: lambda: nn.Sigmoid(),
    aten.tanh.default: lambda: nn.Tanh(),
    aten.leaky_relu.default: lambda slope=0.01: nn.LeakyReLU(slope),
    aten.max_pool2d.default: lambda *how: nn.MaxPool2d(how[0], *how[1:]),
}
"""operation → the module that captum hooks"""


class PairsModule(nn.Module):
    """``φ_a`` ``[pair]`` of a batch of pairs, as the forward function that captum expects.

    Args:
        segment: the segment from the lower layer to the upper one.
        run: function to call instead of the segment's own, with the same arguments.
    """

    def __init__(self, segment: Segment, run: nn.Module | None = None) -> None:
        super().__init__()
        self.run = run
        self._segment = segment
        self._axes = [segment.observed[key] for key in segment.bypass]

    def others(self, observed: Observed) -> list[Tensor]:
        """Return the bypass with pairs along the first axis, which captum repeats and concatenates."""
        return [
            torch.unflatten(value, axis, (-1, rows)).movedim(axis, 0)
            for value, (axis, rows) in zip(observed.bypass, self._axes, strict=True)
        ]

    def forward(self, x: Tensor, neurons: Tensor, *others: Tensor) -> Tensor:
        """Compute ``φ_a`` from ``x`` ``[pair, …]``, the target of each pair, and :meth:`others`."""
        bypass = [
            value.movedim(0, axis).flatten(axis, axis + 1)
            for value, (axis, _) in zip(others, self._axes, strict=True)
        ]
        output = self.run(x, len(x), *bypass) if self.run else self._segment.run(x, bypass)
        return self._segment.upper.pool(output).gather(1, neurons[:, None])[:, 0]


def with_modules(segment: Segment, method: str) -> nn.Module:
    """Return a copy of the segment with a module for each non-linear operation.

    Raises:
        RequestError: the network is cut by hooks, or it has operations without a rule. Besides those of
            ``MODULES``, DeepLIFT supports only affine operations, and guided backprop supports no other
            element-wise functions.
    """
    module = copied(graph_segment(segment, method))
    nodes = list(module.graph.nodes)
    varying, _ = affine_nodes(module.graph, nodes[0])
    for node in nodes:
        if node.target not in MODULES:
            nonlinear = node in varying and node is not nodes[0] and not is_affine(node, varying)
            if nonlinear and is_tensor(node) and (method == "deeplift" or is_elementwise(node)):
                raise no_rule(segment, method, node)
            continue
        source, *how = arguments(node)
        module.add_submodule(f"nonlinear_{node.name}", MODULES[node.target](*how))
        node.op, node.target = "call_module", f"nonlinear_{node.name}"
        node.args, node.kwargs = (source,), {}
    module.recompile()
    return module


def captum_methods() -> Any:
    """Return captum's methods; ``RequestError`` if captum is not installed."""
    require("methods")
    import captum.attr

    return captum.attr


def _gradient(module: nn.Module, x: Tensor, others: tuple[Tensor, ...], samples: int) -> Tensor:
    explainer = captum_methods().Saliency(module)
    return explainer.attribute(x, abs=False, additional_forward_args=others)


def _input_x_gradient(
    module: nn.Module, x: Tensor, others: tuple[Tensor, ...], samples: int
) -> Tensor:
    return captum_methods().InputXGradient(module).attribute(x, additional_forward_args=others)


def _smoothgrad(module: nn.Module, x: Tensor, others: tuple[Tensor, ...], samples: int) -> Tensor:
    """Run SmoothGrad on ``x`` in units of each crop's noise; captum has one noise level for a batch."""
    attr = captum_methods()
    low, high = (pick(x.flatten(1), 1) for pick in (torch.amin, torch.amax))
    unit = (NOISE * (high - low)).clamp_min(1e-12).view(-1, *[1] * (x.ndim - 1))

    def scaled(z: Tensor, unit: Tensor, *others: Tensor) -> Tensor:
        return module(z * unit, *others)

    explainer = attr.NoiseTunnel(attr.Saliency(scaled))
    found = explainer.attribute(
        x / unit,
        nt_type="smoothgrad",
        nt_samples=samples,
        stdevs=1.0,
        abs=False,
        additional_forward_args=(unit, *others),
    )
    return found / unit


def _guided_backprop(
    module: nn.Module, x: Tensor, others: tuple[Tensor, ...], samples: int
) -> Tensor:
    explainer = captum_methods().GuidedBackprop(module)
    return explainer.attribute(x, additional_forward_args=others)


def _gradient_shap(
    module: nn.Module, x: Tensor, others: tuple[Tensor, ...], samples: int
) -> Tensor:
    explainer = captum_methods().GradientShap(module)
    zero = torch.zeros_like(x[:1])
    return explainer.attribute(x, baselines=zero, n_samples=samples, additional_forward_args=others)


def _deeplift(module: nn.Module, x: Tensor, others: tuple[Tensor, ...], samples: int) -> Tensor:
    explainer = captum_methods().DeepLift(module)
    return explainer.attribute(x, torch.zeros_like(x), additional_forward_args=others)


GRADIENT_BASED: dict[str, Explain] = {
    "gradient": _gradient,
    "input_x_gradient": _input_x_gradient,
    "smoothgrad": _smoothgrad,
    "guided_backprop": _guided_backprop,
    "gradient_shap": _gradient_shap,
    "deeplift": _deeplift,
}
NEED_MODULES = frozenset(["guided_backprop", "deeplift"])
"""methods that change the backward pass of modules"""


def measure_of(method: str, seed: int = 0) -> Measure:
    """Return a method of :data:`GRADIENT_BASED` as a measure; N is its number of samples."""
    explain = GRADIENT_BASED[method]
    modules: dict[int, PairsModule] = {}

    def module_of(segment: Segment) -> PairsModule:
        if id(segment) not in modules:
            run = with_modules(segment, method) if method in NEED_MODULES else None
            modules[id(segment)] = PairsModule(segment, run)
        return modules[id(segment)]

    def measure(
        segment: Segment, neurons: Tensor, observed: Observed, steps: int
    ) -> tuple[Tensor, Tensor]:
        module, x = module_of(segment), observed.x
        others = (neurons.to(x.device), *module.others(observed))
        with seeded(seed), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*hooks", category=UserWarning)
            found = explain(module, x.detach().clone().requires_grad_(), others, steps)
        return segment.lower.total(found.detach()), change_of(module, x, others)

    return measure


def ablation(
    segment: Segment, neurons: Tensor, observed: Observed, steps: int
) -> tuple[Tensor, Tensor]:
    """Measure the decrease of ``φ_a`` when one lower neuron is zeroed; N is not used."""
    module, x = PairsModule(segment), observed.x
    others = (neurons.to(x.device), *module.others(observed))
    scores = torch.zeros(len(x), segment.lower.neurons, dtype=x.dtype, device=x.device)
    with torch.no_grad():
        whole = module(x, *others)
        for s in range(segment.lower.neurons):
            without = x.clone()
            without.select(segment.lower.axis, s).zero_()
            scores[:, s] = whole - module(without, *others)
    return scores, change_of(module, x, others)


def change_of(module: PairsModule, x: Tensor, others: Sequence[Tensor]) -> Tensor:
    """Return φ_a(x) − φ_a(0) ``[pair]``, the sum of complete scores."""
    with torch.no_grad():
        return module(x, *others) - module(torch.zeros_like(x), *others)
