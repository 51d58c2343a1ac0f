"""The interface by which long work reports its progress. The command line shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from neurflow.refs import SkippedImage

SKIPPED_NOTES = 3
"""number of skipped images that are noted one by one"""


class Progress(Protocol):
    """A listener of long work, which consists of consecutive stages."""

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of ``total`` steps; this ends the previous stage."""

    def advance(self, count: int = 1) -> None:
        """Count ``count`` more steps of the current stage as done."""

    def note(self, text: str) -> None:
        """Report a note to the user, in one line."""


class Silent:
    """A listener that ignores all events; the default."""

    def start(self, stage: str, total: int) -> None: ...

    def advance(self, count: int = 1) -> None: ...

    def note(self, text: str) -> None: ...


def note_skipped(skipped: Sequence[SkippedImage], progress: Progress) -> None:
    """Note the first skipped images with their reasons, and the number of all of them."""
    for image in skipped[:SKIPPED_NOTES]:
        progress.note(f"Skipped {image.name}: {image.reason}.")
    if len(skipped) > SKIPPED_NOTES:
        progress.note(f"Skipped {len(skipped)} images in total; the result lists them.")
