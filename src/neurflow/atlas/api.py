"""Functions on an atlas for the command line, in addition to those of ``questions``.

* ``opened`` opens the atlas of a sweep, and rebuilds it first on request.
* ``records`` converts a table to JSON data.
* ``group_of`` parses ``TARGET:GROUP``.
"""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pandas as pd

from neurflow.atlas.query import Atlas
from neurflow.atlas.tables import renew as rebuild
from neurflow.errors import RequestError
from neurflow.runtime.progress import Progress

TARGETS = "SELECT circuit, target, images, crops, neurons, groups, edges FROM targets ORDER BY ALL"
"""query of all targets"""


def opened(sweep: Path, *, renew: bool = False, progress: Progress | None = None) -> Atlas:
    """Open the atlas of a sweep.

    Args:
        sweep: folder of the sweep.
        renew: whether to rebuild all tables from the circuits first.
        progress: receives stages, steps and notes.

    Raises:
        ResultError: there is no atlas, or it is damaged.
    """
    if renew:
        rebuild(sweep, whole=True, progress=progress)
    return Atlas(sweep, progress=progress)


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return the rows of a table as JSON data, with bytes in base64."""
    text = frame.map(lambda each: b64encode(each).decode() if isinstance(each, bytearray) else each)
    found: list[dict[str, object]] = json.loads(text.to_json(orient="records", date_format="iso"))
    return found


def group_of(text: str) -> tuple[str, str]:
    """Parse ``"beagle:layer4.0/1"`` into target and group.

    Raises:
        RequestError: the text is not of this form.
    """
    target, found, group = text.rpartition(":")
    if not found:
        raise RequestError(
            f"{text!r} is not a group of a target. Write TARGET:LAYER/NUMBER, such as beagle:layer4/1."
        )
    return target, group
