"""Waiting for a condition in tests.

There is no deadline, because pytest ends tests that hang (``faulthandler_timeout``).
"""

from __future__ import annotations

import time
from collections.abc import Callable


def until(holds: Callable[[], object], alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until a condition holds; fail if the process that should cause it has ended."""
    while not holds():
        if not alive():
            assert holds(), "the process ended before the condition held"
        time.sleep(0.01)
