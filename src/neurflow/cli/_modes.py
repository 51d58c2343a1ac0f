"""Rejects options that exclude each other or would have no effect, before a command does any work."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from neurflow.errors import RequestError


class Given:
    """The parameters that were given on the command line."""

    def __init__(self, context: typer.Context) -> None:
        self._shown = {
            str(each.name): each.opts[0] if each.param_type_name == "option" else str(each.metavar)
            for each in context.command.params
        }
        sources = {name: context.get_parameter_source(name) for name in self._shown}
        self._given = {
            n for n, source in sources.items() if source and source.name == "COMMANDLINE"
        }

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def one_of(self, *names: str) -> str | None:
        """Return the given one of ``names``, or None; raise ``RequestError`` if several were given."""
        found = [name for name in names if name in self]
        if len(found) > 1:
            raise RequestError(f"{self._words(found)} exclude each other. Give one of them.")
        return found[0] if found else None

    def need(self, companions: Sequence[str], *names: str) -> None:
        """Raise ``RequestError`` if ``names`` were given without any of their companions."""
        if not any(name in self for name in companions):
            self.refuse(self._words(companions, "or"), *names)

    def refuse(self, companion: str, *names: str) -> None:
        """Raise ``RequestError`` if any of ``names`` was given; they need the missing companion."""
        idle = [name for name in names if name in self]
        if idle:
            raise RequestError(f"{self._words(idle)} has no effect without {companion}.")

    def _words(self, names: Sequence[str], last: str = "and") -> str:
        *most, final = [self._shown[name] for name in names]
        return f"{', '.join(most)} {last} {final}" if most else final
