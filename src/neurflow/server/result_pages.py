"""The pages in the folder of a result, served by the live explorer: report, evidence, audit, ….

A page is looked up among those of the folder, and its name is never joined into a path. A served page
has the same origin as the explorer. Therefore its policy allows only scripts of this version of the
front end, and no requests. Pages of other versions are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from neurflow.pages.page import bundle
from neurflow.pages.page_links import NAME, as_html, has_page_links, pages, with_page_links
from neurflow.pages.policy import policy, scripts
from neurflow.runtime.files import read
from neurflow.server.session import NotFound

LARGEST = 64 << 20
PLACE = "/pages/"
_NAVIGATION = re.compile(f"<nav aria-label='{NAME}'>.*?</nav>", re.S)


class ResultPages:
    """The pages of a folder.

    Args:
        folder: folder of a result.
        own: title of the report, which is also the circuit's own page.

    Raises:
        WorkError: the front end was not built.
    """

    def __init__(self, folder: Path, own: str) -> None:
        self._folder, self._own = folder, own
        self._scripts = set(scripts(bundle()))
        self._state: list[tuple[str, int, int]] = []
        self._found: list[tuple[str, Path]] = []

    def front(self, page: str) -> str:
        """Return the explorer's page with links to the others."""
        return with_page_links(page, self._links())

    def page(self, name: str) -> tuple[str, str]:
        """Return a page and its policy; raise ``NotFound`` if the folder has none of that name."""
        for _, file in self._pages():
            text = self._text(file) if file.name == name else None
            if text is not None:
                found = [("Live explorer", "/"), *self._links(file)]
                return _relinked(text, found), policy(text)
        raise NotFound(f"The folder of the result has no page {name!r} of this version.")

    def _links(self, here: Path | None = None) -> list[tuple[str, str]]:
        return [
            ("Report" if title == self._own else title, PLACE + quote(file.name))
            for title, file in self._pages()
            if file != here
        ]

    def _pages(self) -> list[tuple[str, Path]]:
        """Return titles and files of this version's pages; files are read only after a change."""
        state = [*filter(None, map(_state, sorted(self._folder.glob("*.html"))))]
        if state != self._state:
            known = pages(self._folder)
            self._found = [each for each in known if self._text(each[1]) is not None]
            self._state = state
        return self._found

    def _text(self, file: Path) -> str | None:
        """Return the text of a page; None if it is of another version."""
        try:
            text = read(file, LARGEST).decode()
        except (OSError, ValueError):
            return None
        return text if set(scripts(text)) <= self._scripts else None


def _state(file: Path) -> tuple[str, int, int] | None:
    """Return name, time and size of a file; None if it has just been removed."""
    try:
        found = file.lstat()
    except FileNotFoundError:
        return None
    return file.name, found.st_mtime_ns, found.st_size


def _relinked(text: str, links: list[tuple[str, str]]) -> str:
    """Return a page with its links replaced."""
    if has_page_links(text):
        return with_page_links(text, links)
    inside = f"<nav aria-label='{NAME}'>{as_html(links)}</nav>"
    plain = _NAVIGATION.sub("", text, count=1)
    return plain.replace("</h1>", f"</h1>{inside}", 1)
