"""A registry of labelers, so that ``neurflow label ask --labeler NAME`` finds those of users.

A labeler is registered in one of two ways:

1. by the decorator ``register``, in a module that the user imports;
2. by an entry point of the group ``neurflow.labelers`` in an installed package, which is imported
   only when its name is used.

Each entry is a factory. It takes options as keyword arguments, all of them text, and returns a
``Labeler``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import TypeVar

from neurflow.errors import RequestError, near
from neurflow.labels.labeler import Labeler

GROUP = "neurflow.labelers"
"""group of entry points"""

Factory = Callable[..., Labeler]
F = TypeVar("F", bound=Factory)

_REGISTERED: dict[str, Factory] = {}


def register(name: str) -> Callable[[F], F]:
    """Register a labeler under a name.

    Args:
        name: letters, digits, hyphens.

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
        if _REGISTERED.get(name, factory) is not factory:
            raise RequestError(f"Another labeler is registered as {name!r}. Choose another name.")
        _REGISTERED[name] = factory
        return factory

    return keep


def registered() -> tuple[str, ...]:
    """Names of all registered labelers, sorted; nothing is imported."""
    return tuple(sorted({*_REGISTERED, *entry_points(group=GROUP).names}))


def labeler_named(name: str, options: Mapping[str, str] | None = None) -> Labeler:
    """Make the labeler that is registered under a name.

    Args:
        name: as registered.
        options: keyword arguments of the factory.

    Raises:
        RequestError: there is no such labeler, its package cannot be imported, or it does not take
            these options.
    """
    factory = _REGISTERED.get(name) or _from_entry_point(name)
    try:
        return factory(**(options or {}))
    except TypeError as error:
        raise RequestError(
            f"The labeler {name!r} does not take these options: {error}. Give others with "
            "--labeler-option KEY=VALUE."
        ) from error


def _from_entry_point(name: str) -> Factory:
    found = entry_points(group=GROUP, name=name)
    if not found:
        known = registered()
        raise RequestError(
            f"There is no labeler {name!r}.{near(name, known)} Register one with "
            f"neurflow.labels.register, or as an entry point of the group {GROUP}."
        )
    try:
        factory: Factory = next(iter(found)).load()
    except Exception as error:  # whatever a foreign package raises on import
        raise RequestError(
            f"The labeler {name!r} cannot be imported: {type(error).__name__}: {error}."
        ) from error
    return factory
