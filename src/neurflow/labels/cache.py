"""A cache of answers, so that no question is sent twice when labelling is repeated or resumed.

Each answer is a file, named after the digest of the question and the model, and written atomically.
Stored answers are validated by the same schema as new ones, so the worst that a hostile cache can
cause is wrong labels.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from neurflow.runtime.files import read, subfolder, write_atomically

MAX_BYTES = 2**21
"""largest size of a file"""


class CachedAnswer(BaseModel):
    """An answer as the model gave it, or a refusal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    answer: str = Field(max_length=200_000)
    refused: bool = False


class Cache:
    """A folder of answers, created when the first answer is stored."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def get(self, digest: str) -> CachedAnswer | None:
        """Return the answer to the question with this digest; None if it is missing or damaged."""
        try:
            return CachedAnswer.model_validate_json(read(self.folder / f"{digest}.json", MAX_BYTES))
        except (OSError, ValueError):
            return None

    def put(self, digest: str, cached: CachedAnswer) -> None:
        """Store an answer.

        Raises:
            WorkError: the folder cannot be written.
        """
        folder = subfolder(self.folder.parent, self.folder.name)
        write_atomically(folder / f"{digest}.json", cached.model_dump_json().encode())
