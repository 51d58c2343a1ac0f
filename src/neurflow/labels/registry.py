"""A registry of labelers, so that ``neurflow label ask --labeler NAME`` finds those of users.

A labeler is registered in one of two ways:

1. by the decorator ``register``, in a module that the user imports;
2. by an entry point of the group ``neurflow.labelers`` in an installed package, which is imported
   only when its name is used.

What is registered is a factory: it takes options as keyword arguments, all of them strings, and
returns a ``Labeler``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from neurflow.errors import RequestError
from neurflow.labels.labeler import Labeler
from neurflow.runtime.registry import Registry

Factory = Callable[..., Labeler]
F = TypeVar("F", bound=Factory)

LABELERS: Registry[Factory] = Registry("labeler", "neurflow.labelers", direct=True)
"""factories of all labelers, by name"""


def register(name: str) -> Callable[[F], F]:
    """Register a labeler under a name.

    Args:
        name: letters, digits and hyphens.

    Raises:
        RequestError: another labeler has this name.

    Example:
        ::

            from neurflow.labels import LabelAnswer, register


            @register("brightness")
            class Brightness:
                name, source = "brightness", "model"

                def label(self, request):
                    return LabelAnswer(label="bright things")
    """

    def keep(factory: F) -> F:
        LABELERS.add(name, factory, factory)
        return factory

    return keep


def registered() -> tuple[str, ...]:
    """Return the names of all registered labelers, sorted. Nothing is imported."""
    return tuple(sorted(LABELERS))


def labeler_named(name: str, options: Mapping[str, str] | None = None) -> Labeler:
    """Make the labeler that is registered under a name.

    Args:
        name: registered name.
        options: keyword arguments of the factory.

    Raises:
        RequestError: there is no such labeler, its package cannot be imported, or it does not take
            these options.
    """
    factory = LABELERS.named(name)
    try:
        return factory(**(options or {}))
    except TypeError as error:
        raise RequestError(
            f"The labeler {name!r} does not accept these options: {error}. Change them with "
            "--labeler-option KEY=VALUE."
        ) from error
