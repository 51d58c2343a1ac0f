"""Stores answers by their question, so that a repeated or interrupted run repeats no request.

Each answer has a file, named by the digest of the question and the model, and written atomically.
Stored answers are validated by the same schema as new ones, so the worst that an untrusted cache can
contain is wrong labels.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from neurflow.runtime.files import read, subfolder, write_atomically

LARGEST = 2**21
"""largest size of a file in bytes"""


class Kept(BaseModel):
    """An unparsed answer, or a refusal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    answer: str = Field(max_length=200_000)
    refused: bool = False


class Cache:
    """Answers in a folder, which is made for the first answer."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def get(self, digest: str) -> Kept | None:
        """Return the answer to the question with this digest; None if it is missing or damaged."""
        try:
            return Kept.model_validate_json(read(self.folder / f"{digest}.json", LARGEST))
        except (OSError, ValueError):
            return None

    def put(self, digest: str, kept: Kept) -> None:
        """Store an answer; ``WorkError`` if the folder cannot be written."""
        folder = subfolder(self.folder.parent, self.folder.name)
        write_atomically(folder / f"{digest}.json", kept.model_dump_json().encode())
