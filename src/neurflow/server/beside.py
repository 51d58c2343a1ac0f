"""The pages in the folder of a result, served beside the live explorer: report, evidence, audit, ….

A page is found among those of the folder, and its name is never joined into a path. Served, it has the
same origin as the explorer, so it runs only scripts of the front end of this version, whatever else is
in the file, and it sends no requests. Pages of other versions are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from neurflow.pages.doors import NAME, has_doors, links, pages, with_doors
from neurflow.pages.page import bundle
from neurflow.pages.policy import policy, scripts
from neurflow.runtime.files import read
from neurflow.server.session import NotFound

LARGEST = 64 << 20
PLACE = "/pages/"
_NAVIGATION = re.compile(f"<nav aria-label='{NAME}'>.*?</nav>", re.S)


class Beside:
    """The pages of a folder.

    Args:
        folder: folder of a result.
        own: title of a report, which is the circuit's own page as well.

    Raises:
        WorkError: the front end was not built.
    """

    def __init__(self, folder: Path, own: str) -> None:
        self._folder, self._own = folder, own
        self._scripts = set(scripts(bundle()))
        self._state: list[tuple[str, int, int]] = []
        self._found: list[tuple[str, Path]] = []

    def front(self, page: str) -> str:
        """Return the explorer's own page with doors to the others."""
        return with_doors(page, self._doors())

    def page(self, name: str) -> tuple[str, str]:
        """Return a page and its policy; raise ``NotFound`` if the folder has none of that name."""
        for _, file in self._pages():
            text = self._text(file) if file.name == name else None
            if text is not None:
                found = [("Live explorer", "/"), *self._doors(file)]
                return _relinked(text, found), policy(text)
        raise NotFound(f"The folder of the result has no page {name!r} of this version.")

    def _doors(self, here: Path | None = None) -> list[tuple[str, str]]:
        return [
            ("Report" if title == self._own else title, PLACE + quote(file.name))
            for title, file in self._pages()
            if file != here
        ]

    def _pages(self) -> list[tuple[str, Path]]:
        """Return titles and files of this version's pages; files are read only after a change."""
        stats = [(file.name, file.lstat()) for file in sorted(self._folder.glob("*.html"))]
        state = [(name, found.st_mtime_ns, found.st_size) for name, found in stats]
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


def _relinked(text: str, doors: list[tuple[str, str]]) -> str:
    """Return a page with other doors than those that it was written with."""
    if has_doors(text):
        return with_doors(text, doors)
    inside = f"<nav aria-label='{NAME}'>{links(doors)}</nav>"
    plain = _NAVIGATION.sub("", text, count=1)
    return plain.replace("</h1>", f"</h1>{inside}", 1)
