"""The atlas: tables of the circuits of many targets, and queries on them."""

from neurflow.atlas.query import Atlas
from neurflow.atlas.questions import (
    changed,
    like_group,
    nearest,
    serving,
    shared_groups,
    shortcut_candidates,
    similarities,
)
from neurflow.atlas.tables import renew

__all__ = [
    "Atlas",
    "changed",
    "like_group",
    "nearest",
    "renew",
    "serving",
    "shared_groups",
    "shortcut_candidates",
    "similarities",
]
