"""Errors that users can cause or fix.

::

    NeurFlowError              base of all errors
    ├── RequestError           the request is invalid, and no work was started (exit code 2)
    │   ├── ModelError         the model cannot be loaded, or its weights do not fit or have NaN
    │   ├── LayerError         a layer does not exist, does not run, or is in the wrong order
    │   ├── TargetError        the target is unknown or ambiguous
    │   └── ImagesError        there is no folder, no readable picture, or none of the target
    │       └── UnreadableImage   one picture cannot be read
    └── WorkError              the request was valid, and the work failed (exit code 1)
        └── ResultError        a stored result is damaged, foreign or hostile
            └── MissingResult  there is no result in a folder (exit code 2)

A message has one or two sentences: the problem, then the cure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NeurFlowError(Exception):
    """Base of all errors that neurflow raises deliberately."""

    exit_code = 1


class RequestError(NeurFlowError):
    """The request is invalid."""

    exit_code = 2


class ModelError(RequestError):
    """The model cannot be loaded, its weights do not fit, or they are not finite."""


class LayerError(RequestError):
    """A layer does not exist, does not run in ``forward``, or is in the wrong order."""


class TargetError(RequestError):
    """A target matches no class or neuron, or several."""


class ImagesError(RequestError):
    """A source has no images that can be studied."""


class UnreadableImage(ImagesError):
    """An image cannot be read; the message gives the reason."""


class WorkError(NeurFlowError):
    """The request was valid, and the work failed."""


class ResultError(WorkError):
    """A stored result is missing, damaged, inconsistent, or from another version."""


class MissingResult(ResultError):
    """A folder has no result."""

    exit_code = 2


def near(name: str, known: Iterable[str], count: int = 4) -> str:
    """Return `` Near names: a, b.`` with the most similar known names, or an empty string."""
    known = list(known)
    folded = {candidate.casefold(): candidate for candidate in reversed(known)}
    found = difflib.get_close_matches(name.casefold(), folded, n=count, cutoff=0.5)
    return f" Near names: {', '.join(folded[match] for match in found)}." if found else ""
