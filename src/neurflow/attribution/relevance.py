"""Layer-wise relevance propagation with the ε rule (Bach et al. 2015), computed by zennit.

The relevance of ``φ_a`` goes back through the segment. Each affine operation divides it among its
inputs in proportion to what they contribute to each output. Activation functions pass it on unchanged,
and max pooling gives it to the largest input. A batch norm is one operation with the convolution
before it.

zennit attaches its rules to modules. A cut graph has no modules, so :class:`RuledGraph` makes them.
Scores do not add up to ``φ_a``: the contributions of biases and of values that bypass the lower layer
are not assigned to any neuron.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from neurflow.attribution.gradient_based import PairsModule, change_of
from neurflow.attribution.graphs import copied, graph_segment, no_rule
from neurflow.errors import RequestError
from neurflow.model.cut.segment import GraphSegment
from neurflow.model.fast.affine import affine_nodes
from neurflow.model.fast.ops import is_affine, is_elementwise
from neurflow.model.network.graph import aten, is_tensor
from neurflow.model.network.protocols import Segment
from neurflow.runtime.extras import require
from neurflow.study.features import Observed

BATCH_NORM = aten._native_batch_norm_legit_no_training.default
JOINS = frozenset([aten.cat.default, aten.stack.default])
"""operations of several tensors that only rearrange values"""


class Operation(nn.Module):
    """Functions of one tensor, one after the other, as a module that zennit can attach a rule to."""

    def __init__(self, *functions: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.functions = functions

    def forward(self, value: Tensor) -> Tensor:
        """Apply the functions."""
        for function in self.functions:
            value = function(value)
        return value


class RuledGraph:
    """A copy of a segment's graph whose operations are modules with rules."""

    def __init__(self, segment: GraphSegment) -> None:
        self._segment, self.module = segment, copied(segment)
        self._graph = self.module.graph
        self._varying, _ = affine_nodes(self._graph, next(iter(self._graph.nodes)))
        self._affine: dict[fx.Node, Operation] = {}

    def attach(self) -> fx.GraphModule:
        """Attach a rule to each operation that computes new values.

        Raises:
            RequestError: an operation has no rule.
        """
        for node in list(self._graph.nodes):
            if node.op == "call_function" and node in self._varying:
                self._attach(node)
        self._graph.eliminate_dead_code()
        self.module.recompile()
        return self.module

    def _attach(self, node: fx.Node) -> None:
        from zennit.rules import Norm, Pass

        inputs = [source for source in node.all_input_nodes if source in self._varying]
        if node.target is aten.max_pool2d.default or node.target in JOINS:
            return  # the gradient is the rule
        if node.target is aten.add.Tensor and len(node.all_input_nodes) == 2 and not node.kwargs:
            with self._graph.inserting_before(node):
                terms = self._graph.call_function(torch.broadcast_tensors, node.args)
                stacked = self._graph.call_function(torch.stack, (terms,))
            self._become(node, stacked, Operation(lambda value: value.sum(0)), Norm())
        elif len(inputs) > 1:
            raise self._no_rule(node)
        elif node.target is BATCH_NORM:
            self._merge(node, inputs[0], Norm())
        elif is_elementwise(node):
            self._become(node, inputs[0], Operation(self._bound(node, inputs[0])), Pass())
        elif not is_affine(node, self._varying):
            raise self._no_rule(node)
        elif is_tensor(node) and all(map(is_tensor, node.all_input_nodes)):
            operation = Operation(self._bound(node, inputs[0]))
            self._affine[node] = operation
            self._become(node, inputs[0], operation, Norm())

    def _merge(self, norm: fx.Node, source: fx.Node, rule: Any) -> None:
        """Merge a batch norm with the affine operation before it."""
        normalise = self._bound(norm, source)
        functions: tuple[Callable[[Tensor], Tensor], ...] = (lambda value: normalise(value)[0],)
        earlier = self._affine.get(source)
        if earlier is not None and len(source.users) == 1:
            functions = earlier.functions + functions
            (source,) = source.all_input_nodes
        for user in list(norm.users):
            if user.target is operator.getitem:
                self._become(user, source, Operation(*functions), rule)

    def _become(self, node: fx.Node, source: fx.Node, operation: Operation, rule: Any) -> None:
        """Replace a call of a function by a call of a module with a rule."""
        rule.register(operation)
        self.module.add_submodule(f"ruled_{node.name}", operation)
        node.op, node.target = "call_module", f"ruled_{node.name}"
        node.args, node.kwargs = (source,), {}

    def _bound(self, node: fx.Node, source: fx.Node) -> Callable[[Tensor], Any]:
        """Return the node's function of ``source`` alone; its other inputs must be parameters."""
        others = [other for other in node.all_input_nodes if other is not source]
        if any(other.op != "get_attr" for other in others):
            raise self._no_rule(node)
        values = {other: getattr(self.module, str(other.target)) for other in others}
        call: Any = node.target
        args, kwargs = node.args, node.kwargs

        def function(value: Tensor) -> Any:
            given = values | {source: value}
            return call(*fx.map_arg(args, given.get), **fx.map_arg(kwargs, given.get))

        return function

    def _no_rule(self, node: fx.Node) -> RequestError:
        return no_rule(self._segment, "lrp", node)


def with_rules(segment: Segment) -> nn.Module:
    """Return the segment with a rule at each operation.

    Raises:
        RequestError: an optional package is missing, the network is cut by hooks, or an operation has
            no rule.
    """
    require("methods")
    return RuledGraph(graph_segment(segment, "lrp")).attach()


class Relevance:
    """LRP as a :data:`~neurflow.attribution.streaming.Measure`; N is not used."""

    def __init__(self) -> None:
        self._modules: dict[int, nn.Module] = {}

    def __call__(
        self, segment: Segment, neurons: Tensor, observed: Observed, steps: int
    ) -> tuple[Tensor, Tensor]:
        """Return relevance ``[pair, lower neuron]`` and change of ``φ_a`` ``[pair]``."""
        if id(segment) not in self._modules:
            self._modules[id(segment)] = with_rules(segment)
        plain, neurons = PairsModule(segment), neurons.to(observed.x.device)
        x = observed.x.detach().clone().requires_grad_()
        with torch.enable_grad():
            output = self._modules[id(segment)](x, len(x), *observed.bypass)
            pooled = segment.upper.pool(output).gather(1, neurons[:, None])
            (shares,) = torch.autograd.grad(pooled.sum(), output, retain_graph=True)
            (relevance,) = torch.autograd.grad(output, x, output.detach() * shares)
        return segment.lower.total(relevance), change_of(
            plain, x, (neurons, *plain.others(observed))
        )
