"""The pictures that a result was made from, found again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from neurflow.errors import RequestError

if TYPE_CHECKING:
    from PIL import Image

MOST = 10_000
"""pictures of a class that the demo draws again because a result says so"""
UNSEEN = 1_000
"""added to the seed of the demo's pictures, for some that the circuit was not made from"""


class Source(BaseModel):
    """What a run notes of its pictures: a folder to read, or how the demo drew them."""

    folder: str | None = None
    pictures: Annotated[int, Field(ge=1, le=MOST)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0


def note_source(run: Path, source: dict[str, Any]) -> None:
    """Keep in a run's workspace what its pictures are."""
    from neurflow.method.discover import SOURCE
    from neurflow.runtime.workspace import Workspace

    Workspace(run / "work").write(SOURCE, source)


def pictures_of(run: Path, given: Path | None) -> Any:
    """The pictures that a run was made from: those given, or where they were; None if not known.

    Raises:
        RequestError: they are no longer there.
    """
    if given is not None:
        return given
    source = _source(run)
    if source.folder is not None:
        folder = Path(source.folder)
        if source.folder.startswith(("//", "\\\\")) or not folder.is_dir():
            raise RequestError(
                f"The pictures of this result were in {folder}, which is not there. "
                "Say where they are now: --images FOLDER"
            )
        return folder
    return source.pictures and demo_pictures(source.pictures, source.seed)


def unseen_of(run: Path, given: Path | None) -> Any:
    """Held-out pictures: those given, or fresh ones where the run is the demo's; else None."""
    if given is not None:
        return given
    source = _source(run)
    return source.pictures and demo_pictures(source.pictures, source.seed + UNSEEN)


def demo_pictures(count: int, seed: int) -> list[tuple[Image.Image, int]]:
    """The demo's pictures with their classes."""
    from neurflow.demo.pictures import dataset

    return [(picture.image, picture.label) for picture in dataset("test", count, seed)]


def _source(run: Path) -> Source:
    from neurflow.method.discover import SOURCE
    from neurflow.runtime.files import read_json

    try:
        return Source.model_validate(read_json(run / "work" / f"{SOURCE}.json", finite=False))
    except (OSError, ValueError):
        return Source()
