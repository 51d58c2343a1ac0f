"""What the loaders of the sources of networks (``of_…``) are asked, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neurflow.errors import ModelError
from neurflow.model.preprocessing import Transform

RANDOM, DEFAULT = "random", "DEFAULT"


@dataclass(frozen=True)
class Request:
    """What to load beside the name.

    Attributes:
        weights: a name of the library's own; None for random ones.
        file: file that weights are to be read from afterwards, or None.
        names: class names that were given.
        size: height and width of the input that were given.
        classes_as_text: the classes are texts that pictures are compared with.
    """

    weights: str | None = None
    file: str | None = None
    names: Sequence[str] | None = None
    size: tuple[int, int] | None = None
    classes_as_text: bool = False

    @property
    def classes(self) -> int | None:
        """Number of classes, as far as it is known."""
        return len(self.names) if self.names else None


@dataclass(frozen=True)
class Loaded:
    """A network and what its source knows of it.

    Attributes:
        module: an ``nn.Module``, or a ``Model`` of the user's own making.
        transform: how the source feeds it.
        names: of the classes, in the order of the outputs.
        notes: what the user should know.
        sized: whether the transform is made for the input size that was asked for.
    """

    module: Any
    transform: Transform
    names: Sequence[str] | None = None
    notes: tuple[str, ...] = ()
    sized: bool = False


def imagenet_names() -> Sequence[str]:
    """The thousand classes of ImageNet."""
    from torchvision.models import ResNet18_Weights

    names: Sequence[str] = ResNet18_Weights.DEFAULT.meta["categories"]
    return names


def no_download(name: str, error: Exception) -> ModelError:
    """Weights that cannot be had."""
    reason = str(error).strip().splitlines()
    return ModelError(
        f"The weights of {name} could not be fetched ({reason[0] if reason else 'no reason given'}). "
        "Without a network give a file: --weights PATH, or --weights random."
    )
