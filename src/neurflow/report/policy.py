"""What a page may load and run: nothing but what is in it, told to the browser by hashes."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

META = re.compile(r'<meta\s+http-equiv="Content-Security-Policy"\s+content="[^"]*"\s*/?>', re.S)
_SCRIPT = re.compile(r"<script(?![^>]*application/json)[^>]*>(.+?)</script>", re.S)
_STYLE = re.compile(r"<style[^>]*>(.+?)</style>", re.S)


def policy(page: str, *, connect: bool = False) -> str:
    """A content security policy under which the page's own scripts and styles run, and no others.

    Args:
        page: HTML.
        connect: whether it may ask the server that it came from.
    """
    parts = {
        "default-src": "'none'",
        "img-src": "data: blob:",
        "script-src": " ".join(_hashes(_SCRIPT, page)) or "'none'",
        "style-src": " ".join(_hashes(_STYLE, page)) or "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    if connect:
        parts |= {"connect-src": "'self'", "frame-ancestors": "'none'"}
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def with_policy(page: str) -> str:
    """A page that carries its own policy: one that opens from disk has no server to tell it."""
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy(page)}" />'
    return META.sub(lambda _: tag, page)


def _hashes(inside: re.Pattern[str], page: str) -> Iterator[str]:
    for content in inside.findall(page):
        digest = hashlib.sha256(content.encode()).digest()
        yield f"'sha256-{base64.b64encode(digest).decode()}'"
