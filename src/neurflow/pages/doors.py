"""Links from a page in the folder of a result to the other pages there.

``neurflow report RUN`` writes into the folder of the result. Other pages that are written there link to
it, and it links to them after it is written again. Pages elsewhere have no links, because they may be
sent to somebody who does not have the other pages.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from urllib.parse import quote

from neurflow.circuit.untrusted import INDEX
from neurflow.runtime.files import read

PLACE = '<script type="application/json" id="doors"></script>'
"""placeholder of the links in the bundle"""
_TITLE = re.compile(r"<title>([^<]{1,200}) · neurflow</title>")
_LARGEST = 64 << 20
_HEAD = 1 << 14
"""bytes in which the title is searched"""
_MOST = 6
"""largest number of links"""


def doors(page: Path) -> list[tuple[str, str]]:
    """Return the (title, address) of the pages beside a page in the folder of a result."""
    if not (page.parent / INDEX).is_file():
        return []
    files = sorted(file for file in page.parent.glob("*.html") if file.name != page.name)
    found: list[tuple[str, str]] = []
    for file in files:
        if len(found) == _MOST:
            break
        title = _TITLE.search(_text(file))
        if title:
            found.append((html.unescape(title[1]), f"./{quote(file.name)}"))
    return found


def with_doors(text: str, page: Path) -> str:
    """Return the front end with links to the pages beside ``page``."""
    data = json.dumps(doors(page), ensure_ascii=False).replace("<", "\\u003c")
    return text.replace(PLACE, PLACE.replace("></", f">{data}</"), 1)


def _text(file: Path) -> str:
    try:
        return read(file, _LARGEST)[:_HEAD].decode(errors="replace")
    except (OSError, ValueError):
        return ""
