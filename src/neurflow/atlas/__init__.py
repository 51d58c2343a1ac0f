"""Tables over the circuits of many targets, and questions to them."""

from neurflow.atlas.query import Atlas
from neurflow.atlas.questions import (
    changed,
    nearest,
    serving,
    shared_groups,
    shortcut_candidates,
    similarities,
)

__all__ = [
    "Atlas",
    "changed",
    "nearest",
    "serving",
    "shared_groups",
    "shortcut_candidates",
    "similarities",
]
