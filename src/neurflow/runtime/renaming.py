"""Former names of public keywords and attributes, which still work for one release."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


def former_keywords(
    **new_names: str,
) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """Let a function accept keywords by their former names, with a ``DeprecationWarning``.

    Args:
        new_names: former keyword → present name.
    """

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        @functools.wraps(function)
        def wrapper(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            for old in new_names.keys() & kwargs.keys():
                _warn(old, new_names[old])
                kwargs.setdefault(new_names[old], kwargs.pop(old))
            return function(*args, **kwargs)

        return wrapper

    return decorate


class FormerName(property):
    """A read-only attribute that returns another one, with a ``DeprecationWarning``.

    Args:
        new: present name of the attribute.
    """

    def __init__(self, new: str) -> None:
        super().__init__(self._read)
        self._new = new

    def __set_name__(self, owner: type, name: str) -> None:
        self._old = name

    def _read(self, instance: object) -> Any:
        _warn(self._old, self._new)
        return getattr(instance, self._new)


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old!r} is now called {new!r}.", DeprecationWarning, stacklevel=3)
