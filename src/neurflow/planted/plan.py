"""Plans of circuits: concepts, the units that represent them, and the wires between units.

1. Primitives are six colours and six patterns (edges and textures). A *part* is a colour with a pattern
   on one tile. On each further level, a concept combines two concepts of the level below, alternately
   side by side and one above the other. A class is a weighted sum of concepts of the highest level.
2. Each concept is represented by several units. A unit reads all units of both children of its concept,
   with different weights, and fires only if both are present.
3. Traits make circuits harder to find (:data:`TRAITS`).
4. Distractors are twins of true units, with the same kernels and strength. Their outputs go only to
   other distractors and to a separate class.

All weights are set by hand, so the circuit of each class is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from neurflow.errors import RequestError

COLOURS = ("red", "yellow", "green", "cyan", "blue", "magenta")
PATTERNS = ("edge-h", "edge-v", "corner", "stripes-h", "stripes-v", "checker")
LEVELS = ("detectors", "parts", "motifs", "assemblies", "objects")
"""layers below the head, input side first"""
DEPTHS = range(3, len(LEVELS) + 2)
TRAITS = {
    "inhibitory": "every unit is inhibited by a channel that fires wherever something is drawn",
    "polysemantic": "some channels above the detectors represent two unrelated concepts",
    "redundant": "each concept has four equal channels and units saturate, so losing one has no effect",
    "veto": "units of the highest level are silenced by a concept that is absent where they fire",
}
INHIBITION, VETO = 0.3, 2.0
"""inputs that an inhibitor and a veto subtract; a child that is present adds 1"""
THRESHOLD = 1.1
"""input above which a unit fires: more than that of one child, less than that of two"""


@dataclass(frozen=True)
class Concept:
    """A concept that can be drawn.

    Attributes:
        name: unique.
        level: index in :data:`LEVELS`.
        children: names of the two concepts that it consists of; the first is at its own position.
        size: width and height in tiles.
        offset: tiles from the first child to the second.
        veto: a concept of the level below that silences it if it is directly above.
    """

    name: str
    level: int
    children: tuple[str, ...] = ()
    size: tuple[int, int] = (1, 1)
    offset: tuple[int, int] = (0, 0)
    veto: str | None = None


@dataclass(frozen=True)
class Wire:
    """An input of a unit: a unit of the level below, its weight, and its offset in tiles."""

    source: int
    weight: float
    offset: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Unit:
    """A channel of a level, or a class.

    Attributes:
        concepts: names of the concepts that it represents; several if it is polysemantic.
        wires: for each concept, the inputs that detect it.
        always: inputs that are independent of the concept: inhibitors and vetoes.
        threshold: input above which it fires.
        gain: output per unit of input above the threshold.
        level: output where its concept is fully present.
        distractor: whether it affects only the class of the distractors.
    """

    concepts: tuple[str, ...]
    wires: tuple[tuple[Wire, ...], ...] = ()
    always: tuple[Wire, ...] = ()
    threshold: float = 0.0
    gain: float = 1.0
    level: float = 1.0
    distractor: bool = False


@dataclass(frozen=True)
class Plan:
    """A plan of a circuit.

    Attributes:
        depth: number of layers, including the head.
        traits: names of :data:`TRAITS`.
        concepts: name → concept, primitives first.
        classes: class → names of its concepts, which are of the highest level.
        levels: units of each layer below the head, in the order of its channels.
        head: one unit per class; the last one is that of the distractors.
    """

    depth: int
    traits: frozenset[str]
    concepts: dict[str, Concept]
    classes: dict[str, tuple[str, ...]]
    levels: list[list[Unit]] = field(default_factory=list)
    head: list[Unit] = field(default_factory=list)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, input side first."""
        return (*LEVELS[: self.depth - 1], "head")

    @property
    def saturates(self) -> bool:
        """Whether the outputs of units are limited to 1."""
        return "redundant" in self.traits


GENERIC = "anything"
"""concept of each level's inhibitory channel"""


