"""Functions for the command line, in addition to ``sweep``, ``status`` and ``merge``.

* ``targets_of`` parses a list of targets.
* ``counts`` summarises the states of targets.
* ``require_done`` raises an error unless all targets are done.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from neurflow.errors import RequestError, WorkError
from neurflow.sweeping.state import TargetState

ORDER = ("done", "running", "failed", "waiting")


def targets_of(texts: Sequence[str]) -> list[str] | Literal["all"]:
    """Parse targets: ``all``, files with one target per line, or lists with commas.

    Raises:
        RequestError: a file cannot be read, or there is no target.
    """
    if [text.strip() for text in texts] == ["all"]:
        return "all"
    found = [target for text in texts for target in _targets(text)]
    if not found:
        raise RequestError(
            f"--targets {','.join(texts)!r} names no target. Give a list, a file or all."
        )
    return found


def _targets(text: str) -> list[str]:
    if not os.path.isfile(text):  # Path.is_file raises if a list exceeds the limit of file names
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        lines = Path(text).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"--targets {text} cannot be read ({error}). Give a text file with one target per line."
        ) from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def counts(states: Sequence[TargetState]) -> str:
    """Return the number of targets in each state, such as ``3 done, 1 failed``."""
    found: Counter[str] = Counter(state.state for state in states)
    return ", ".join(f"{found[name]} {name}" for name in ORDER if found[name])


def require_done(states: Sequence[TargetState]) -> None:
    """Raise ``WorkError`` unless all targets are done."""
    unfinished = [state for state in states if state.state != "done"]
    if unfinished:
        first = max(unfinished, key=lambda state: state.state == "failed")
        raise WorkError(
            f"{len(unfinished)} of {len(states)} targets are not done ({counts(unfinished)}). "
            f"The first is {first.target}: {first.problem or first.state}"
        )
