"""Options that cannot go together, or would do nothing: refused before anything is done."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import typer

from neurflow.errors import RequestError

ALWAYS = frozenset({"as_json", "debug", "no_open"})
"""options that go with all others"""


class Given:
    """Which parameters a command line gave."""

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
        """The one of some parameters that was given, if any; ``RequestError`` if several were."""
        found = [name for name in names if name in self]
        if len(found) > 1:
            raise RequestError(f"{self._words(found)} cannot go together. Give one of them.")
        return found[0] if found else None

    def only(self, mode: str, belongs: Collection[str]) -> None:
        """``RequestError`` if something was given that does not belong to ``mode``."""
        strange = self._given - {mode, *belongs} - ALWAYS
        if strange:
            found = self._words([name for name in self._shown if name in strange])
            raise RequestError(
                f"{found} cannot go together with {self._shown[mode]}. Leave it out."
            )

    def need(self, companions: Sequence[str], *names: str) -> None:
        """``RequestError`` if some were given that do nothing without one of their companions."""
        if not any(name in self for name in companions):
            self.refuse(self._words(companions, "or"), *names)

    def refuse(self, companion: str, *names: str) -> None:
        """``RequestError`` if some were given, which do nothing without a companion that is missing."""
        idle = [name for name in names if name in self]
        if idle:
            raise RequestError(
                f"{self._words(idle)} goes with {companion}, and does nothing without."
            )

    def _words(self, names: Sequence[str], last: str = "and") -> str:
        *most, final = [self._shown[name] for name in names]
        return f"{', '.join(most)} {last} {final}" if most else final
