"""Finds the affine part of a graph, which integrated gradients evaluate only at the two ends."""

from __future__ import annotations

from torch import fx

from neurflow.model.fast.ops import is_affine


def affine_nodes(graph: fx.Graph, x: fx.Node) -> tuple[set[fx.Node], set[fx.Node]]:
    """Return (nodes that vary with ``x``, those of them that are affine in it)."""
    varying, affine = {x}, {x}
    for node in graph.nodes:
        inputs = varying.intersection(node.all_input_nodes)
        if node.op != "call_function" or not inputs:
            continue
        varying.add(node)
        if inputs <= affine and is_affine(node, inputs):
            affine.add(node)
    return varying, affine
