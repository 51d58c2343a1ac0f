"""``write_report``: the front end's bundle with a circuit's data inside, as one file."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

from neurflow.circuit import Circuit
from neurflow.errors import WorkError
from neurflow.pages.page_links import page_links, with_page_links
from neurflow.pages.payload import CROPS_PER_GROUP, CROPS_PER_MEANING, payload
from neurflow.pages.policy import with_policy
from neurflow.runtime.files import tidy, write_atomically

DATA = '<script type="application/json" id="data"></script>'
"""placeholder of the data in the bundle"""
PICTURES = '<script type="application/json" class="picture-data"></script>'
"""placeholder of the pictures, after the data, so that the page is drawn before they are read"""
AT_ONCE = 2**20
"""approximate number of characters of pictures that a page reads at a time"""
TITLE = "<title>neurflow</title>"
HEADING = "<h1>neurflow</h1>"
"""heading that is shown until the data have been read"""


def write_report(
    circuit: Circuit, path: str | Path, *, crops_per_group: int = CROPS_PER_GROUP
) -> Path:
    """Write the circuit's page as one file that opens offline.

    Args:
        circuit: circuit to show.
        path: path of the HTML file; replaced atomically.
        crops_per_group: crops shown for a group; fewer crops make a smaller file.

    Raises:
        WorkError: the front end was not built, or the file cannot be written.
    """
    return write_page(render(circuit, crops_per_group=crops_per_group), path)


def write_page(page: str, path: str | Path) -> Path:
    """Write a page's text; raise ``WorkError`` if the file cannot be written."""
    path = Path(path)
    if not path.parent.is_dir():
        raise WorkError(f"There is no folder {str(path.parent)!r} to write the report into.")
    write_atomically(path, with_page_links(page, page_links(path)).encode())
    tidy(path.parent, path.name)
    return path


def render(circuit: Circuit, *, crops_per_group: int = CROPS_PER_GROUP) -> str:
    """Return the page as text."""
    few = min(crops_per_group, CROPS_PER_MEANING)
    data = payload(circuit, crops_per_group=crops_per_group, crops_per_meaning=few)
    pictures, data.pictures = data.pictures, []
    return with_data(data.model_dump_json(), title_of(circuit), pictures)


def title_of(circuit: Circuit) -> str:
    """Return the title of a circuit's page."""
    return f"Why {circuit.target.name}?"


def bundle() -> str:
    """Return the front end without data; raise ``WorkError`` if it was not built."""
    file = resources.files("neurflow").joinpath("pages", "static", "index.html")
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise WorkError(
            "The front end was not built. In a clone run: make web. An installed package carries it."
        ) from None


def with_data(data: str, title: str, pictures: Sequence[str] = ()) -> str:
    """Return the front end with data (JSON), a title, and pictures as data URIs, read after them."""
    page = with_policy(bundle())
    # A label may contain "</script>". In JSON, "<" can be escaped, which hides it from HTML parsers.
    data = data.replace("<", "\\u003c")
    title = html.escape(title)
    start, found, rest = page.partition(DATA)
    if not found or PICTURES not in rest:
        raise WorkError("The front end was built by another version. In a clone run: make web.")
    start = start.replace(TITLE, f"<title>{title} · neurflow</title>")
    start = start.replace(HEADING, f"<h1>{title}</h1>")
    chunks = "".join(PICTURES.replace("></", f">{each}</") for each in chunks_of(pictures))
    return start + DATA.replace("></", f">{data}</") + rest.replace(PICTURES, chunks or PICTURES)


def chunks_of(pictures: Sequence[str]) -> Iterator[str]:
    """Yield data URIs as JSON lists of about ``AT_ONCE`` characters."""
    chunk: list[str] = []
    size = 0
    for picture in pictures:
        chunk.append(picture)
        size += len(picture)
        if size >= AT_ONCE:
            yield json.dumps(chunk)
            chunk, size = [], 0
    if chunk:
        yield json.dumps(chunk)
