"""Load weights from a file into a network, including files that wrap a state dict.

1. The file is read by its kind (``weight_files``), without running code.
2. Of the mappings of tensors in it, at any depth (``state_dict``, ``model_state_dict``, ``ema``, …),
   the one that fits best is used. Averaged weights are preferred to the weights themselves,
   because such training reports the accuracy of the average.
3. Names are adapted to those of the network (``rewriting``): what wrappers insert into them
   (``module.``, ``model.``, ``_orig_mod.``, …) is removed or added. Weights that pruning,
   weight norm or spectral norm stores in parts are computed from the parts.
4. Everything must fit: no missing or unexpected names, and equal shapes. A note says what was done.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neurflow.errors import ModelError
from neurflow.model.rewriting import COUNTER, is_average, rewriting
from neurflow.model.weight_files import read_weights

State = dict[str, Tensor]
WRAPPERS = re.compile(r"_orig_mod\.|_checkpoint_wrapped_module\.|_fsdp_wrapped_module\.")
"""inserted into names by wrappers of a submodule: ``torch.compile``, activation checkpoints, FSDP"""
PARTS = (
    ("{}_orig", "{}_mask", "pruning"),
    ("{}_g", "{}_v", "weight norm"),
    ("parametrizations.{}.original0", "parametrizations.{}.original1", "weight norm"),
)
"""names of the two parts of a split weight, and what splits it"""
SPECTRAL = (
    ("{}_orig", "{}_u", "{}_v"),
    ("parametrizations.{}.original", "parametrizations.{}.0._u", "parametrizations.{}.0._v"),
)
"""names of a weight under spectral norm, and of its two singular vectors"""
ADAPTERS = re.compile(r"(?:^|\.)(?:lora|ia3|adapter|vera|hada|lokr)_\w+(?:\.|$)")
"""names of weights that are added to others: low-rank adapters"""
DEPTH = 6
"""depth to which containers are searched"""
SEVERAL = 16
"""number of entries of a list that are searched for weights"""


def load_weights(module: nn.Module, path: Path) -> tuple[str, ...]:
    """Load a file of weights into ``module``, strictly; return notes on renamed or selected weights.

    Raises:
        ModelError: the file has no weights, is damaged, or belongs to another network.
    """
    wanted = {k: v for k, v in module.state_dict().items() if isinstance(v, Tensor)}
    fits = [
        _Fit.best(name, state, wanted) for name, state in _mappings(read_weights(path)) if state
    ]
    if not fits:
        raise ModelError(
            f"{path} is not a state dict: a mapping from names to tensors is needed. "
            "Save one: torch.save(model.state_dict(), PATH)."
        )
    best = max(fits, key=lambda fit: (fit.count, fit.averaged, len(fit.state)))
    _refuse_adapters(path, best, wanted)
    _refuse_misfit(path, module, best, wanted)
    _refuse_rivals(path, best)
    others = [fit.where for fit in fits if fit is not best and fit.count == best.count]
    best = best.without(best.state.keys() - wanted.keys())
    _refuse_others(path, best.state, wanted)
    module.load_state_dict(best.state, strict=False)
    return tuple(best.notes(path, others))


@dataclass(frozen=True)
class _Fit:
    """A state dict from a checkpoint, with its names adapted to the network.

    Attributes:
        where: names of the containers that it was in.
        state: name → tensor.
        count: number of the network's names that it has in the right shape.
        renamed: what was changed in its names, in words.
        rivals: two of its names that fit one of the network's, with different values.
        unwrapped: text that wrappers had inserted into its names, and that was removed.
        joined: what had split some of its weights into parts: pruning or weight norm.
        left_out: names that the network does not have.
    """

    where: str
    state: State
    count: int
    renamed: str = ""
    rivals: tuple[str, ...] = ()
    unwrapped: str = ""
    joined: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def averaged(self) -> bool:
        """Whether it is an average over training."""
        return is_average(self.where)

    @classmethod
    def best(cls, where: str, state: State, wanted: Mapping[str, Tensor]) -> _Fit:
        """Return the same tensors with the names of the network; unchanged if these fit as well."""
        tried = [cls(where, state, _fitting(state, wanted))]
        plain, unwrapped = _unwrapped(state)
        whole, joined = _whole(plain)
        for more, inside, parts in (
            (state, "", ""),
            (plain, unwrapped, ""),
            (whole, unwrapped, joined),
        ):
            if tried[0].count < len(wanted) and (inside or parts or more is state):
                fit = cls.of(where, more, wanted)
                tried.append(replace(fit, unwrapped=inside, joined=parts))
        return max(tried, key=lambda fit: fit.count)

    @classmethod
    def of(cls, where: str, state: State, wanted: Mapping[str, Tensor]) -> _Fit:
        """Return the tensors with their names rewritten; those that fit nowhere keep their names."""
        found = rewriting(state, wanted)
        named = {name: state[old] for name, old in found.names.items()}
        used, changed = {*found.names.values()}, bool(found.note())
        for old in (name for name in state if name not in used):
            ends = [old.split(".", n)[n] for n in range(old.count(".") + 1)] if changed else [old]
            name = next((end for end in ends if end in wanted and end not in named), old)
            if name not in named:
                named[name] = state[old]
        count = _fitting(named, wanted)
        return cls(where, named, count, found.note(), found.rivals)

    def without(self, names: Iterable[str]) -> _Fit:
        """Return the same state dict without some tensors, which the network does not have."""
        out = sorted(names)
        state = {name: value for name, value in self.state.items() if name not in out}
        return replace(self, state=state, left_out=(*out, *self.left_out))

    def notes(self, path: Path, others: list[str]) -> Iterator[str]:
        """Yield notes on what was done, one line each."""
        if self.where:
            also = f"; the file also has {', '.join(map(repr, others))}" if others else ""
            yield f"Weights of {path.name}: those under {self.where!r} are used{also}."
        if self.unwrapped:
            yield f"Weights of {path.name}: {self.unwrapped!r} was removed from names."
        if self.renamed:
            yield f"Weights of {path.name}: {self.renamed}."
        if self.joined:
            yield f"Weights of {path.name}: weights that {self.joined} had split were put together."
        if self.left_out:
            yield (
                f"Weights of {path.name}: {len(self.left_out)} are left out, such as "
                f"{self.left_out[0]}, because the network does not have them."
            )


def _fitting(state: State, wanted: Mapping[str, Tensor]) -> int:
    return sum(k in wanted and wanted[k].shape == v.shape for k, v in state.items())


def _unwrapped(state: State) -> tuple[State, str]:
    """Remove what wrappers insert into names; return the tensors and the removed text."""
    found = sorted({word for key in state for word in WRAPPERS.findall(key)})
    return {WRAPPERS.sub("", key): v for key, v in state.items()}, "".join(found)


def _whole(state: State) -> tuple[State, str]:
    """Compute split weights from their parts; return the tensors and what had split them."""
    made, why = dict(state), ""
    for first, second, what in PARTS:
        ends = re.compile(rf"(.*?){re.escape(first).replace(re.escape('{}'), '(weight|bias)')}")
        for key in state:
            found = ends.fullmatch(key)
            other = found and found[1] + second.format(found[2])
            if found and other in state:
                with contextlib.suppress(RuntimeError, IndexError):  # parts that do not fit stay
                    one, two = state[key], state[other]
                    whole = one * two if what == "pruning" else _scaled(two, one)
                    made[found[1] + found[2]], why = whole, what
                    del made[key], made[other]
    for names in SPECTRAL:
        ends = re.compile(rf"(.*?){re.escape(names[0]).replace(re.escape('{}'), '(weight)')}")
        for found in filter(None, map(ends.fullmatch, state)):
            keys = [found[1] + name.format(found[2]) for name in names]
            if all(key in made for key in keys):
                with contextlib.suppress(RuntimeError):
                    made[found[1] + found[2]] = _normed(*(state[key] for key in keys))
                    why = "spectral norm"
                    for key in keys:
                        del made[key]
    return made, why


def _scaled(direction: Tensor, length: Tensor) -> Tensor:
    """Combine the direction and the length of a weight norm; the length has size 1 on reduced axes."""
    axes = [axis for axis, size in enumerate(length.shape) if size == 1]
    return direction * (length / direction.square().sum(dim=axes, keepdim=True).sqrt())


def _normed(weight: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Divide a weight by its largest singular value, given the singular vectors."""
    flat = weight.flatten(1) if weight.shape[0] == len(left) else weight.transpose(0, 1).flatten(1)
    return weight / torch.dot(left, flat @ right)


