"""Functions that draw the objects of each class, part by part.

A drawing function gets a ``Pen`` (object coordinates about -1 to 1, y downwards) and a random
generator for the variation within the class. Classes differ in their parts. They share colours as far
as possible, so that no class can be recognised by its colour.

Bee and hoverfly differ only in the head: a bee has small dark eyes and long antennae, a hoverfly has
large red eyes and short antennae. (A bee's two pairs of wings are hooked together and look like one.)
A taxi is a car with a sign on the roof. A truck also has a cabin, a window, a lamp and wheels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurflow.demo.canvas import Colour, Pen, Points, ellipse, rectangle, smooth

Draw = Callable[[Pen, np.random.Generator], None]

INK = (38, 34, 44)
PAINTS = (
    (222, 66, 58), (240, 134, 48), (246, 190, 60), (112, 168, 74),
    (62, 110, 190), (126, 84, 168), (232, 112, 150), (236, 228, 212),
)  # fmt: skip
PETALS = (*PAINTS[:3], *PAINTS[4:])
GREENS = ((88, 148, 70), (60, 124, 78), (128, 164, 66))
GLASS = (178, 214, 232)


def tint(colour: Colour, rng: np.random.Generator, amount: float = 12.0) -> Colour:
    """Return the colour with a small random variation."""
    return np.clip(np.asarray(colour, float) + rng.normal(0, amount, 3), 8, 250)


def pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    """Return a random one of the colours, with a small random variation."""
    return tint(colours[rng.integers(len(colours))], rng)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Return the colour that is ``share`` of the way from ``a`` to ``b``."""
    return np.asarray(a, float) * (1 - share) + np.asarray(b, float) * share


def _petal(angle: float, reach: float, width: float) -> Points:
    """Return a drop shape that starts at the origin; ``angle`` 0 points up."""
    drop = smooth(
        [(0, 0), (width * 0.7, -reach * 0.5), (width * 0.6, -reach * 0.88), (0, -reach),
         (-width * 0.6, -reach * 0.88), (-width * 0.7, -reach * 0.5)]
    )  # fmt: skip
    cos, sin = np.cos(angle), np.sin(angle)
    turned: Points = drop @ np.array([[cos, sin], [-sin, cos]])
    return turned


