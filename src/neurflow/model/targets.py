"""Parses targets.

1. An integer of any type (Python, NumPy, a tensor with one value) is the index of a class.
2. The exact name of a class is that class.
3. ``LAYER/NEURON`` is a neuron inside the network.
4. Other text is a class or ``CLASS-CLASS``, as parsed by ``neurflow.model.naming``. Digits are the name
   of a class if there is one with that name, and otherwise its index.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from torch import Tensor

from neurflow.errors import TargetError
from neurflow.model.naming import ClassNames
from neurflow.model.network.protocols import Network
from neurflow.refs import Target


def target_of(given: Any, names: ClassNames, network: Network) -> Target:
    """Parse a target.

    Raises:
        TargetError: it matches no class or neuron, or several, or subtracts a class from itself.
    """
    if isinstance(given, Target):
        return given
    logits = network.output_name
    index = _integer(given)
    if index is not None:
        if not 0 <= index < len(names):
            raise TargetError(f"There is no class {index}: classes are 0 to {len(names) - 1}.")
        return Target(layer=logits, neuron=index, name=names.all[index])
    text = str(given).strip()
    layer, _, neuron = text.rpartition("/")
    is_number = neuron.isascii() and neuron.isdigit()
    if is_number and layer in network.layers and text not in names.all:
        return _neuron(layer, neuron, network.layers[layer].neurons)
    plus, minus = names.target(text)
    name = names.all[plus] if minus is None else f"{names.all[plus]} - {names.all[minus]}"
    return Target(layer=logits, neuron=plus, minus=minus, name=name)


def _neuron(layer: str, digits: str, count: int) -> Target:
    number = int(digits) if len(digits) < 10 else count
    if number >= count:
        raise TargetError(f"Layer {layer!r} has neurons 0 to {count - 1}, not {digits:.20}.")
    return Target(layer=layer, neuron=number, name=f"{layer}/{digits}")


def _integer(given: Any) -> int | None:
    """Return the index given by an integer of any type; None for anything else."""
    if isinstance(given, Tensor | np.ndarray) and math.prod(given.shape) == 1:
        given = given.item()
    if isinstance(given, bool | np.bool | Tensor | np.ndarray):
        return None
    try:
        return operator.index(given)
    except TypeError:
        return None
