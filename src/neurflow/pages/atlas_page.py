"""The pages of a sweep: a map of its classes, and a page for each circuit."""

from __future__ import annotations

from pathlib import Path

from neurflow.atlas.query import Atlas
from neurflow.circuit import load_circuit
from neurflow.errors import ResultError
from neurflow.pages.atlas_payload import Links, atlas_payload
from neurflow.pages.page import with_data, write_page, write_report
from neurflow.runtime.files import subfolder
from neurflow.runtime.progress import Progress, Silent


def render_atlas(atlas: Atlas, *, links: Links = "none", progress: Progress | None = None) -> str:
    """Return the map as text; see ``atlas_payload``."""
    data = atlas_payload(atlas, links=links, progress=progress)
    return with_data(data.model_dump_json(), f"{atlas.folder.parent.resolve().name}, an atlas")


def write_atlas_pages(
    sweep: str | Path,
    folder: str | Path,
    *,
    circuits: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Write ``index.html``, a map of a sweep's classes, and ``circuits/NAME.html`` for each.

    Pages that are newer than their circuit are kept, so re-run the same call to resume. A damaged
    circuit is reported and gets no page.

    Args:
        sweep: folder of a sweep.
        folder: folder for the pages, created if missing; any file server can show it.
        circuits: also write the circuits' pages; otherwise the map shows the commands to type.
        progress: reports the pages as they are written.

    Returns:
        Path of the map.

    Raises:
        ResultError: there is no atlas.
        RequestError: DuckDB or scikit-learn is not installed.
        WorkError: the front end was not built, or a page cannot be written.
    """
    sweep, folder, progress = Path(sweep), Path(folder), progress or Silent()
    atlas = Atlas(sweep, progress=progress)
    subfolder(folder, "circuits")
    found = sorted((sweep / "circuits").glob("*/circuit.json")) if circuits else []
    progress.start("circuits' pages", len(found))
    for file in found:
        page = folder / "circuits" / f"{file.parent.name}.html"
        if not _is_fresh(page, file.parent):
            try:
                write_report(load_circuit(file.parent), page)
            except ResultError as error:
                progress.note(f"{file.parent.name} has no page: {error}")
        progress.advance()
    index = render_atlas(atlas, links="files" if found else "none", progress=progress)
    return write_page(index, folder / "index.html")


def _is_fresh(page: Path, circuit: Path) -> bool:
    if not page.exists():
        return False
    written = page.stat().st_mtime_ns
    return all(file.stat().st_mtime_ns <= written for file in circuit.glob("*.json"))
