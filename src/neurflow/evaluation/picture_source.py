"""Finds the pictures that a result was made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from neurflow.errors import RequestError

if TYPE_CHECKING:
    from PIL import Image

MAX_PICTURES = 10_000
"""largest number of demo pictures of a class that are drawn for a stored result"""
UNSEEN = 1_000
"""added to the seed of the demo's pictures to draw held-out ones"""


class Source(BaseModel):
    """The source of a run's pictures: a folder, or the arguments that the demo drew them with."""

    folder: str | None = None
    pictures: Annotated[int, Field(ge=1, le=MAX_PICTURES)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0


def note_source(run: Path, source: dict[str, Any]) -> None:
    """Store the source of a run's pictures in its workspace."""
    from neurflow.method.discover import SOURCE
    from neurflow.runtime.workspace import Workspace

    Workspace(run / "work").write(SOURCE, source)


def pictures_of(run: Path, given: Path | None) -> Any:
    """Return the pictures that are given, or those that a run was made from; None if unknown.

    Raises:
        RequestError: the folder no longer exists.
    """
    if given is not None:
        return given
    source = _source(run)
    if source.folder is not None:
        folder = Path(source.folder)
        if source.folder.startswith(("//", "\\\\")) or not folder.is_dir():
            raise RequestError(
                f"The pictures of this result were in {folder}, which no longer exists. "
                "Give their present folder: --images FOLDER"
            )
        return folder
    return source.pictures and demo_pictures(source.pictures, source.seed)


def unseen_of(run: Path, given: Path | None) -> Any:
    """Return the held-out pictures that are given, or new ones if the run is of the demo; else None."""
    if given is not None:
        return given
    source = _source(run)
    return source.pictures and demo_pictures(source.pictures, source.seed + UNSEEN)


def demo_pictures(count: int, seed: int) -> list[tuple[Image.Image, int]]:
    """Return the demo's pictures with their classes."""
    from neurflow.demo.pictures import dataset

    return [(picture.image, picture.label) for picture in dataset("test", count, seed)]


def _source(run: Path) -> Source:
    from neurflow.method.discover import SOURCE
    from neurflow.runtime.files import read_json

    try:
        return Source.model_validate(read_json(run / "work" / f"{SOURCE}.json", finite=False))
    except (OSError, ValueError):
        return Source()
