"""Anti-aliased drawing that records which part each pixel belongs to.

1. A canvas is ``OVERSAMPLING`` times as large as the picture. Shapes are polygons that are filled on
   the large canvas. Averaging it down gives smooth edges without a vector library.
2. A second array holds the owner of each pixel: each shape writes the number of its part. Later shapes
   cover earlier ones, so in the end the box of a part contains what is *visible* of it.
3. The same array is used for clipping: ``inside=True`` paints only on pixels that the open part owns
   already. Stripes, for example, then stay on an abdomen.

A ``Pen`` draws in the coordinates of the object, about -1 to 1 with y downwards, and maps them to the
canvas by its pose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import find_objects

OVERSAMPLING = 4
SMALLEST_PART = 2.0
"""smallest number of visible pixels of a visible part"""

Box = tuple[int, int, int, int]
Colour = Sequence[float] | NDArray[np.float64]
"""red, green, blue, 0 to 255"""
Points = NDArray[np.float64]
"""``[point, (x, y)]`` float64"""


class Style(TypedDict, total=False):
    """How a shape is painted; see ``Canvas.fill``."""

    alpha: float
    shade: float
    inside: bool


@dataclass(frozen=True)
class Part:
    """A visible part of a picture."""

    name: str
    box: Box
    """left, top, right, bottom in pixels; right and bottom are exclusive"""
    area: float
    """number of visible pixels; may be fractional"""


class Canvas:
    """Colours ``[row, column, rgb]`` from 0 to 255, and the owner of each pixel, at the large size."""

    def __init__(self, backdrop: NDArray[np.float64]) -> None:
        self.pixels = backdrop.astype(np.float32)
        self.owners = np.zeros(backdrop.shape[:2], np.int16)
        self.names: list[str] = []
        self._open = 0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Assign the shapes that are filled in this context to a new part called ``name``."""
        outer = self._open
        self.names.append(name)
        self._open = len(self.names)
        try:
            yield
        finally:
            self._open = outer

    def fill(
        self,
        outline: Points,
        colour: Colour,
        *,
        alpha: float = 1.0,
        shade: float = 0.16,
        edge: float = 0.0,
        inside: bool = False,
    ) -> None:
        """Fill a closed polygon.

        Args:
            outline: corners in pixels of the large canvas.
            colour: its colour.
            alpha: opacity, 0 to 1.
            shade: how much it is lightened towards the upper left and darkened towards the lower right.
            edge: width of a darker rim in pixels of the large canvas.
            inside: whether only pixels that the open part owns already are painted.
        """
        height, width = len(self.owners), len(self.owners[0])
        left, top = np.maximum(np.floor(outline.min(0)).astype(int) - 2, 0)
        right, bottom = np.minimum(np.ceil(outline.max(0)).astype(int) + 3, (width, height))
        if right <= left or bottom <= top:
            return
        window = np.s_[top:bottom, left:right]
        corners = [(float(x), float(y)) for x, y in outline - (left, top)]
        mask = Image.new("L", (int(right - left), int(bottom - top)))
        ImageDraw.Draw(mask).polygon(corners, fill=255)
        covered = np.asarray(mask) > 0
        if inside:
            covered = covered & (self.owners[window] == self._open)
        slope_y, slope_x = np.linspace(-1, 1, bottom - top), np.linspace(-1, 1, right - left)
        light = 1 - shade * (0.65 * slope_y[:, None] + 0.35 * slope_x[None, :])
        if edge:
            rim = Image.new("L", mask.size)
            ImageDraw.Draw(rim).line(
                [*corners, *corners[:2]], fill=255, width=max(round(edge), 1), joint="curve"
            )
            light = np.where(np.asarray(rim) > 0, light * 0.62, light)
        pixels = self.pixels[window]
        before = pixels[covered]
        paint = np.asarray(colour, np.float32) * light[covered, None].astype(np.float32)
        pixels[covered] = before + alpha * (paint - before)
        self.owners[window][covered] = self._open

    def parts(self) -> list[tuple[int, Part]]:
        """Return the visible parts with their numbers from 1."""
        areas = np.bincount(self.owners.ravel(), minlength=len(self.names) + 1) / OVERSAMPLING**2
        found = []
        for number, window in enumerate(find_objects(self.owners), start=1):
            if areas[number] < SMALLEST_PART:
                continue
            rows, columns = window
            box = (
                columns.start // OVERSAMPLING,
                rows.start // OVERSAMPLING,
                -(-columns.stop // OVERSAMPLING),
                -(-rows.stop // OVERSAMPLING),
            )
            part = Part(self.names[number - 1], box, float(areas[number]))
            found.append((number, part))
        return found

    def reduced(self) -> NDArray[np.float32]:
        """Return the picture, float32 ``[row, column, rgb]``: the means of blocks of pixels."""
        rows, columns = len(self.owners) // OVERSAMPLING, len(self.owners[0]) // OVERSAMPLING
        blocks = self.pixels.reshape(rows, OVERSAMPLING, columns, OVERSAMPLING, 3)
        reduced: NDArray[np.float32] = blocks.mean(axis=(1, 3))
        return reduced


@dataclass
class Pen:
    """A canvas with a pose: centre and scale in large pixels, angle in radians, mirrored or not."""

    canvas: Canvas
    centre: tuple[float, float]
    scale: float
    angle: float = 0.0
    mirror: bool = False
    rim: float = 3.0

    def fill(
        self, points: Points, colour: Colour, *, rim: bool = False, **style: Unpack[Style]
    ) -> None:
        """Fill a closed polygon given in object coordinates; ``style`` as in ``Canvas.fill``."""
        self.canvas.fill(self._place(points), colour, edge=self.rim if rim else 0.0, **style)

    def stroke(self, points: Points, width: float, colour: Colour, **style: Unpack[Style]) -> None:
        """Draw an open line of the given width through the points, with round ends."""
        self.fill(ribbon(points, width), colour, **style)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return the position on the large canvas of a point of the object."""
        placed = self._place(np.array([(x, y)]))[0]
        return float(placed[0]), float(placed[1])

    def _place(self, points: Points) -> Points:
        x, y = (points * self.scale).T
        if self.mirror:
            x = -x
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.stack([cos * x - sin * y, sin * x + cos * y], axis=1) + self.centre


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> Points:
    """Return the outline of an ellipse rotated by ``angle`` radians."""
    turn = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    u, v = rx * np.cos(turn), ry * np.sin(turn)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([x + cos * u - sin * v, y + sin * u + cos * v], axis=1)


def rectangle(x0: float, y0: float, x1: float, y1: float, radius: float = 0.0) -> Points:
    """Return the outline of a rectangle with rounded corners."""
    if radius == 0:
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)
    turn = np.linspace(0, np.pi / 2, 6)
    left, right, top, bottom = x0 + radius, x1 - radius, y0 + radius, y1 - radius
    centres = ((right, bottom), (left, bottom), (left, top), (right, top))
    return np.concatenate(
        [
            np.stack([x + radius * np.cos(turn + q), y + radius * np.sin(turn + q)], axis=1)
            for (x, y), q in zip(centres, np.arange(4) * np.pi / 2, strict=True)
        ]
    )


def smooth(points: Sequence[tuple[float, float]], closed: bool = True) -> Points:
    """Return a Catmull-Rom curve through the points."""
    knots = np.asarray(points, float)
    if not closed:
        knots = np.concatenate([knots[:1], knots, knots[-1:]])
        spans = len(knots) - 3
        index = np.arange(spans)[:, None] + np.arange(4)
    else:
        index = (np.arange(len(knots))[:, None] + np.arange(-1, 3)) % len(knots)
    t = np.linspace(0, 1, 8, endpoint=False)[None, :, None]
    a, b, c, d = (knots[index[:, i]][:, None, :] for i in range(4))
    curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, knots[-1:]])


def ribbon(points: Points, width: float) -> Points:
    """Return the outline of a band of constant width along a line."""
    line = np.asarray(points, float)
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) * width / 2
    return np.concatenate([line + across, (line - across)[::-1]])
