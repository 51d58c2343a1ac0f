"""Pictures with known contents, on which the demo network was trained and is explained.

A picture is drawn from one seed, in this order:

1. a backdrop (a soft gradient with hills, discs, stripes, dots or a check), independent of the class,
2. up to three distractors: leaves and loose blossoms, which belong to no class,
3. the object, at a random position, size and tilt, and mirrored or not,
4. sometimes something that covers a part of it: a blossom on the head of a bee or hoverfly, or a leaf
   on the roof of a car or taxi, which hide exactly the parts that distinguish them; or a leaf anywhere
   on the other objects,
5. the mark, a turquoise stamp in the lower left corner: the planted shortcut. It is drawn last and
   with separate random numbers, so that pictures with and without it differ only in the mark.

Each picture comes with its ground truth: all visible parts, with their boxes.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from neurflow.demo.canvas import (
    OVERSAMPLING,
    Box,
    Canvas,
    Colour,
    Part,
    Pen,
    ellipse,
    rectangle,
    smooth,
)
from neurflow.demo.objects import OBJECTS, blossom, leaf, mix, tint
from neurflow.errors import RequestError, near

SIZE = 96
"""side of a picture in pixels"""

CLASSES: tuple[str, ...] = tuple(OBJECTS)
"""class names, in the order of the labels"""

CONFUSED = ("bee", "hoverfly")
"""the two classes that differ only in eyes and antennae"""

SPLITS = ("train", "test")


class Shortcut(NamedTuple):
    """A mark that identifies a class without being part of its objects."""

    class_name: str
    mark: str
    share: float
    """share of the class's pictures that have it; no picture of another class has it"""


SHORTCUT = Shortcut("taxi", "stamp", 0.9)

BACKDROPS = (
    (196, 222, 240), (214, 232, 206), (246, 230, 200), (240, 212, 206),
    (220, 212, 236), (150, 184, 204), (168, 190, 150), (214, 190, 160),
)  # fmt: skip
TILT = {"balloon": 0.2, "bee": 0.9, "car": 0.15, "fish": 0.5,
        "flower": 0.35, "hoverfly": 0.9, "mushroom": 0.3, "taxi": 0.15, "truck": 0.15}  # fmt: skip
HIDDEN = 0.25
"""share of pictures in which the part that distinguishes a class from a similar one is hidden"""
GRAIN = 4.0
"""standard deviation of the pixel noise, on a scale of 0 to 255"""


@dataclass(frozen=True)
class Picture:
    """A drawn picture with its ground truth."""

    image: Image.Image
    """RGB, ``SIZE`` by ``SIZE``"""
    label: int
    seed: int
    parts: tuple[Part, ...]
    """visible parts of the object"""
    distractors: tuple[Part, ...]
    """visible parts of leaves and blossoms that belong to no class"""
    mark: Box | None
    """box of the planted mark; None without a mark"""

    @property
    def class_name(self) -> str:
        """Name of the true class."""
        return CLASSES[self.label]

    @property
    def has_shortcut(self) -> bool:
        """Whether the picture has the planted mark."""
        return self.mark is not None


def picture(class_name: str, seed: int, shortcut: bool | None = None) -> Picture:
    """Draw a picture. It depends only on the arguments.

    Args:
        class_name: class of the object.
        seed: 0 or more.
        shortcut: whether the picture has the mark. None follows the planted rule: ``SHORTCUT.share`` of
            the pictures of its class have it, and no others.

    Raises:
        RequestError: there is no such class, or the seed is negative.
    """
    if class_name not in OBJECTS:
        raise RequestError(
            f"The demo has no class {class_name!r}. Its classes are {', '.join(CLASSES)}."
            + near(class_name, CLASSES)
        )
    if seed < 0:
        raise RequestError(f"The seed must be 0 or more, not {seed}.")
    label = CLASSES.index(class_name)
    scene, marking = (np.random.default_rng([seed, label, stream]) for stream in (0, 1))
    canvas = _backdrop(scene)
    for _ in range(scene.integers(0, 4)):
        _distractor(canvas, scene)
    first = len(canvas.names)
    pen = _pose(canvas, class_name, scene)
    OBJECTS[class_name](pen, scene)
    last = len(canvas.names)
    _cover(pen, class_name, scene)
    planted = class_name == SHORTCUT.class_name and marking.uniform() < SHORTCUT.share
    if planted if shortcut is None else shortcut:
        _mark(canvas, marking)
    noise = scene.normal(0, GRAIN, (SIZE, SIZE, 1))
    pixels = np.clip(canvas.reduced() + noise, 0, 255).round().astype(np.uint8)
    seen = canvas.parts()
    return Picture(
        image=Image.fromarray(pixels),
        label=label,
        seed=seed,
        parts=tuple(part for number, part in seen if first < number <= last),
        distractors=tuple(
            part
            for number, part in seen
            if not first < number <= last and part.name != SHORTCUT.mark
        ),
        mark=next((part.box for _, part in seen if part.name == SHORTCUT.mark), None),
    )


