"""Pictures for planted circuits.

1. Each concept has scenes that show only this concept. The lower its level, the more copies they have.
   The pictures that activate a channel most therefore show its own concept, rather than a concept of
   which it is a part.
2. Each class has scenes with all of its concepts.
3. A concept with a veto also has scenes in which the vetoing concept is above every copy.

The strength of colour and pattern varies from tile to tile, every pixel has noise, and a few tiles of
other parts can be added as clutter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from neurflow.planted.network import (
    BRIGHTER,
    CHROMA,
    CONTRAST,
    GREY,
    GRID,
    TILE,
    colour_direction,
    pattern_template,
)
from neurflow.planted.plan import COLOURS, PATTERNS, Concept, Plan

COPIES = {0: 64, 1: 47, 2: 23, 3: 11, 4: 5}
"""level → number of copies of a concept in its own scenes. It is more than twice that of the next
level, so that these scenes activate a channel more than those of two concepts of the next level."""
IN_CLASS = {1: 21, 2: 10, 3: 5, 4: 2}
"""level → number of copies of each concept in the scenes of a class, less than half of ``COPIES``"""
JITTER, NOISE = 0.015, 0.01
"""relative spread of a tile's colour and pattern, and standard deviation of the pixel noise"""

Grid = dict[tuple[int, int], set[str]]
"""position of a tile (right, down) → primitives drawn there"""


@dataclass
class Scene:
    """The contents of a picture.

    Attributes:
        about: concept or class that it was drawn for.
        tiles: position → primitives.
        shows: number of copies of each concept, without clutter.
    """

    about: str
    tiles: Grid = field(default_factory=dict)
    shows: Counter[str] = field(default_factory=Counter)


def draw_scenes(plan: Plan, each: int, clutter: int, seed: int) -> list[Scene]:
    """Draw ``each`` scenes of all concepts and classes, with up to ``clutter`` tiles of other parts."""
    rng = np.random.default_rng([seed, plan.depth, 1])
    scenes = []
    for concept in plan.concepts.values():
        for _ in range(each):
            scenes.append(_own_scene(plan, concept, rng))
            if concept.veto:
                scenes.append(_own_scene(plan, concept, rng, vetoed=True))
    for name, members in plan.classes.items():
        scenes += [_class_scene(plan, name, members, rng) for _ in range(each)]
    for scene in scenes:
        _scatter_clutter(plan, scene, clutter, rng)
    return scenes


def _own_scene(
    plan: Plan, concept: Concept, rng: np.random.Generator, *, vetoed: bool = False
) -> Scene:
    """Return a scene with the copies of one concept.

    A concept with a veto has fewer copies if there is no room for the veto above each of them.
    """
    scene = Scene(concept.name)
    veto = plan.concepts[concept.veto] if concept.veto else None
    height = veto.size[1] if veto else 0
    slots = _slots(concept.size, above=height)
    for right, down in rng.permutation(slots)[: COPIES[concept.level]].tolist():
        _put(plan, scene, concept, right, down)
        if veto and vetoed:
            _put(plan, scene, veto, right, down - height)
    return scene


def _class_scene(plan: Plan, name: str, members: Sequence[str], rng: np.random.Generator) -> Scene:
    scene = Scene(name)
    concepts = [plan.concepts[member] for member in members]
    wanted = concepts * IN_CLASS[concepts[0].level]
    slots = rng.permutation(_slots(concepts[0].size))[: len(wanted)].tolist()
    for concept, (right, down) in zip(wanted, slots, strict=True):
        _put(plan, scene, concept, right, down)
    return scene


def _slots(size: tuple[int, int], above: int = 0) -> list[tuple[int, int]]:
    """Return positions of blocks that do not overlap, with ``above`` free rows of tiles above each."""
    width, height = size
    room = height + above
    return [
        (right, down + above)
        for down in range(0, GRID - room + 1, room)
        for right in range(0, GRID - width + 1, width)
    ]


def _put(plan: Plan, scene: Scene, concept: Concept, right: int, down: int) -> None:
    scene.shows[concept.name] += 1
    if concept.level == 0:
        scene.tiles.setdefault((right, down), set()).add(concept.name)
        return
    for child, (along, below) in zip(concept.children, ((0, 0), concept.offset), strict=True):
        _put(plan, scene, plan.concepts[child], right + along, down + below)


def _scatter_clutter(plan: Plan, scene: Scene, clutter: int, rng: np.random.Generator) -> None:
    """Draw random parts on up to ``clutter`` free tiles."""
    free = [(x, y) for x in range(GRID) for y in range(GRID) if (x, y) not in scene.tiles]
    parts = [concept for concept in plan.concepts.values() if concept.level == 1]
    for number in rng.permutation(len(free))[: rng.integers(clutter + 1)]:
        scene.tiles[free[number]] = {*parts[rng.integers(len(parts))].children}


def render(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Draw a scene: float32 ``[rgb, row, column]`` in [0, 1]."""
    picture = np.full((3, GRID * TILE, GRID * TILE), GREY)
    for (right, down), primitives in sorted(scene.tiles.items()):
        tile = np.full((3, TILE, TILE), BRIGHTER)
        for name in sorted(primitives):
            tile += _stroke(name) * rng.uniform(1 - JITTER, 1 + JITTER)
        rows, columns = (slice(TILE * at, TILE * at + TILE) for at in (down, right))
        picture[:, rows, columns] += tile
    picture += rng.normal(0, NOISE, picture.shape)
    return picture.clip(0, 1).astype(np.float32)


@cache
def _stroke(name: str) -> np.ndarray:
    """Return ``[rgb, row, column]``: what a primitive adds to a tile."""
    if name in COLOURS:
        return np.broadcast_to(CHROMA * colour_direction(name)[:, None, None], (3, TILE, TILE))
    assert name in PATTERNS
    return np.broadcast_to(CONTRAST * pattern_template(name), (3, TILE, TILE))
