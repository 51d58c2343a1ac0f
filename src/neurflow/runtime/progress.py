"""How long work tells that it goes on; the command line draws it, a library caller may ignore it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listener of one piece of long work: stages in order, each with a number of steps."""

    def start(self, stage: str, total: int) -> None:
        """A stage of ``total`` steps begins; the stage before it, if any, is over."""

    def advance(self, count: int = 1) -> None:
        """``count`` more steps of the stage are done."""

    def note(self, text: str) -> None:
        """Something that the user should read, in one line."""


class Silent:
    """A listener that does nothing: the default."""

    def start(self, stage: str, total: int) -> None: ...

    def advance(self, count: int = 1) -> None: ...

    def note(self, text: str) -> None: ...
