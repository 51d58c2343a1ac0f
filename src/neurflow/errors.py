"""Every failure that a user can cause or cure, as one small family.

::

    NeurFlowError              catch this to catch them all
    ├── RequestError           the request was wrong: nothing was started (exit code 2)
    │   ├── ModelError         a model that cannot be loaded, or weights that do not fit or hold NaN
    │   ├── LayerError         a layer that does not exist, does not run, or stands in the wrong order
    │   ├── TargetError        a target that names nothing, or names two things
    │   └── ImagesError        no folder, no readable picture, no picture of the target
    └── WorkError              the request was right and the work failed (exit code 1)
        └── ResultError        a result on disk that is damaged, foreign or hostile
            └── MissingResult  a result that is not there: the request was wrong (exit code 2)

A message is one or two lines: what is wrong, then what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NeurFlowError(Exception):
    """Base of all errors raised on purpose by neurflow."""

    exit_code = 1


class RequestError(NeurFlowError):
    """The request cannot be carried out as it was put."""

    exit_code = 2


class ModelError(RequestError):
    """The model cannot be loaded, its weights do not fit, or they are not finite."""


class LayerError(RequestError):
    """A layer that does not exist, does not run in ``forward`` or stands in the wrong order."""


class TargetError(RequestError):
    """A target that names no class and no neuron, or more than one."""


class ImagesError(RequestError):
    """A source of images without any image that can be studied."""


class WorkError(NeurFlowError):
    """The request was right, and the work failed on the way."""


class ResultError(WorkError):
    """A stored result that is missing, damaged, from another version, or not what it says."""


class MissingResult(ResultError):
    """A folder that holds no result."""

    exit_code = 2


def near(name: str, known: Iterable[str], count: int = 4) -> str:
    """`` Near names: a, b.`` for the known names most like ``name``, or nothing if none is."""
    known = list(known)
    folded = {candidate.casefold(): candidate for candidate in reversed(known)}
    found = difflib.get_close_matches(name.casefold(), folded, n=count, cutoff=0.5)
    return f" Near names: {', '.join(folded[match] for match in found)}." if found else ""