def draw_plan(depth: int, seed: int, traits: Iterable[str]) -> Plan:
    """Draw a random plan.

    Raises:
        RequestError: there is no such depth or trait.
    """
    chosen = frozenset(traits)
    if depth not in DEPTHS:
        raise RequestError(
            f"Planted networks have a depth from {DEPTHS[0]} to {DEPTHS[-1]}, not {depth}."
        )
    if unknown := sorted(chosen - TRAITS.keys()):
        raise RequestError(f"There is no trait {unknown[0]!r}. Known: {', '.join(TRAITS)}.")
    rng = np.random.default_rng([seed, depth])
    concepts = _concepts(depth, rng, veto="veto" in chosen)
    top = rng.permutation([c.name for c in concepts.values() if c.level == depth - 2]).tolist()
    classes = {f"class-{i}": tuple(top[3 * i : 3 * i + 3]) for i in range(2)}
    plan = Plan(depth, chosen, concepts, classes)
    for level in range(depth - 1):
        plan.levels.append(_level(plan, level, rng))
    plan.head.extend(_head(plan, rng))
    return plan


def _concepts(depth: int, rng: np.random.Generator, *, veto: bool) -> dict[str, Concept]:
    found = {name: Concept(name, 0) for name in (*COLOURS, *PATTERNS)}
    below = [list(COLOURS), list(PATTERNS)]
    width, height = 1, 1
    for level in range(1, depth - 1):
        size, offset = (width, height), (0, 0)
        if level > 1:
            beside = level % 2 == 0
            offset = (width, 0) if beside else (0, height)
            size = width, height = (2 * width, height) if beside else (width, 2 * height)
        names = [name for part in below for name in part]
        pairs = _pairs(below, rng)
        for number, children in enumerate(pairs):
            others = [name for name in names if name not in children]
            name = f"{LEVELS[level][:-1]}-{number}"
            silenced = str(rng.choice(others)) if veto and level == depth - 2 else None
            found[name] = Concept(name, level, children, size, offset, silenced)
        made = [f"{LEVELS[level][:-1]}-{number}" for number in range(len(pairs))]
        below = [made, made]
    return found


def _pairs(below: Sequence[Sequence[str]], rng: np.random.Generator) -> list[tuple[str, str]]:
    """Return pairs of children in which each child occurs once as the first and once as the second."""
    first, second = rng.permutation(below[0]), rng.permutation(below[1])
    while any(a == b for a, b in zip(first, second, strict=True)):
        second = rng.permutation(below[1])
    return [(str(a), str(b)) for a, b in zip(first, second, strict=True)]


def _level(plan: Plan, level: int, rng: np.random.Generator) -> list[Unit]:
    names = [concept.name for concept in plan.concepts.values() if concept.level == level]
    copies = 4 if plan.saturates else 2
    true = [_unit(plan, (name,), rng) for name in names for _ in range(copies)]
    if "polysemantic" in plan.traits and level:
        pairs = [pair for pair in combinations(names, 2) if _unrelated(plan, *pair)]
        for number in rng.choice(len(pairs), min(3, len(pairs)), replace=False):
            true.append(_unit(plan, pairs[number], rng))
    if "inhibitory" in plan.traits:
        below = carriers(plan, level - 1, GENERIC)
        true.append(Unit((GENERIC,), (tuple(Wire(s, 1.0) for s in below),)))
    twins = [_twin(plan, level, unit, rng) for unit in true]
    units = [*true, *twins]
    return [units[i] for i in rng.permutation(len(units))]


def _unrelated(plan: Plan, first: str, second: str) -> bool:
    """Return whether two concepts share no class and no channel that represents a child.

    Otherwise that channel would drive a unit of both concepts twice.
    """
    a, b = (plan.concepts[name] for name in (first, second))
    read = [
        {
            source
            for child in concept.children
            for source in carriers(plan, concept.level - 1, child)
        }
        for concept in (a, b)
    ]
    together = any({first, second} <= {*members} for members in plan.classes.values())
    return read[0].isdisjoint(read[1]) and not together