def _refuse_adapters(path: Path, fit: _Fit, wanted: Mapping[str, Tensor]) -> None:
    """Refuse weights to which adapters must be added first."""
    found = sorted(name for name in fit.state.keys() - wanted.keys() if ADAPTERS.search(name))
    if found:
        raise ModelError(
            f"{path} has adapters that are not merged into the weights, such as {found[0]}. Save the "
            "state dict after merging them (peft: model.merge_and_unload())."
        )


def _refuse_misfit(path: Path, module: nn.Module, fit: _Fit, wanted: Mapping[str, Tensor]) -> None:
    missing = sorted(k for k in wanted.keys() - fit.state.keys() if not k.endswith(COUNTER))
    extra = sorted(fit.state.keys() - wanted.keys())
    shared = wanted.keys() & fit.state.keys()
    wrong = sorted(k for k in shared if wanted[k].shape != fit.state[k].shape)
    if not (missing or wrong):
        return
    examples = [f"missing {missing[0]}"] if missing else []
    examples += [f"unexpected {extra[0]}"] if extra else []
    if wrong:
        inside, outside = list(fit.state[wrong[0]].shape), list(wanted[wrong[0]].shape)
        examples.append(f"{wrong[0]} is {inside} in the file and {outside} in the network")
    raise ModelError(
        f"The weights in {path} do not fit {type(module).__name__}: {len(missing)} missing, "
        f"{len(extra)} unexpected, {len(wrong)} of another shape ({'; '.join(examples)}). "
        f"{_of_part(path) or _cure(missing, extra, wrong, fit, wanted)}"
    )


