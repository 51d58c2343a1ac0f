"""``onnx:FILE``: a network saved as ONNX, converted to PyTorch.

Its layers are the nodes of the graph. The input size is taken from the file if it is fixed there.
"""

from __future__ import annotations

from typing import Any

from neurflow.errors import ModelError
from neurflow.model.preprocessing import Preprocessing
from neurflow.model.source import DEFAULT, Loaded, Request
from neurflow.runtime.extras import require
from neurflow.runtime.paths import expanded


def load(name: str, request: Request) -> Loaded:
    """Convert the network in a file.

    Raises:
        ModelError: the converter is not installed, or cannot read or convert the file.
    """
    require("onnx")
    import onnx
    from onnx2torch import convert

    if request.weights not in (None, DEFAULT):
        raise ModelError(
            f"An ONNX file contains its weights, so {request.weights!r} cannot be given. "
            "Omit --weights."
        )
    path = expanded(name)
    if not path.is_file():
        raise ModelError(f"There is no ONNX file {name!r}. Check the path: onnx:FILE")
    try:
        known = onnx.load(str(path))
        module = convert(_without_copies(known))
    except Exception as error:  # parser and converter raise many kinds of error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{path} cannot be converted to PyTorch: {type(error).__name__}: {reason}. "
            "Give the PyTorch network that it was exported from: file:module.py:factory."
        ) from None
    size = _input_size(known)
    notes = () if size else ("The file does not fix the size of its input, so 224 × 224 is used.",)
    crop = size or (224, 224)
    return Loaded(module, Preprocessing(resize=None, crop=crop), notes=notes)


def _without_copies(network: Any) -> Any:
    """Replace nodes that only copy weights by these weights.

    Exporters write equal weights once, which the converter does not support.
    """
    from onnx import TensorProto

    graph = network.graph
    weights = {each.name: each for each in graph.initializer}
    copies = [n for n in graph.node if n.op_type == "Identity" and n.input[0] in weights]
    for node in copies:
        own = TensorProto()
        own.CopyFrom(weights[node.input[0]])
        own.name = node.output[0]
        graph.initializer.append(own)
        weights[own.name] = own
        graph.node.remove(node)
    return network


def _input_size(known: Any) -> tuple[int, int] | None:
    """Return height and width of the first input with four axes that is not a weight."""
    weights = {each.name for each in known.graph.initializer}
    inputs = [each for each in known.graph.input if each.name not in weights]
    shape = [axis.dim_value for axis in inputs[0].type.tensor_type.shape.dim] if inputs else []
    return (shape[2], shape[3]) if len(shape) == 4 and shape[2] and shape[3] else None
