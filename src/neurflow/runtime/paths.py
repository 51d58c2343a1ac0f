"""Paths that users give: ``~`` and ``$NAME`` that the shell has not expanded, and impossible names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` and ``$NAME`` expanded, unless there is a file with the literal name.

    A shell does not expand them in ``--weights=~/net.pt`` and ``'file:~/net.py:make'``, and Python
    never does.
    """
    text = os.fspath(path)
    if ("~" not in text and "$" not in text) or os.path.lexists(text):
        return Path(text)
    try:
        return Path(os.path.expandvars(text)).expanduser()
    except (RuntimeError, ValueError):  # there is no such user, or no such name
        return Path(text)


def is_file(path: Path) -> bool:
    """Return whether a path is a file; names that no file can have are not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def all_expanded(value: Any) -> Any:
    """Return an option's value with each path in it expanded."""
    if isinstance(value, Path):
        return expanded(value)
    if isinstance(value, list | tuple):
        return type(value)(map(all_expanded, value))
    return value
