"""Answers by what was asked, so that a repeated or interrupted run asks nothing twice.

One file an answer, named by the digest of everything that the model was told and of the model
itself; written in one step. What is read back goes through the same schema as a fresh answer: a
cache from a stranger can hold wrong labels and nothing worse.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from neurflow.runtime.files import read, subfolder, write_atomically

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
        try:
            return Kept.model_validate_json(read(self.folder / f"{digest}.json", LARGEST))
        except (OSError, ValueError):
            return None

    def put(self, digest: str, kept: Kept) -> None:
        """Keep an answer; ``WorkError`` if the folder cannot be written."""
        folder = subfolder(self.folder.parent, self.folder.name)
        write_atomically(folder / f"{digest}.json", kept.model_dump_json().encode())