def carriers(plan: Plan, level: int, concept: str, *, distractor: bool = False) -> list[int]:
    """Return the channels of a level that represent a concept."""
    if level < 0:
        return []
    return [
        number
        for number, unit in enumerate(plan.levels[level])
        if concept in unit.concepts and unit.distractor == distractor
    ]


def _unit(plan: Plan, names: tuple[str, ...], rng: np.random.Generator) -> Unit:
    level = 1.0 if plan.saturates else float(rng.uniform(0.6, 1.0))
    concepts = [plan.concepts[name] for name in names]
    if concepts[0].level == 0:
        return Unit(names, level=level)
    below = concepts[0].level - 1
    wires = tuple(
        tuple(
            wire
            for child, offset in zip(c.children, ((0, 0), c.offset), strict=True)
            for wire in _wires(plan, below, child, offset, rng)
        )
        for c in concepts
    )
    always = [Wire(s, -INHIBITION) for s in carriers(plan, below, GENERIC)]
    for concept in concepts:
        if concept.veto:
            above = (0, -plan.concepts[concept.veto].size[1])
            always += _wires(plan, below, concept.veto, above, rng, total=-VETO)
    inhibition = INHIBITION if carriers(plan, below, GENERIC) else 0.0
    threshold = THRESHOLD - inhibition
    # A saturating unit still fires fully if one of its eight inputs is lost.
    drive = 2 - inhibition - threshold - (0.45 if plan.saturates else 0.0)
    return Unit(names, wires, tuple(always), threshold, level / drive, level)


def _wires(
    plan: Plan,
    level: int,
    concept: str,
    offset: tuple[int, int],
    rng: np.random.Generator,
    total: float = 1.0,
) -> list[Wire]:
    """Return wires from all units of a concept, which sum to ``total`` where it is present."""
    sources = carriers(plan, level, concept)
    shares = np.ones(len(sources)) if plan.saturates else rng.uniform(0.5, 1.0, len(sources))
    shares = total * shares / shares.sum()
    units = plan.levels[level]
    return [
        Wire(s, float(share) / units[s].level, offset)
        for s, share in zip(sources, shares, strict=True)
    ]


def _twin(plan: Plan, level: int, unit: Unit, rng: np.random.Generator) -> Unit:
    """Return a distractor like a unit; about half of its wires come from distractors below."""

    def moved(wire: Wire) -> Wire:
        source = plan.levels[level - 1][wire.source]
        twins = [
            number
            for number, other in enumerate(plan.levels[level - 1])
            if other.distractor
            and other.concepts == source.concepts
            and other.level == source.level
        ]
        if twins and rng.random() < 0.5:
            return Wire(int(rng.choice(twins)), wire.weight, wire.offset)
        return wire

    wires = tuple(tuple(map(moved, part)) for part in unit.wires)
    always = tuple(map(moved, unit.always))
    return Unit(
        unit.concepts, wires, always, unit.threshold, unit.gain, unit.level, distractor=True
    )


def _head(plan: Plan, rng: np.random.Generator) -> list[Unit]:
    """Return the units of the classes, and of the distractors' class."""
    top = plan.depth - 2
    units = []
    for name, members in plan.classes.items():
        wires = [
            wire
            for concept, share in zip(members, (1.0, 0.9, 0.8), strict=True)
            for wire in _wires(plan, top, concept, (0, 0), rng, total=share)
        ]
        width, height = plan.concepts[members[0]].size
        weight = -INHIBITION / (2 * width * height)  # the inhibitory channel fires on every tile
        always = tuple(Wire(s, weight) for s in carriers(plan, top, GENERIC))
        units.append(Unit((name,), (tuple(wires),), always))
    twins = [n for n, unit in enumerate(plan.levels[top]) if unit.distractor]
    idle = tuple(Wire(s, float(rng.uniform(1, 3))) for s in twins)
    return [*units, Unit(("idle",), (idle,), distractor=True)]