def _refuse_rivals(path: Path, fit: _Fit) -> None:
    """Refuse weights of which several copies fit, as those of a student and its teacher."""
    if not fit.rivals:
        return
    one, two = fit.rivals
    off = one[: len(one) - len(_common_end(one, two))]
    raise ModelError(
        f"{path} has several weights that fit, such as {one} and {two}. Save those that you want: "
        f"{{name: value for name, value in state_dict.items() if name.startswith({off!r})}}"
    )


def _common_end(one: str, other: str) -> str:
    """Return the common ending of two names, from a dot on."""
    while one and not (other == one or other.endswith(f".{one}")):
        one = one.partition(".")[2]
    return one


def _refuse_others(path: Path, state: State, wanted: Mapping[str, Tensor]) -> None:
    """Refuse values that cannot be loaded as weights in floating point."""
    for name, value in state.items():
        integers = not (value.is_floating_point() or value.is_complex() or value.is_quantized)
        if integers and wanted[name].is_floating_point() and name.endswith(("weight", "bias")):
            raise ModelError(
                f"{path} holds integers ({str(value.dtype).removeprefix('torch.')}) as {name}, where "
                "the network has floating point. Save the weights from before quantisation."
            )
    kinds: dict[str, Callable[[Tensor], bool]] = {
        "quantised values": lambda value: value.is_quantized,
        "complex values": torch.is_complex,
        "sparse values": lambda value: value.layout != torch.strided,
        "only the shapes of weights (on the meta device)": lambda value: value.is_meta,
    }
    for name, value in state.items():
        for kind, has in kinds.items():
            if has(value):
                raise ModelError(
                    f"{path} holds {kind}, as in {name}. Save dense weights in floating point."
                )


def _of_part(path: Path) -> str:
    """Return what to do with one of several files of a model; "" for any other file."""
    found = re.search(r"-(\d+)-of-(\d+)\.(safetensors|bin)$", path.name)
    if not found:
        return ""
    index = f"{path.name[: found.start()]}.{found[3]}.index.json"
    return f"This is part {int(found[1])} of {int(found[2])}. Give the index of all: {index}"


def _cure(
    missing: list[str], extra: list[str], wrong: list[str], fit: _Fit, wanted: Mapping[str, Tensor]
) -> str:
    if any(name.endswith(("zero_point", "_packed_params.dtype")) for name in extra):
        return "The network in the file is quantised. Save the weights from before quantisation."
    heads = [k for k in wrong if fit.state[k].shape[1:] == wanted[k].shape[1:]]
    if wrong and not missing and not extra and heads == wrong and len(wrong) <= 2:
        inside, outside = fit.state[wrong[0]].shape[0], wanted[wrong[0]].shape[0]
        return (
            f"Its last layer has {inside} outputs where the network has {outside}: "
            f"give {inside} class names (--class-names)."
        )
    if fit.count and fit.count >= 0.8 * len(wanted):
        return (
            "Nearly all weights fit, so a part of the network was probably replaced, usually the head. "
            "Build the network as it was trained in a file, and give --model file:module.py:factory."
        )
    return "Check that they belong to this architecture and number of classes."


def _mappings(value: Any) -> Iterator[tuple[str, State]]:
    """Yield (place, tensors by name) of all mappings with tensors in a checkpoint, outer ones first."""
    seen: set[int] = set()

    def within(value: Any, where: tuple[str, ...]) -> Iterator[tuple[str, State]]:
        optimiser = bool(where) and where[-1].startswith("optim")
        if optimiser or len(where) > DEPTH or id(value) in seen:
            return
        if isinstance(value, list | tuple):
            named = all(
                isinstance(v, tuple) and len(v) == 2 and isinstance(v[0], str) for v in value
            )
            value = dict(value) if named else dict(enumerate(value[:SEVERAL]))
        if not isinstance(value, Mapping):
            return
        if "param_groups" in value:  # an optimiser's state
            return
        seen.add(id(value))
        values = {str(k): torch.from_numpy(v) if _numbers(v) else v for k, v in value.items()}
        yield ".".join(where), {k: v for k, v in values.items() if isinstance(v, Tensor)}
        for key, inner in values.items():
            yield from within(inner, (*where, key))

    return within(value, ())


def _numbers(value: Any) -> bool:
    """Return whether a value is a NumPy array that can be a weight."""
    return isinstance(value, np.ndarray) and value.dtype.isnative and value.dtype.char in "efd"
