"""What the command line and other programs do with an atlas beside asking ``questions``.

* ``opened`` opens the atlas of a sweep, rebuilt first if asked to.
* ``records`` makes a table JSON.
* ``group_of`` reads a group of a target as people write it.
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
"""the query that lists all targets"""


def opened(sweep: Path, *, renew: bool = False, progress: Progress | None = None) -> Atlas:
    """Open the atlas of a sweep.

    Args:
        sweep: folder of the sweep.
        renew: first rebuild all tables from the circuits.
        progress: listener.

    Raises:
        ResultError: there is no atlas, or a damaged one.
    """
    if renew:
        rebuild(sweep, whole=True, progress=progress)
    return Atlas(sweep, progress=progress)


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return the rows of a table as JSON has them; bytes in base64."""
    text = frame.map(lambda each: b64encode(each).decode() if isinstance(each, bytearray) else each)
    found: list[dict[str, object]] = json.loads(text.to_json(orient="records", date_format="iso"))
    return found


def group_of(text: str) -> tuple[str, str]:
    """Read ``"beagle:layer4.0/1"`` as target and group.

    Raises:
        RequestError: the text is not of this form.
    """
    target, found, group = text.rpartition(":")
    if not found:
        raise RequestError(
            f"{text!r} names no group. Write TARGET:LAYER/NUMBER, as beagle:layer4/1."
        )
    return target, group
