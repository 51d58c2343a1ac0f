"""Doors: links from a page to the other pages of neurflow in its folder.

``neurflow report RUN`` writes into the folder of the result. An audit, a debug page, a comparison or
the evidence that is written there too leads to it, and it leads to them once it is written again.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from urllib.parse import quote

from neurflow.runtime.files import read

PLACE = '<script type="application/json" id="doors"></script>'
"""placeholder of the doors in the bundle"""
_TITLE = re.compile(r"<title>([^<]{1,200}) · neurflow</title>")
_LARGEST = 64 << 20
_HEAD = 1 << 14
"""bytes in which the title stands"""
_MOST = 12
"""In a folder with more pages, such as the circuits of a map, they would be a list and no doors."""


def doors(page: Path) -> list[tuple[str, str]]:
    """Return the (title, address) of the pages of neurflow beside a page, by their names."""
    files = sorted(file for file in page.parent.glob("*.html") if file.name != page.name)
    if len(files) > _MOST:
        return []
    found = []
    for file in files:
        title = _TITLE.search(_text(file))
        if title:
            found.append((html.unescape(title[1]), f"./{quote(file.name)}"))
    return found


def with_doors(text: str, page: Path) -> str:
    """Return the front end with the doors of the page that it becomes."""
    data = json.dumps(doors(page), ensure_ascii=False).replace("<", "\\u003c")
    return text.replace(PLACE, PLACE.replace("></", f">{data}</"), 1)


def _text(file: Path) -> str:
    try:
        return read(file, _LARGEST)[:_HEAD].decode(errors="replace")
    except (OSError, ValueError):
        return ""
