"""How tests wait: for what they wait for, never for a time.

There is no deadline: pytest ends a test that hangs (``faulthandler_timeout``).
"""

from __future__ import annotations

import time
from collections.abc import Callable


def until(holds: Callable[[], object], alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until something holds; fail if what could bring it about has ended without it."""
    while not holds():
        if not alive():
            assert holds(), "what was waited for has ended"
        time.sleep(0.01)