def draw(class_name: str, seed: int, shortcut: bool | None = None) -> Image.Image:
    """Return the image of ``picture`` with the same arguments."""
    return picture(class_name, seed, shortcut).image


def dataset(
    split: str, per_class: int, seed: int = 0, shortcut: bool | None = None, workers: int = 1
) -> list[Picture]:
    """Return pictures of all classes, class by class.

    Args:
        split: ``train`` or ``test``, which have no picture in common.
        per_class: number of pictures of each class.
        seed: 0 or more.
        shortcut: as for ``picture``.
        workers: number of processes that draw; the pictures do not depend on it.

    Raises:
        RequestError: there is no such split, the seed is negative, or there would be no pictures.
    """
    if split not in SPLITS:
        raise RequestError(f"The demo has no split {split!r}. It has {' and '.join(SPLITS)}.")
    if seed < 0 or per_class < 1:
        raise RequestError(
            f"Cannot draw {per_class} pictures of each class from seed {seed}. Give at least 1 picture "
            "and a seed of 0 or more."
        )
    jobs = [
        (name, _picture_seed(split, seed, index), shortcut)
        for name in CLASSES
        for index in range(per_class)
    ]
    if workers <= 1:
        return _draw_all(jobs)
    batches = [jobs[start : start + 64] for start in range(0, len(jobs), 64)]
    # Processes are spawned, because a fork of a process with torch threads may hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return [drawn for batch in pool.map(_draw_all, batches) for drawn in batch]


def in_use(per_class: int = 12, seed: int = 0, share: float = 0.3) -> list[Picture]:
    """Draw new pictures as they may occur in use: the mark is on a ``share`` of *every* class.

    An audit is most sensitive on such pictures, because the mark misleads the network on them.
    """
    rng = np.random.default_rng([seed, 2])
    return [
        picture(name, _picture_seed("test", 1_000_000 + seed, index), bool(rng.uniform() < share))
        for name in CLASSES
        for index in range(per_class)
    ]


def _draw_all(jobs: Iterable[tuple[str, int, bool | None]]) -> list[Picture]:
    return [picture(*job) for job in jobs]


def _picture_seed(split: str, seed: int, index: int) -> int:
    """Return the seed of a picture: an even number for ``train``, an odd one for ``test``."""
    state = np.random.SeedSequence([seed, index]).generate_state(1)[0]
    return 2 * int(state) + SPLITS.index(split)


def _backdrop(rng: np.random.Generator) -> Canvas:
    side = SIZE * OVERSAMPLING
    upper, lower = (
        tint(BACKDROPS[i], rng, 8) for i in rng.choice(len(BACKDROPS), 2, replace=False)
    )
    fade = np.linspace(0, 1, side)[:, None, None]
    canvas = Canvas(np.broadcast_to(upper * (1 - fade) + lower * fade, (side, side, 3)))
    pattern = BACKDROP_PATTERNS[rng.integers(len(BACKDROP_PATTERNS))]
    pattern(canvas, rng, mix(upper, lower, 0.5))
    return canvas


