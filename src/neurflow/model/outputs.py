"""The outputs of a network: which tensor has them, and how they become probabilities.

1. The module's return value, including tuples, mappings and dataclasses, is searched for a tensor
   ``[batch, class]``. Squeezed heads ``[batch]`` and maps with one pixel are accepted. A tensor that
   another one is computed from, as gradients show, consists of features. If there are two heads, the
   number of class names decides.
2. If the tensor is the result of a softmax, log-softmax or sigmoid, the values before that are
   explained instead, because a saturated probability hardly changes. ``--output probabilities`` keeps
   the probabilities.
3. A single output ``z`` is read as two classes, ``[-z, z]``, each with its own sigmoid.
4. Probabilities follow from the kind of the outputs (``Outputs.probabilities``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from scipy.special import expit, softmax
from torch import Tensor, nn

from neurflow.errors import ModelError
from neurflow.model.borrowed import borrowed, does_more_than_forward
from neurflow.model.failures import reporting
from neurflow.model.features import Features, made_by
from neurflow.model.returned import Place, as_table, is_table, tensor_at, tensors_in
from neurflow.model.squashes import PERCENT, SCALED, Squashes

Kind = Literal["logits", "sigmoid", "probabilities", "log-probabilities", "values"]
"""``logits`` become probabilities by a softmax, or a sigmoid if there is only one; ``sigmoid`` is for
several labels, each with its own sigmoid; ``values`` are quantities, not classes (a regression),
and have no probabilities; the others are probabilities or their logarithms"""


@dataclass(frozen=True)
class Outputs:
    """How a module's outputs are read.

    Attributes:
        kind: kind of the values ``[batch, class]``.
        place: path to them in the return value of the module.
        before: the final softmax or sigmoid whose input they are; None if they are the output itself.
        single: whether they are two classes made from one output.
        doubtful: whether they may be probabilities.
        multilabel: whether a picture can belong to several classes, or to none.
        besides: paths to other tensors that could be the outputs as well.
        features: why the outputs are features, not classes, if they seem to be.
    """

    kind: Kind = "logits"
    place: Place = ()
    before: str | None = None
    single: bool = False
    doubtful: bool = False
    multilabel: bool = False
    besides: tuple[Place, ...] = ()
    features: Features | None = None

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """Convert outputs ``[…, class]`` to values in 0…1, which sum to 1 if classes are exclusive.

        Quantities have no probabilities: NaN.
        """
        values = values.astype(np.float64)
        if self.kind == "probabilities":
            return values
        if self.kind == "log-probabilities":
            return np.exp(values)
        if self.kind == "values":
            return np.full_like(values, np.nan)
        if self.kind == "sigmoid" or self.single:
            return np.asarray(expit(values))
        return np.asarray(softmax(values, axis=-1))

    def classes(self, values: np.ndarray) -> np.ndarray:
        """Return the predicted classes, from outputs ``[…, class]``.

        In a multilabel network, these are the classes with a probability over 0.5, otherwise the class
        with the largest output (the first of several). For quantities, all entries are true.

        Returns:
            bool ``[…, class]``.
        """
        if self.kind == "values":
            return np.ones(values.shape, dtype=bool)
        if self.multilabel:
            return np.asarray(self.probabilities(values) > 0.5)
        best = np.expand_dims(values.argmax(-1), -1)
        return np.asarray(np.arange(values.shape[-1]) == best)

    def reader(self, module: nn.Module) -> nn.Module:
        """Return a module with the same submodules whose forward returns ``[batch, class]``."""
        reader, whole = nn.Module(), does_more_than_forward(module)
        hooks = {name: value for name, value in vars(reader).items() if "hooks" in name}
        forward = reporting(module if whole else module.forward)
        reader.__dict__.update(module.__dict__ | (hooks if whole else {}))

        def read(images: Tensor) -> Tensor:
            with borrowed(module):
                if self.before is None:
                    return self._classes(tensor_at(forward(images), self.place))
                with Squashes() as seen:
                    value = tensor_at(forward(images), self.place)
                return self._classes(seen.input_of(value))

        reader.forward = read
        return reader

    def _classes(self, value: Tensor) -> Tensor:
        """Return the values ``[batch, class]`` of the tensor that has them."""
        value = as_table(value)
        if not self.single:
            return value
        other = 1 - value if self.kind == "probabilities" else -value
        return torch.cat([other, value], 1)

    def notes(self) -> Iterator[str]:
        """Yield notes for the user."""
        if self.features:
            are = "are" if self.features.certain else "may be"
            read = (
                "Each is read as a quantity, without probabilities. For classes, give the network with "
                "its classifier"
                if self.features.certain
                else "They are read as classes. For features, specify --output values and a number as "
                "the target. For classes, give their names"
            )
            yield f"The outputs {are} features, not classes: {self.features.why}. {read}."
        if self.besides:
            yield (
                f"The network returns {len(self.besides) + 1} tensors of equal width that may be the "
                f"classes. {_place(self.place)} is explained, not "
                f"{', '.join(map(_place, self.besides))}. To choose another, wrap the network in a "
                "module that returns it alone."
            )
        if self.single:
            yield (
                "The network has one output, which is read as two classes: the first below "
                f"{'0.5' if self.kind == 'probabilities' else '0'}, and the second from there on. "
                "If it is a quantity (a regression): --output values."
            )
        if self.before:
            yield (
                f"The network ends in a {self.before}. The values before it are explained; "
                "probabilities are those of the network."
            )
        if self.doubtful:
            yield (
                "The outputs are in 0…1, or have the same sum, for all inputs that were tried, or are "
                "a multiple of a softmax or sigmoid, so they may be probabilities. They are read as "
                "logits. Specify them: --output probabilities, values or logits."
            )
        if self.multilabel:
            yield (
                "Each class is a label with its own probability. "
                "A picture counts for every label of more than 0.5."
            )
        if self.kind in ("probabilities", "log-probabilities"):
            yield (
                f"The outputs are read as {self.kind}. They hardly change near certainty, which makes "
                "attributions small. A network that returns the values before the softmax or sigmoid "
                "is better."
            )


def kind_of(said: str | None) -> Kind | None:
    """Return the kind that a user named; ``ModelError`` if there is no such kind."""
    for kind in get_args(Kind):
        if said == kind:
            return kind
    if said is None:
        return None
    raise ModelError(f"Outputs are {', '.join(get_args(Kind))}, not {said!r}.")


def find_outputs(
    run: Callable[[Tensor], Any], images: Tensor, said: Kind | None, classes: int | None
) -> tuple[Outputs, Tensor]:
    """Find out how to read the outputs of ``run`` on ``images``; return this and their tensor.

    Args:
        run: the module, with gradients to its input.
        images: ``[batch, channel, height, width]`` different images.
        said: kind of the outputs that the user named.
        classes: number of class names, if known.

    Raises:
        ModelError: there are no outputs, several candidates, or the named kind is impossible.
    """
    with Squashes() as seen:
        output = run(images)
    found = list(tensors_in(output))
    if not found:
        raise ModelError(
            f"The model gives an object of type {type(output).__name__}, in which no tensor is found. "
            "Wrap it in a module whose forward returns the logits."
        )
    place, value, besides = _chosen(found, len(images), classes)
    outputs = _read(value, seen.squash_of(value), said)
    return replace(outputs, place=place, besides=besides), value


def _read(value: Tensor, squash: str | None, said: Kind | None) -> Outputs:
    """Return how to read the tensor with the classes, which a softmax or sigmoid may have made."""
    if said == "values":
        return Outputs("values")
    single = as_table(value).shape[1] == 1
    if squash is not None and squash.startswith(SCALED):
        outputs = _read(value, None, said)
        return replace(outputs, doubtful=said is None and outputs.kind == "logits")
    if squash is None:
        kind = _by_values(value.detach(), said)
        doubtful = said is None and kind == "logits" and may_be_probabilities(value.detach())
        shares = kind == "probabilities" and not _adds_up(as_table(value.detach()))
        multilabel = not single and (kind == "sigmoid" or shares)
        return Outputs(kind, (), None, single, doubtful, multilabel)
    if said in ("probabilities", "log-probabilities") and squash.startswith(PERCENT):
        raise ModelError(f"The outputs are percentages, not {said}. Omit --output.")
    if said in ("probabilities", "log-probabilities"):
        kept: Kind = "log-probabilities" if squash.startswith("log-") else "probabilities"
        if single and kept == "log-probabilities":
            raise ModelError(
                "A single output cannot be a log-probability of classes. Give another --output."
            )
        labels = squash.endswith("sigmoid") and not single
        return Outputs(kept, (), None, single, multilabel=labels)
    if not squash.endswith("sigmoid") and (single or said == "sigmoid"):
        raise ModelError(
            f"The network ends in a {squash}, which makes classes exclusive. This does not fit a "
            "single output or --output sigmoid. Remove that layer."
        )
    labels = squash.endswith("sigmoid") and not single
    return Outputs("sigmoid" if labels else "logits", (), squash, single, multilabel=labels)


def _chosen(
    found: list[tuple[Place, Tensor]], batch: int, classes: int | None
) -> tuple[Place, Tensor, tuple[Place, ...]]:
    """Choose the tensor with the classes.

    Returns:
        Its place, the tensor, and the places of other tensors that could be the classes as well.
    """
    tables = [(place, value) for place, value in found if is_table(value, batch)]
    named = [each for each in tables if each[0] and each[0][-1] == "logits"]
    tables = named or [each for each in tables if each[1].ndim > 1] or tables
    if not tables:
        raise ModelError(_no_classes([value for _, value in found], batch))
    if classes is not None and len(tables) > 1:
        fitting = [each for each in tables if as_table(each[1]).shape[1] == classes]
        tables = fitting or tables
    tables = _without_derived(tables)
    last = [each for each in tables if not _feeds_another(each[1], tables)]
    widths = {as_table(value).shape[1] for _, value in last}
    if widths == {1} and len(last) > 1:
        raise ModelError(
            f"The model returns {len(last)} tensors with one output each. Wrap it in a module that "
            "returns one of them, or all in one tensor: torch.cat(outputs, 1)."
        )
    if len(widths) > 1:
        sizes = ", ".join(str(as_table(value).shape[1]) for _, value in last)
        raise ModelError(
            f"The model returns several tensors that may be the classes, with {sizes} values. "
            "Give as many class names as there are classes (--class-names), or wrap it in a module "
            "that returns only the logits."
        )
    main = [each for each in last if not any("aux" in str(key) for key in each[0])] or last
    place, value = main[0]
    equals = [where for where, other in main[1:] if not _related(value, other)]
    return place, value, tuple(equals)


def _no_classes(found: list[Tensor], batch: int) -> str:
    """Return the error for a network without outputs ``[batch, class]``."""
    numbers = [v for v in found if not v.is_floating_point() and v.shape[:1] == (batch,)]
    if numbers and numbers[0].numel() == batch:
        return (
            "The model returns the number of a class for each picture, which has no gradient. "
            "Let it return the values before argmax."
        )
    if any(value.is_complex() for value in found):
        return "The model returns complex numbers. Let it return real numbers, such as .abs()."
    shapes = ", ".join(str(list(value.shape)) for value in found[:4])
    maps = any(value.ndim > 2 and value.is_floating_point() for value in found)
    return (
        f"The model returns no tensor of shape [batch, class]"
        f"{f', but {shapes} for {batch} images' if shapes else ''}. "
        f"{'These are maps or tokens: give the network with its classifier. ' if maps else ''}"
        "Wrap it in a module whose forward returns the logits."
    )


def _place(place: Place) -> str:
    """Return a path in words: ``output['aux']``."""
    return "output" + "".join(f"[{key!r}]" for key in place)


def _related(one: Tensor, other: Tensor) -> bool:
    """Return whether one of two tensors is computed from the other, as probabilities from logits."""
    for made, source in ((one, other), (other, one)):
        if made is source or not (made.requires_grad and source.requires_grad):
            return True
        if (
            torch.autograd.grad(made.sum(), source, retain_graph=True, allow_unused=True)[0]
            is not None
        ):
            return True
    return False


def _without_derived(tables: list[tuple[Place, Tensor]]) -> list[tuple[Place, Tensor]]:
    """Leave out quantities that are computed from outputs of a linear layer, such as a variance."""
    linear = [value for _, value in tables if made_by(value) == "linear"]

    def derived(value: Tensor) -> bool:
        wider = [v for v in linear if as_table(v).shape[1] > as_table(value).shape[1]]
        return made_by(value) != "linear" and any(_related(value, other) for other in wider)

    return [each for each in tables if not derived(each[1])]


def _feeds_another(value: Tensor, tables: list[tuple[Place, Tensor]]) -> bool:
    """Return whether another tensor of a different width is computed from this one."""
    others = [v for _, v in tables if as_table(v).shape[1] != as_table(value).shape[1]]
    others = [other.sum() for other in others if other.requires_grad]
    if not others or not value.requires_grad:
        return False
    found = torch.autograd.grad(others, value, retain_graph=True, allow_unused=True)
    return found[0] is not None


def _by_values(value: Tensor, said: Kind | None) -> Kind:
    """Return the kind of outputs that were not made by a known softmax or sigmoid.

    Softmax outputs sum to 1. Outputs of a sigmoid cannot be distinguished from small logits.
    """
    values = as_table(value).float()
    rounding = _rounding(value)
    within = bool((values >= 0).all() and (values <= 1).all())
    columns = values.shape[1]
    if columns > 1 and within and _adds_up(as_table(value)):
        if said in (None, "probabilities"):
            return "probabilities"
        raise ModelError(
            f"The outputs sum to 1 for every picture, so they are not {said}. Omit --output."
        )
    if columns > 1 and bool((values <= 0).all()) and _all_near(values.exp().sum(1), 1, rounding):
        return "log-probabilities"
    if columns > 1 and bool((values >= 0).all()) and _all_near((-values).exp().sum(1), 1, rounding):
        raise ModelError(
            "The outputs are negative log-probabilities: the smallest is that of the predicted class. "
            "Let the network return the logits, or log-probabilities without the minus sign."
        )
    if said in ("logits", "sigmoid"):
        return said
    if said == "log-probabilities" and columns == 1:
        raise ModelError(
            "A single output cannot be a log-probability of classes. Give another --output."
        )
    if said is not None:
        if said == "probabilities" and not within:
            raise ModelError(
                "Some outputs are not in 0…1, so they are not probabilities. Omit --output, or give "
                "another kind."
            )
        return said
    return "logits"


def may_be_probabilities(value: Tensor) -> bool:
    """Return whether values that look like logits may be probabilities of labels, or percentages.

    They may be if they differ, none is negative, and they are in 0…1 or have equal sums for all images.
    """
    if bool((value < 0).any()) or bool(value.max() == value.min()):
        return False
    sums = as_table(value).float().sum(1)
    alike = as_table(value).shape[1] > 1 and _all_near(sums / sums.mean(), 1, _rounding(value))
    return bool((value <= 1).all()) or alike


def _rounding(value: Tensor) -> float:
    return 1e-2 if value.element_size() < 4 else 1e-4


def _adds_up(value: Tensor) -> bool:
    """Return whether outputs ``[batch, class]`` add up to 1 on every picture."""
    return _all_near(value.float().sum(1), 1, _rounding(value))


def _all_near(values: Tensor, wanted: float, rounding: float) -> bool:
    return bool(((values - wanted).abs() <= rounding).all())
