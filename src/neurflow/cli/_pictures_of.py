"""The pictures that a result was made from, found again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurflow.errors import RequestError

if TYPE_CHECKING:
    from PIL import Image

UNSEEN = 1_000
"""added to the seed of the demo's pictures, for some that the circuit was not made from"""


def note_source(run: Path, source: dict[str, Any]) -> None:
    """Keep in a run's workspace what its pictures are."""
    from neurflow.discovery import SOURCE
    from neurflow.workspace import Workspace

    Workspace(run / "work").write(SOURCE, source)


def pictures_of(run: Path, given: Path | None) -> Any:
    """The pictures that a run was made from: those given, or where they were; None if not known.

    Raises:
        RequestError: they are no longer there.
    """
    if given is not None:
        return given
    source = _source(run)
    if "folder" in source:
        folder = Path(source["folder"])
        if not folder.is_dir():
            raise RequestError(
                f"The pictures of this result were in {folder}, which is not there. "
                "Say where they are now: --images FOLDER"
            )
        return folder
    if "pictures" in source:
        return demo_pictures(int(source["pictures"]), int(source["seed"]))
    return None


def unseen_of(run: Path, given: Path | None) -> Any:
    """Held-out pictures: those given, or fresh ones where the run is the demo's; else None."""
    if given is not None:
        return given
    source = _source(run)
    if "pictures" in source:
        return demo_pictures(int(source["pictures"]), int(source["seed"]) + UNSEEN)
    return None


def demo_pictures(count: int, seed: int) -> list[tuple[Image.Image, int]]:
    """The demo's pictures with their classes."""
    from neurflow.demo.pictures import dataset

    return [(picture.image, picture.label) for picture in dataset("test", count, seed)]


def _source(run: Path) -> dict[str, Any]:
    import json

    from neurflow.discovery import SOURCE

    try:
        found = json.loads((run / "work" / f"{SOURCE}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
