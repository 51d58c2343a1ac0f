"""How long work reports its progress; the command line draws it, callers from Python may ignore it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listener of one piece of long work, which has stages one after another."""

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of ``total`` steps; the stage before it, if any, is over."""

    def advance(self, count: int = 1) -> None:
        """Count ``count`` more steps of the current stage as done."""

    def note(self, text: str) -> None:
        """Report something that the user should read, in one line."""


class Silent:
    """A listener that does nothing; the default."""

    def start(self, stage: str, total: int) -> None: ...

    def advance(self, count: int = 1) -> None: ...

    def note(self, text: str) -> None: ...
