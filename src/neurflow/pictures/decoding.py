"""Decodes all pictures, from files and uploads: upright, and in bounded memory.

1. Only raster formats that Pillow itself decodes are opened (``FORMATS``). Formats that start another
   program (EPS) or open files inside files (IPTC) are excluded.
2. The size is read from the header. A picture whose decoding would take more than ``MAX_MEMORY`` is
   refused before any pixel is decoded; ``BYTES_PER_PIXEL`` was measured for each decoder.
3. The first frame or page is decoded, and turned according to its EXIF orientation.
4. Every failure of a decoder becomes an ``UnreadableImage`` with the reason.
"""

from __future__ import annotations

import io
import warnings
from functools import cache
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from neurflow.errors import UnreadableImage

FORMATS = (
    *("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "JPEG2000", "AVIF", "PPM", "TGA", "ICO", "DIB"),
    *("CUR", "DDS", "BLP", "DCX", "FITS", "FLI", "FTEX", "GBR", "ICNS", "IM", "IMT", "MCIDAS"),
    *("MSP", "PCD", "PCX", "PIXAR", "PSD", "QOI", "SGI", "SPIDER", "SUN", "XBM", "XPM", "XVTHUMB"),
)
"""formats that are accepted, if the installed Pillow has them"""
MAX_MEMORY = 2**30
"""largest memory for decoding one picture, in bytes"""
BYTES_PER_PIXEL = {"JPEG2000": 28, "WEBP": 24, "FITS": 80}
"""bytes per pixel at the peak, for formats that need more than ``DEFAULT_BYTES_PER_PIXEL``"""
DEFAULT_BYTES_PER_PIXEL = 16
NO_PICTURE = "not a picture, or damaged"
HEIC = (b"heic", b"heix", b"heif", b"mif1", b"msf1", b"hevc")
"""brands of HEIC files"""


@cache
def formats() -> tuple[str, ...]:
    """Return the accepted formats that the installed Pillow can open."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def suffixes() -> frozenset[str]:
    """Return the file name extensions of pictures, in lower case."""
    known = formats()
    return frozenset(end for end, name in Image.registered_extensions().items() if name in known)


def open_picture(source: str | PathLike[str] | BinaryIO | bytes) -> Image.Image:
    """Decode a picture from its path, an open file or its bytes; upright, in its own mode.

    Raises:
        UnreadableImage: missing, damaged, too large or not a picture.
    """
    opened = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # problems become errors below, or do not matter
            # also raised for the pictures inside an icon
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(opened, formats=formats()) as file:
                return upright(file)
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(_what_else(opened)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImage(_too_large("so many pixels")) from None
    except Exception as error:  # decoders of third parties raise anything on damaged data
        raise UnreadableImage(str(error) or type(error).__name__) from None


def _what_else(opened: str | PathLike[str] | BinaryIO) -> str:
    """Describe a file that no decoder recognises."""
    try:
        if isinstance(opened, str | PathLike):
            with Path(opened).open("rb") as file:
                head = file.read(512)
        else:
            opened.seek(0)
            head = opened.read(512)
    except (OSError, ValueError):
        return NO_PICTURE
    start = head.lstrip()[:15].lower()
    if not head:
        return "an empty file"
    if head[4:8] == b"ftyp" and head[8:12] in HEIC:
        return "a HEIC picture, whatever its name; convert it to JPEG or PNG"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "a JPEG XL picture; convert it to JPEG or PNG"
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page, which a download left in place of the picture"
    if b"<svg" in head.lower():
        return "an SVG drawing; convert it to PNG"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer; fetch the picture: git lfs pull"
    if (
        head.startswith((b"PK\3\4", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!"))
        or head[257:262] == b"ustar"
    ):
        return "an archive; unpack it"
    if head.startswith((b"\0\x05\x16\x07", b"\0\x05\x16\0")):
        return "metadata that macOS stores beside the picture"
    return NO_PICTURE


def upright(picture: Image.Image) -> Image.Image:
    """Return a picture turned according to its EXIF orientation; 12-bit values are scaled to 16 bits.

    Raises:
        UnreadableImage: decoding it would take too much memory.
    """
    _refuse_large(picture)
    twelve = _is_twelve_bit(picture)
    picture.load()
    turned = ImageOps.exif_transpose(picture) if picture.getexif().get(0x0112, 1) != 1 else picture
    if twelve:
        values = np.asarray(turned)
        return Image.fromarray((values << 4 | values >> 8).astype(np.uint16))
    return turned


def _refuse_large(picture: Image.Image) -> None:
    """Refuse a picture whose header shows that decoding takes too much memory.

    A tile may be larger than its picture.
    """
    tags = getattr(picture, "tag_v2", {})
    width, height = (
        max(side, int(tags.get(tag, 0)))
        for side, tag in zip(picture.size, (322, 323), strict=True)  # TileWidth, TileLength
    )
    per_pixel = BYTES_PER_PIXEL.get(picture.format or "", DEFAULT_BYTES_PER_PIXEL)
    if width * height * per_pixel > MAX_MEMORY:
        raise UnreadableImage(_too_large(f"{width} × {height} pixels"))


def _too_large(what: str) -> str:
    return f"too large: {what} take more than {MAX_MEMORY // 2**20} MiB to decode"


def _is_twelve_bit(picture: Image.Image) -> bool:
    """Return whether a picture comes from a TIFF file with 12 bits per sample."""
    tags = getattr(picture, "tag_v2", None)
    return tags is not None and picture.mode.startswith("I;16") and tags.get(258) in (12, (12,))


def webp(picture: Image.Image, longest: int, quality: int) -> bytes:
    """Return a picture as WebP, scaled down if a side is longer than ``longest`` pixels."""
    picture = picture.copy()
    picture.thumbnail((longest, longest))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=quality)
    return data.getvalue()
