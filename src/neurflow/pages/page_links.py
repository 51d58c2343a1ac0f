"""Links from a page in the folder of a result to the other pages there.

``neurflow report RUN`` writes into the folder of the result. Other pages that are written there link to
it, and it links to them after it is written again. Pages elsewhere have no links, because they may be
sent to somebody who does not have the other pages.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from neurflow.circuit.untrusted import INDEX
from neurflow.runtime.files import read

NAME = "Related pages"
"""accessible name of the navigation"""
_PLACE = re.compile(r'(<script type="application/json" id="page-links">)[^<]*(</script>)')
_TITLE = re.compile(r"<title>([^<]{1,200}) · neurflow</title>")
_LARGEST = 64 << 20
_HEAD = 1 << 14
"""number of bytes that are searched for the title"""
_MOST = 6
"""largest number of links"""


def page_links(page: Path) -> list[tuple[str, str]]:
    """Return the (title, address) of the pages beside a page in the folder of a result."""
    return [(title, f"./{quote(file.name)}") for title, file in pages(page.parent, page.name)]


def pages(folder: Path, without: str | None = None) -> list[tuple[str, Path]]:
    """Return titles and files of the pages in the folder of a result, at most six."""
    if not (folder / INDEX).is_file():
        return []
    found: list[tuple[str, Path]] = []
    for file in sorted(folder.glob("*.html")):
        title = None if file.name == without else _TITLE.search(_text(file))
        if title and len(found) < _MOST:
            found.append((html.unescape(title[1]), file))
    return found


def has_page_links(text: str) -> bool:
    """Return whether a page belongs to the front end, which draws the links from its data."""
    return _PLACE.search(text) is not None


def with_page_links(text: str, found: Sequence[tuple[str, str]]) -> str:
    """Return a page of the front end with these links in place of its own."""
    data = json.dumps(found, ensure_ascii=False).replace("<", "\\u003c")
    return _PLACE.sub(lambda place: f"{place[1]}{data}{place[2]}", text, count=1)


def as_html(found: Sequence[tuple[str, str]]) -> str:
    """Return links as HTML, for a page that the front end does not draw."""
    return "".join(
        f"<a href='{html.escape(address)}'>{html.escape(words)}</a>" for words, address in found
    )


def _text(file: Path) -> str:
    try:
        return read(file, _LARGEST)[:_HEAD].decode(errors="replace")
    except (OSError, ValueError):
        return ""
