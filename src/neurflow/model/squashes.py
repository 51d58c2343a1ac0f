"""Finds the softmax or sigmoid that a network ends in, and the values before it.

A *squash* is a softmax, a sigmoid, or the logarithm of one. While the network runs, ``Squashes``
intercepts the functions of torch. It recognises the result of a squash also after reshapes, a clamp to
just inside 0…1, a factor of 100, a logarithm or exponential, and the choice of one of two
probabilities.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

SOFTMAX = {torch.softmax, Tensor.softmax, functional.softmax}
LOG_SOFTMAX = {torch.log_softmax, Tensor.log_softmax, functional.log_softmax}
IN_PLACE = {torch.sigmoid_, Tensor.sigmoid_}
SIGMOID = {torch.sigmoid, Tensor.sigmoid, functional.sigmoid, torch.special.expit, *IN_PLACE}
LOG_SIGMOID = {functional.logsigmoid}
SQUASHES: dict[Any, str] = {
    **dict.fromkeys(SOFTMAX, "softmax"),
    **dict.fromkeys(LOG_SOFTMAX, "log-softmax"),
    **dict.fromkeys(SIGMOID, "sigmoid"),
    **dict.fromkeys(LOG_SIGMOID, "log-sigmoid"),
}
LOG, EXP = {torch.log, Tensor.log}, {torch.exp, Tensor.exp}
AFTER = {
    **{("softmax", func): "log-softmax" for func in LOG},
    **{("sigmoid", func): "log-sigmoid" for func in LOG},
    **{("log-softmax", func): "softmax" for func in EXP},
    **{("log-sigmoid", func): "sigmoid" for func in EXP},
}
"""(squash, function of its result) → the squash that both together are"""
TIMES = {torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, Tensor.mul_, Tensor.__imul__}
PERCENT = "100-fold "
"""prefix of the name of a softmax or sigmoid whose result is multiplied by 100"""
SCALED = "scaled "
"""the same for other factors"""
CLAMPS = {torch.clamp, Tensor.clamp, torch.clip, Tensor.clip}
CLAMPED = 1e-3
"""largest distance from 0 and 1 of the bounds of a clamp that only avoids exactly 0 and 1"""
ONE_OF_TWO = "softmax over two classes, which is a sigmoid"
"""the squash of one of two probabilities"""
RESHAPES = {
    *(torch.squeeze, Tensor.squeeze, torch.flatten, Tensor.flatten, torch.reshape, Tensor.reshape),
    *(
        Tensor.view,
        Tensor.contiguous,
        Tensor.float,
        Tensor.clone,
        torch.unsqueeze,
        Tensor.unsqueeze,
    ),
}


class Squashes(TorchFunctionMode):
    """Records the input of each squash, and follows its result through later operations."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[int, tuple[Tensor, Tensor, str]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run a function and record its input."""
        kwargs = kwargs or {}
        source = args[0] if args else kwargs.get("input")
        if func in IN_PLACE and isinstance(source, Tensor):
            source = source.clone()
        made = func(*args, **kwargs)
        if func in SQUASHES:
            self._seen[id(made)] = (made, source, SQUASHES[func])
        elif id(source) in self._seen:
            _, before, name = self._seen[id(source)]
            if func in RESHAPES:
                self._seen[id(made)] = (made, func(before, *args[1:], **kwargs), name)
            elif func in CLAMPS and name in ("softmax", "sigmoid") and _barely_clamps(args, kwargs):
                self._seen[id(made)] = (made, before, name)
            elif func in TIMES and name in ("softmax", "sigmoid"):
                self._seen[id(made)] = (made, before, _times(args, kwargs) + name)
            elif (name, func) in AFTER:
                self._seen[id(made)] = (made, before, AFTER[name, func])
            elif func is Tensor.__getitem__ and _picks_one_of_two(made, before, name):
                other = func(before.flip(1), *args[1:])
                self._seen[id(made)] = (made, func(before, *args[1:]) - other, ONE_OF_TWO)
        return made

    def squash_of(self, value: Tensor) -> str | None:
        """Return the softmax or sigmoid that made a tensor, or None."""
        found = self._seen.get(id(value))
        return found[2] if found else None

    def input_of(self, value: Tensor) -> Tensor:
        """Return the input of the softmax or sigmoid that made a tensor."""
        return self._seen[id(value)][1]


def _times(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return the prefix of a product: a factor of 100 makes percentages."""
    factor = args[1] if len(args) > 1 else kwargs.get("other")
    return PERCENT if isinstance(factor, int | float) and factor == 100 else SCALED


def _barely_clamps(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return whether each bound of a clamp is close to 0 or 1, or missing."""
    named = dict(zip(("min", "max"), args[1:], strict=False)) | kwargs
    low, high = named.get("min"), named.get("max")
    numbers = all(each is None or isinstance(each, int | float) for each in (low, high))
    return numbers and (low or 0) <= CLAMPED and (1 if high is None else high) >= 1 - CLAMPED


def _picks_one_of_two(made: Tensor, before: Tensor, name: str) -> bool:
    """Return whether a tensor is one column of a softmax over two classes."""
    two = name == "softmax" and before.ndim == 2 and before.shape[1] == 2
    return two and made[:1].numel() == 1