def leaf(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a leaf with a midrib, about 2 long, pointing up."""
    colour = pick(rng, GREENS)
    with pen.canvas.part("leaf"):
        blade = smooth([(0, 1), (0.42, 0.35), (0.36, -0.4), (0, -1), (-0.36, -0.4), (-0.42, 0.35)])
        pen.fill(blade, colour, rim=True)
        pen.stroke(np.array([(0, 0.95), (0, -0.8)]), 0.07, mix(colour, (255, 255, 220), 0.4))
        for y in (0.5, 0.1, -0.3):
            for side in (-1, 1):
                vein = np.array([(0, y), (side * 0.26, y - 0.24)])
                pen.stroke(vein, 0.045, mix(colour, (255, 255, 220), 0.3))


def blossom(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a ring of petals around a disc, without a stem."""
    _corolla(pen, rng, pick(rng, PETALS), count=int(rng.integers(5, 10)))


def _corolla(pen: Pen, rng: np.random.Generator, colour: Colour, count: int) -> None:
    turn = rng.uniform(0, 2 * np.pi)
    width = rng.uniform(1.7, 2.1) / count**0.75
    for i in range(count):
        with pen.canvas.part("petal"):
            angle = turn + 2 * np.pi * i / count
            pen.fill(_petal(angle, 1.0, width), colour, rim=True)
            pen.fill(_petal(angle, 0.62, width * 0.45), mix(colour, (255, 255, 255), 0.28), shade=0)
    disc = tint(((246, 196, 62), (120, 74, 48))[rng.integers(2)], rng)
    with pen.canvas.part("disc"):
        pen.fill(ellipse(0, 0, 0.32, 0.32), disc, rim=True)
        for angle in np.arange(7) * 2 * np.pi / 7:
            dot = ellipse(0.17 * np.cos(angle), 0.17 * np.sin(angle), 0.045, 0.045)
            pen.fill(dot, mix(disc, (60, 30, 20), 0.45), shade=0)


def flower(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a stem, two leaves, petals and a disc."""
    green, sway = pick(rng, GREENS), rng.uniform(-0.25, 0.25)
    stalk = smooth([(0, -0.4), (sway, 0.3), (0, 1.1)], closed=False)
    with pen.canvas.part("stem"):
        pen.stroke(stalk, 0.11, green)
    for side in (-1, 1):
        with pen.canvas.part("leaf"):
            blade = _petal(side * rng.uniform(0.8, 1.2), 0.62, 0.24)
            pen.fill(blade + np.array([sway * 0.7, rng.uniform(0.6, 0.8)]), green, rim=True)
    centre = pen.point(0, -0.42)
    head = Pen(pen.canvas, centre, pen.scale * rng.uniform(0.56, 0.68), pen.angle)
    _corolla(head, rng, pick(rng, PETALS), count=int(rng.integers(5, 10)))


def _wing(pen: Pen, side: int, root: float, angle: float, length: float) -> None:
    blade = _petal(side * angle, length, length * 0.34)
    with pen.canvas.part("wing"):
        pen.fill(blade + np.array([side * 0.14, root]), (226, 238, 248), alpha=0.72, rim=True)
        for spread in (-0.13, 0.08):
            direction = angle + spread
            tip = (np.sin(direction) * side * length * 0.8, -np.cos(direction) * length * 0.8)
            vein = np.array([(side * 0.16, root), (side * 0.14 + tip[0], root + tip[1])])
            pen.stroke(vein, 0.025, (120, 140, 160), inside=True, alpha=0.6)


def _insect(
    pen: Pen, rng: np.random.Generator, *, antenna: float, eye: float, iris: Colour
) -> None:
    """Draw a striped insect from above, head up. Bee and hoverfly differ only in the keywords."""
    yellow = pick(rng, ((246, 190, 52), (238, 164, 44), (250, 210, 96)))
    for y in (-0.3, -0.1, 0.1):
        for side in (-1, 1):
            with pen.canvas.part("leg"):
                knee = [(side * 0.2, y), (side * 0.5, y + 0.04), (side * 0.62, y + 0.3)]
                pen.stroke(smooth(knee, closed=False), 0.055, INK)
    with pen.canvas.part("abdomen"):
        body = smooth([(0, -0.02), (0.3, 0.14), (0.34, 0.5), (0.16, 0.88), (0, 0.98),
                       (-0.16, 0.88), (-0.34, 0.5), (-0.3, 0.14)])  # fmt: skip
        pen.fill(body, yellow, rim=True)
        bands = int(rng.integers(3, 5))
        for i in range(bands):
            y = 0.2 + 0.68 * i / bands
            band = smooth([(-0.5, y), (0, y + 0.05), (0.5, y)], closed=False)
            pen.stroke(band, rng.uniform(0.1, 0.13), INK, inside=True)
    spread = rng.uniform(-0.12, 0.12)
    length = rng.uniform(0.86, 0.98)
    for side in (-1, 1):
        _wing(pen, side, -0.16, 1.72 + spread, length)
    with pen.canvas.part("thorax"):
        pen.fill(ellipse(0, -0.2, 0.27, 0.27), mix(yellow, INK, 0.55), rim=True)
        for _ in range(26):
            angle, reach = rng.uniform(0, 2 * np.pi), 0.26 * np.sqrt(rng.uniform())
            hair = ellipse(reach * np.cos(angle), -0.2 + reach * np.sin(angle), 0.04, 0.02, angle)
            pen.fill(hair, mix(yellow, INK, rng.uniform(0.1, 0.5)), inside=True, shade=0)
    for side in (-1, 1):
        with pen.canvas.part("antenna"):
            bend = [(side * 0.06, -0.6), (side * (0.08 + 0.3 * antenna), -0.64 - 0.4 * antenna),
                    (side * (0.1 + 0.6 * antenna), -0.66 - 0.5 * antenna)]  # fmt: skip
            pen.stroke(smooth(bend, closed=False), 0.06, INK)
    with pen.canvas.part("head"):
        pen.fill(ellipse(0, -0.55, 0.21, 0.17), mix(INK, yellow, 0.12), rim=True)
    for side in (-1, 1):
        with pen.canvas.part("eye"):
            x = side * (0.21 - eye * 0.55)
            pen.fill(ellipse(x, -0.57, eye * 0.85, eye, side * 0.3), tint(iris, rng, 6), rim=True)
            glint = ellipse(x - eye * 0.25, -0.57 - eye * 0.35, eye * 0.22, eye * 0.22)
            pen.fill(glint, (255, 250, 245), alpha=0.8, shade=0)


def bee(pen: Pen, rng: np.random.Generator) -> None:
    """Draw an insect with small dark eyes and long antennae."""
    _insect(pen, rng, antenna=rng.uniform(0.5, 0.65), eye=0.09, iris=(60, 40, 40))


def hoverfly(pen: Pen, rng: np.random.Generator) -> None:
    """Draw an insect with large red eyes and short antennae."""
    _insect(pen, rng, antenna=rng.uniform(0.1, 0.2), eye=0.17, iris=(170, 58, 44))


def mushroom(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a stem with a ring, and a cap with spots."""
    cream, lean = tint((240, 226, 200), rng, 6), rng.uniform(-0.12, 0.12)
    foot = rng.uniform(0.22, 0.32)
    with pen.canvas.part("stem"):
        stalk = [(-0.17, -0.1), (0.17, -0.1), (lean + foot * 0.8, 0.6), (lean + foot, 0.95),
                 (lean - foot, 0.95), (lean - foot * 0.8, 0.6)]  # fmt: skip
        pen.fill(smooth(stalk), cream, rim=True)
    with pen.canvas.part("ring"):
        skirt = [(-0.2, 0.14), (0.2, 0.14), (0.33, 0.34), (0.1, 0.3), (-0.1, 0.33), (-0.33, 0.34)]
        pen.fill(smooth(skirt), mix(cream, (255, 255, 255), 0.3), rim=True)
    with pen.canvas.part("gills"):
        pen.fill(ellipse(0, -0.06, 0.72, 0.15), mix(cream, (120, 80, 60), 0.35), rim=True)
        for x in np.linspace(-0.6, 0.6, 9):
            spoke = np.array([(x * 0.35, -0.14), (x * 1.1, 0.12)])
            pen.stroke(spoke, 0.03, mix(cream, (90, 60, 50), 0.6), inside=True)
    height = rng.uniform(0.75, 1.0)
    with pen.canvas.part("cap"):
        dome = smooth([(-0.88, -0.02), (-0.74, -0.45 * height), (-0.38, -0.82 * height),
                       (0, -0.94 * height), (0.38, -0.82 * height), (0.74, -0.45 * height),
                       (0.88, -0.02), (0.45, -0.08), (0, -0.1), (-0.45, -0.08)])  # fmt: skip
        pen.fill(dome, pick(rng, PAINTS[:7]), rim=True, shade=0.24)
        pen.fill(ellipse(-0.3, -0.62 * height, 0.22, 0.07, -0.5), (255, 255, 255), alpha=0.3)
    for x, y in ((-0.52, -0.28), (-0.16, -0.5), (0.22, -0.26), (0.5, -0.46), (0.08, -0.76)):
        with pen.canvas.part("spot"):
            size = rng.uniform(0.07, 0.13)
            pen.fill(ellipse(x, y * height, size * 1.15, size), (250, 244, 232))


def fish(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a fish that faces right: body with scales, tail, fins and eye."""
    colour = pick(rng, PAINTS[:7])
    fin = mix(colour, pick(rng, PAINTS), 0.45)
    depth = rng.uniform(0.4, 0.52)
    with pen.canvas.part("tail"):
        pen.fill(smooth([(-0.5, 0), (-0.98, -0.46), (-0.86, 0), (-0.98, 0.46)]), fin, rim=True)
    with pen.canvas.part("dorsal fin"):
        pen.fill(smooth([(-0.4, -depth * 0.5), (-0.3, -depth - 0.25), (0.2, -depth - 0.14),
                         (0.4, -depth * 0.6)]), fin, rim=True)  # fmt: skip
    with pen.canvas.part("body"):
        pen.fill(smooth([(-0.64, 0), (-0.2, -depth * 0.9), (0.35, -depth * 0.9), (0.9, 0),
                         (0.35, depth * 0.9), (-0.2, depth * 0.9)]), colour, rim=True,
                 shade=0.3)  # fmt: skip
        for row, y in enumerate(np.arange(-0.42, 0.5, 0.14)):
            for x in np.arange(-0.55, 0.3, 0.17) + 0.085 * (row % 2):
                arc = np.roll(ellipse(x, y, 0.085, 0.085), 9, axis=0)[:19]
                pen.stroke(arc, 0.03, mix(colour, INK, 0.35), inside=True, alpha=0.8)
        mouth = smooth([(0.92, 0.06), (0.8, 0.1), (0.72, 0.08)], closed=False)
        pen.stroke(mouth, 0.035, mix(colour, INK, 0.6), inside=True)
    with pen.canvas.part("gill"):
        arch = smooth([(0.4, -0.26), (0.3, 0), (0.4, 0.26)], closed=False)
        pen.stroke(arch, 0.05, mix(colour, INK, 0.45))
    with pen.canvas.part("pectoral fin"):
        pen.fill(smooth([(0.24, 0.06), (-0.1, 0.1), (-0.16, 0.32), (0.14, 0.24)]), fin, rim=True)
    with pen.canvas.part("eye"):
        pen.fill(ellipse(0.58, -0.1, 0.11, 0.11), (250, 248, 240), rim=True)
        pen.fill(ellipse(0.6, -0.1, 0.06, 0.06), INK, shade=0)


def balloon(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a hot-air balloon: an envelope with coloured gores, ropes and a basket."""
    first, second = rng.choice(len(PAINTS), 2, replace=False)
    colours = tint(PAINTS[first], rng), tint(PAINTS[second], rng)
    for x in (-0.1, 0.1):
        with pen.canvas.part("rope"):
            pen.stroke(np.array([(x * 2.2, 0.3), (x * 1.3, 0.8)]), 0.035, (90, 70, 56))
    with pen.canvas.part("envelope"):
        hull = smooth([(0, -1), (0.52, -0.83), (0.74, -0.36), (0.58, 0.06), (0.24, 0.42),
                       (-0.24, 0.42), (-0.58, 0.06), (-0.74, -0.36), (-0.52, -0.83)])  # fmt: skip
        pen.fill(hull, colours[0], rim=True, shade=0.24)
        gores = np.linspace(-0.84, 0.84, 8)
        for left, right in zip(gores[::2], gores[1::2], strict=True):
            stripe = smooth([(left * 0.3, -1.05), (right * 0.3, -1.05), (right, -0.36),
                             (right * 0.35, 0.5), (left * 0.35, 0.5), (left, -0.36)])  # fmt: skip
            pen.fill(stripe, colours[1], inside=True, shade=0.24)
        pen.fill(ellipse(-0.34, -0.6, 0.1, 0.22, 0.5), (255, 255, 255), alpha=0.3, inside=True)
    with pen.canvas.part("basket"):
        wicker = tint((160, 112, 66), rng)
        pen.fill(rectangle(-0.17, 0.74, 0.17, 1.0, 0.04), wicker, rim=True)
        for y in (0.82, 0.91):
            pen.stroke(np.array([(-0.16, y), (0.16, y)]), 0.028, mix(wicker, INK, 0.5), inside=True)


def _wheel(pen: Pen, x: float, radius: float) -> None:
    with pen.canvas.part("wheel"):
        pen.fill(ellipse(x, 0.42, radius, radius), INK)
        pen.fill(ellipse(x, 0.42, radius * 0.55, radius * 0.55), (200, 204, 210))
        pen.fill(ellipse(x, 0.42, radius * 0.2, radius * 0.2), (110, 112, 120))


def _lamp(pen: Pen, x: float, y: float) -> None:
    with pen.canvas.part("lamp"):
        pen.fill(ellipse(x, y, 0.06, 0.075), (255, 236, 150), rim=True)


def car(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a car that faces right: rounded body, cabin with two windows, two wheels and a lamp."""
    colour, rear = pick(rng, PAINTS), rng.uniform(-0.85, -0.5)
    with pen.canvas.part("cabin"):
        roof = [(rear, 0.06), (rear + 0.14, -0.4), (0.1, -0.44), (0.32, -0.36), (0.58, 0.06)]
        pen.fill(smooth(roof), colour, rim=True)
    for x0, x1, slant in ((rear + 0.17, -0.12, -0.03), (-0.04, 0.38, -0.2)):
        with pen.canvas.part("window"):
            pane = np.array([(x0, -0.32), (x1 + slant, -0.32), (x1, -0.02), (x0 - 0.04, -0.02)])
            pen.fill(pane, GLASS, rim=True)
    with pen.canvas.part("body"):
        pen.fill(rectangle(-1.0, -0.02, 1.0, 0.42, 0.16), colour, rim=True)
        pen.stroke(
            np.array([(-0.95, 0.24), (0.95, 0.24)]), 0.05, mix(colour, INK, 0.3), inside=True
        )
    _lamp(pen, 0.9, 0.12)
    for x in (-0.56, 0.56):
        _wheel(pen, x, 0.24)


def taxi(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a car with a sign on the roof."""
    car(pen, rng)
    with pen.canvas.part("sign"):
        pen.fill(rectangle(-0.34, -0.66, 0.12, -0.42, 0.05), tint((250, 206, 60), rng), rim=True)
        for x in (-0.25, -0.11, 0.03):
            pen.fill(rectangle(x - 0.035, -0.6, x + 0.035, -0.48), INK, shade=0)


def truck(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a truck that faces right: cabin, load behind it, three wheels and a lamp."""
    colour, load = pick(rng, PAINTS), pick(rng, PAINTS)
    height = rng.uniform(0.42, 0.72)
    with pen.canvas.part("load"):
        pen.fill(rectangle(-1.0, -height, 0.3, 0.3, 0.03), load, rim=True)
        for x in np.linspace(-0.8, 0.1, 5):
            rib = np.array([(x, -height), (x, 0.3)])
            pen.stroke(rib, 0.045, mix(load, INK, 0.22), inside=True)
    with pen.canvas.part("body"):
        pen.fill(rectangle(-1.0, 0.26, 1.0, 0.42, 0.04), mix(colour, INK, 0.4), rim=True)
    with pen.canvas.part("cabin"):
        front = [(0.36, -0.42), (0.72, -0.42), (0.86, -0.06), (1.0, 0.0), (1.0, 0.36), (0.36, 0.36)]
        pen.fill(np.array(front), colour, rim=True)
    with pen.canvas.part("window"):
        pen.fill(np.array([(0.46, -0.32), (0.68, -0.32), (0.79, -0.03), (0.46, -0.03)]), GLASS,
                 rim=True)  # fmt: skip
    _lamp(pen, 0.93, 0.14)
    for x in (-0.72, -0.3, 0.62):
        _wheel(pen, x, 0.19)


OBJECTS: dict[str, Draw] = {
    "balloon": balloon, "bee": bee, "car": car, "fish": fish,
    "flower": flower, "hoverfly": hoverfly, "mushroom": mushroom, "taxi": taxi, "truck": truck,
}  # fmt: skip
