"""Content security policies: a page may load and run only what it contains, by hash."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterator

PLACE = '<meta http-equiv="Content-Security-Policy" content="" />'
"""placeholder of a page's policy"""
META = re.compile(r'<meta\s+http-equiv="Content-Security-Policy"\s+content="[^"]*"\s*/?>', re.S)
_SCRIPT = re.compile(r"<script(?![^>]*application/json)[^>]*>(.+?)</script>", re.S)
_ATTRIBUTE = re.compile(r'(<[^<>]*?\s)style="([^"]*)"')
_STYLE = re.compile(r"<style[^>]*>(.+?)</style>", re.S)


def policy(page: str, *, connect: bool = False) -> str:
    """Return a content security policy that allows only the page's own scripts and styles.

    Args:
        page: HTML.
        connect: whether the page may send requests to its server.
    """
    parts = {
        "default-src": "'none'",
        "img-src": "data: blob:",
        "script-src": " ".join(scripts(page)) or "'none'",
        "style-src": " ".join(_hashes(_STYLE, page)) or "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    if connect:
        parts |= {"connect-src": "'self'", "frame-ancestors": "'none'"}
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def scripts(page: str) -> list[str]:
    """Return the hashes of a page's scripts, as a policy names them."""
    return list(_hashes(_SCRIPT, page))


def with_policy(page: str) -> str:
    """Return a page that contains its policy, because no server sends one with a page from disk.

    Args:
        page: HTML with ``PLACE``, or with another policy that is replaced.
    """
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy(page)}" />'
    return META.sub(lambda _: tag, page)


def with_classes(page: str) -> str:
    """Return a page whose ``style`` attributes are moved into one style sheet in its head.

    A policy of hashes allows style sheets but no ``style`` attributes, of which plots have many.
    """
    names: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return f'{found[1]}class="{names.setdefault(found[2], f"style-{len(names)}")}"'

    page = _ATTRIBUTE.sub(named, page)
    rules = "\n".join(f".{name} {{ {html.unescape(text)} }}" for text, name in names.items())
    rules = rules.replace("<", "\\3c ")
    return page.replace("</title>", f"</title><style>{rules}</style>", 1) if names else page


def _hashes(inside: re.Pattern[str], page: str) -> Iterator[str]:
    for content in inside.findall(page):
        digest = hashlib.sha256(content.encode()).digest()
        yield f"'sha256-{base64.b64encode(digest).decode()}'"
