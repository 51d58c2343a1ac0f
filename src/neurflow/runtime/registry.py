"""Registries, to which users add by a decorator in their own module or by an entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from neurflow.errors import RequestError, near

Item = TypeVar("Item")


class Registry(Mapping[str, Item], Generic[Item]):
    """Items by name, those of this package first.

    An unknown name is looked up among the entry points of ``group``. An entry point has the name of the
    item and refers to the module that registers it; only that module is imported.

    Args:
        what: name of an item in messages.
        group: group of entry points.
        direct: whether an entry point may also refer to the item itself.
    """

    def __init__(self, what: str, group: str, *, direct: bool = False) -> None:
        self.what, self.group, self.direct = what, group, direct
        self._items: dict[str, Item] = {}
        self._homes: dict[str, tuple[str, str]] = {}

    def add(self, name: str, item: Item, function: Callable[..., Any]) -> None:
        """Register an item that ``function`` implements; running its module again replaces it.

        Raises:
            RequestError: another function has registered this name.
        """
        home = function.__module__, function.__qualname__
        if self._homes.get(name, home) != home:
            raise RequestError(
                f"Another {self.what} is registered as {name!r}. Choose another name."
            )
        self._items[name], self._homes[name] = item, home

    def named(self, name: str) -> Item:
        """Return the item with this name.

        Raises:
            RequestError: there is none, or the module that registers it cannot be imported.
        """
        if name not in self._items:
            self._import(name)
        if name not in self._items:
            known = f"Known: {', '.join(self)}." if self else "None is registered."
            raise RequestError(f"There is no {self.what} {name!r}.{near(name, self)} {known}")
        return self._items[name]

    def _import(self, name: str) -> None:
        for point in entry_points(group=self.group, name=name):
            try:
                item = point.load()
            except Exception as error:  # a foreign package may raise anything on import
                raise RequestError(
                    f"The {self.what} {name!r} is registered by {point.value}, and importing that "
                    f"fails: {error}. Reinstall its package."
                ) from error
            if self.direct and callable(item):
                self._items.setdefault(name, item)

    def __getitem__(self, name: str) -> Item:
        try:
            return self.named(name)
        except RequestError as error:
            raise KeyError(name) from error

    def __contains__(self, name: object) -> bool:
        """Return whether there is an item with this name. Nothing is imported."""
        return any(name == known for known in self)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._items, *sorted(entry_points(group=self.group).names)]))

    def __len__(self) -> int:
        return len(list(iter(self)))
