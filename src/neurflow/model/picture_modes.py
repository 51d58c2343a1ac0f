"""Converts pictures between Pillow's modes.

``in_mode`` converts a picture to the mode that a transform needs. Values are scaled by their type only:
8, 12 or 16 bits and integers up to 65535, floating point up to 1.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from neurflow.errors import UnreadableImage

DEEP = ("I;16", "I", "F")
"""modes of one channel with more than 8 bits"""
_BLOCK = 2**20
"""number of values converted at once"""


def is_deep(picture: Image.Image) -> bool:
    """Return whether a picture is grey with more than 8 bits."""
    return picture.mode in DEEP or picture.mode.startswith("I;16")


def deep_grey(picture: Image.Image) -> Image.Image:
    """Return a grey picture of more than 8 bits as floating point (mode ``F``) from 0 to 1.

    Raises:
        UnreadableImage: a value is outside the range of its type.
    """
    return Image.fromarray(_unit(picture))


def in_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Return a copy of a picture in one of Pillow's modes, scaled by its type.

    Floating-point pictures have values from 0 to 1, integers of more than 8 bits from 0 to 65535. A
    picture that has the mode already is not changed.

    Raises:
        UnreadableImage: a value is outside the range of its type.
    """
    if picture.mode == mode:
        return picture.copy()
    if mode not in DEEP:
        return _converted(_eight_bit(picture), mode)
    if not is_deep(picture):
        picture = _converted(picture, "L")
    values = _unit(picture)
    return Image.fromarray(
        values
        if mode == "F"
        else np.round(values * 65535).astype(np.uint16 if mode == "I;16" else np.int32)
    )


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Reduce a grey picture of more than 8 bits to 8 bits; return other pictures unchanged."""
    if not is_deep(picture):
        return picture
    values = np.asarray(picture)
    made = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK // max(1, values.shape[1]))
    for top in range(0, len(values), rows):
        part = _checked(values[top : top + rows])
        made[top : top + rows] = np.round(part * 255) if part.dtype.kind == "f" else part >> 8
    return Image.fromarray(made)


def _unit(picture: Image.Image) -> np.ndarray:
    """Return the values of a grey picture as float32 from 0 to 1."""
    values = _checked(np.asarray(picture))
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    return (values / (255 if values.dtype == np.uint8 else 65535)).astype(np.float32)


def _checked(values: np.ndarray) -> np.ndarray:
    """Return the values if they are in the range of their type; raise ``UnreadableImage`` otherwise."""
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        if not (np.isfinite(low) and np.isfinite(high)):
            raise UnreadableImage("it has values that are not finite")
        if low < -1e-6 or high > 1 + 1e-6:
            raise UnreadableImage(
                f"its floating-point values range from {low:.4g} to {high:.4g}, not from 0 to 1"
            )
        return values.clip(0, 1)
    if values.dtype == np.int32 and 0 < high <= 255 and low >= 0:
        raise UnreadableImage(
            "its 32-bit integers are at most 255, so they seem to have 8 bits; "
            'save it with 8 bits: picture.convert("L")'
        )
    if low < 0 or high > 65535:
        raise UnreadableImage(f"its integers range from {low} to {high}, not from 0 to 65535")
    return values


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    """Convert between modes of 8 bits, if necessary by an intermediate mode."""
    if picture.mode in ("La", "RGBa"):
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        made = ImageCms.profileToProfile(picture, *profiles, outputMode="RGB")
        assert made is not None, "only a conversion in place gives None"
        picture = made
    return picture.copy() if picture.mode == mode else picture.convert(mode)