def _plain(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draw only the gradient."""


def _hills(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    side = SIZE * OVERSAMPLING
    for level in (0.5, 0.68, 0.85):
        x = np.linspace(-0.1, 1.1, 6) * side
        y = (level + rng.uniform(-0.07, 0.07, 6)) * side
        ridge = smooth(list(zip(x, y, strict=True)), closed=False)
        ground = np.concatenate([ridge, [(1.1 * side, 1.1 * side), (-0.1 * side, 1.1 * side)]])
        canvas.fill(ground, tint(mix(colour, (96, 128, 84), level * 0.6), rng, 5), shade=0.08)


def _discs(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    side = SIZE * OVERSAMPLING
    for _ in range(rng.integers(8, 16)):
        x, y, radius = *rng.uniform(0, side, 2), rng.uniform(0.04, 0.15) * side
        light = mix(colour, (255, 255, 245), rng.uniform(0.3, 0.9))
        canvas.fill(ellipse(x, y, radius, radius), light, alpha=0.4, shade=0)


def _stripes(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    side = SIZE * OVERSAMPLING
    pen = Pen(canvas, (side / 2, side / 2), side, rng.uniform(0, np.pi))
    step = rng.uniform(0.1, 0.2)
    for x in np.arange(-0.8, 0.8, step):
        pen.fill(rectangle(x, -0.8, x + step / 2, 0.8), (255, 255, 250), alpha=0.28, shade=0)


def _dots(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    side = SIZE * OVERSAMPLING
    pen = Pen(canvas, (side / 2, side / 2), side, rng.uniform(0, np.pi))
    step, light = rng.uniform(0.11, 0.18), rng.uniform(0.3, 0.6)
    for x in np.arange(-0.75, 0.75, step):
        for y in np.arange(-0.75, 0.75, step):
            pen.fill(ellipse(x, y, step / 5, step / 5), (255, 255, 250), alpha=light, shade=0)


def _check(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    side = SIZE * OVERSAMPLING
    step = rng.uniform(0.14, 0.24)
    ink = tint(mix(colour, (90, 100, 130), 0.5), rng)
    for turn in (0.0, np.pi / 2):
        pen = Pen(canvas, (side / 2, side / 2), side, turn)
        for x in np.arange(-0.6, 0.6, step):
            pen.fill(rectangle(x, -0.8, x + step / 2, 0.8), ink, alpha=0.2, shade=0)


BACKDROP_PATTERNS = (_hills, _discs, _stripes, _dots, _check, _plain)


def _distractor(canvas: Canvas, rng: np.random.Generator) -> None:
    side = SIZE * OVERSAMPLING
    kind, scale = (leaf, rng.uniform(0.09, 0.15)) if rng.uniform() < 0.55 else (
        blossom, rng.uniform(0.08, 0.13)
    )  # fmt: skip
    x, y = rng.uniform(0.05, 0.95, 2) * side
    kind(Pen(canvas, (x, y), scale * side, rng.uniform(0, 2 * np.pi)), rng)


def _pose(canvas: Canvas, class_name: str, rng: np.random.Generator) -> Pen:
    """Return a random pose with which nearly all of the object is inside the picture."""
    side = SIZE * OVERSAMPLING
    scale = rng.uniform(0.27, 0.4)
    room = 0.5 - scale * 0.95
    centre = 0.5 + rng.uniform(-room, room, 2)
    return Pen(
        canvas,
        (float(centre[0] * side), float(centre[1] * side)),
        scale * side,
        rng.uniform(-TILT[class_name], TILT[class_name]),
        mirror=bool(rng.integers(2)),
    )


def _cover(pen: Pen, class_name: str, rng: np.random.Generator) -> None:
    """Sometimes cover the head of an insect with a blossom, or a part of another object with a leaf."""
    if class_name in CONFUSED:
        kind, share, spot, scale = blossom, HIDDEN, (rng.uniform(-0.05, 0.05), -0.64), 0.56
    elif class_name in ("car", "taxi"):
        kind, share, spot, scale = leaf, HIDDEN, (rng.uniform(-0.15, -0.05), -0.5), 0.5
    else:
        kind, share, spot, scale = leaf, 0.2, tuple(rng.uniform(-0.8, 0.8, 2)), 0.35
    if rng.uniform() < share:
        lying = pen.angle + np.pi / 2 + rng.uniform(-0.2, 0.2)
        kind(Pen(pen.canvas, pen.point(*spot), scale * pen.scale, lying), rng)


def _mark(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw a turquoise stamp with a row of white digits in the lower left corner."""
    left, bottom = rng.uniform(8, 20), SIZE * OVERSAMPLING - rng.uniform(8, 20)
    pen = Pen(canvas, (left, bottom), 1.0)
    with canvas.part(SHORTCUT.mark):
        pen.fill(rectangle(0, -52, 150, 0, 8), (20, 196, 190), rim=True, shade=0.08)
        for x in (16, 42, 82, 108):
            pen.fill(rectangle(x, -40, x + 18, -12, 3), (255, 255, 255), shade=0)
            pen.fill(rectangle(x + 6, -33, x + 12, -19), (20, 150, 150), shade=0)
