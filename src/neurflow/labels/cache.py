"""Answers by what was asked, so that a repeated or interrupted run asks nothing twice.

One file an answer, named by the digest of everything that the model was told and of the model
itself; written in one step. What is read back goes through the same schema as a fresh answer: a
cache from a stranger can hold wrong labels and nothing worse.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neurflow.workspace import guard_disk, write_atomically

LARGEST = 2**21


class Kept(BaseModel):
    """An answer as it came, or a refusal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    answer: str = Field(max_length=200_000)
    refused: bool = False


class Cache:
    """Answers in a folder, which is made with the first."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def get(self, digest: str) -> Kept | None:
        """The answer to what has this digest; None if there is none or it is damaged."""
        file = self.folder / f"{digest}.json"
        try:
            descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as handle:
            data = handle.read(LARGEST + 1)
        try:
            return Kept.model_validate_json(data) if len(data) <= LARGEST else None
        except ValidationError:
            return None

    def put(self, digest: str, kept: Kept) -> None:
        """Keep an answer; ``WorkError`` if the folder cannot be written."""
        with guard_disk(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / f"{digest}.json", kept.model_dump_json().encode())
