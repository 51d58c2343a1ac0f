"""Freed memory that the C library keeps for itself.

glibc does not return freed blocks to the system as long as blocks behind them are in use. After many
tensors of different sizes it may hold several times the memory that is in use.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

_STATM = Path("/proc/self/statm")


def own_pages() -> int | None:
    """Return the bytes of this process's anonymous pages; None where the system does not say."""
    try:
        _, resident, shared, *_ = map(int, _STATM.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
    return (resident - shared) * os.sysconf("SC_PAGESIZE")


def give_back() -> None:
    """Return freed memory to the system, where the C library can."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> ctypes._NamedFuncPointer | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # not glibc
        return None
