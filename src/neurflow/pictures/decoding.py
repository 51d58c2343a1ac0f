"""Decodes all pictures, from files and uploads: upright, and in bounded memory.

1. Only raster formats that Pillow itself decodes are opened (``FORMATS``). Formats that start another
   program (EPS) or open files inside files (IPTC) are excluded.
2. The size is read from the header. A picture whose decoding would take more than ``MOST_MEMORY`` is
   refused before any pixel is decoded; ``BYTES_PER_PIXEL`` was measured for each decoder.
3. The first frame or page is decoded, and turned according to its EXIF orientation.
4. Every failure of a decoder becomes an ``UnreadableImage`` with the reason.

``in_mode`` converts a picture to the mode that a transform needs. Values are scaled by their type only:
8, 12 or 16 bits and integers up to 65535, floating point up to 1.
"""

from __future__ import annotations

import io
import warnings
from functools import cache
from os import PathLike
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from neurflow.errors import ImagesError

FORMATS = (
    *("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "JPEG2000", "AVIF", "PPM", "TGA", "ICO", "DIB"),
    *(
        "CUR",
        "DDS",
        "BLP",
        "DCX",
        "FITS",
        "FLI",
        "FTEX",
        "GBR",
        "ICNS",
        "IM",
        "IMT",
        "MCIDAS",
        "MSP",
    ),
    *("PCD", "PCX", "PIXAR", "PSD", "QOI", "SGI", "SPIDER", "SUN", "XBM", "XPM", "XVTHUMB"),
)
"""formats that are accepted, if the installed Pillow has them"""
MOST_MEMORY = 2**30
"""memory that decoding one picture may take"""
BYTES_PER_PIXEL = {"JPEG2000": 28, "WEBP": 24, "FITS": 80}
"""bytes per pixel at the peak, for formats that need more than ``USUAL_BYTES``"""
USUAL_BYTES = 16
DEEP = ("I;16", "I", "F")
"""modes of one channel with more than 8 bits"""
_BLOCK = 2**20
"""number of values converted at once"""


class UnreadableImage(ImagesError):
    """An image that cannot be read; the message gives the reason."""


@cache
def formats() -> tuple[str, ...]:
    """Return the accepted formats that the installed Pillow can open."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def suffixes() -> frozenset[str]:
    """Return the file name endings of pictures, in small letters."""
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
            warnings.simplefilter("ignore")  # what is wrong is an error here, or of no account
            # Pillow looks at the pictures inside of an icon, too
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(opened, formats=formats()) as file:
                return upright(file)
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage("not a picture, or damaged") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImage(_too_large("so many pixels")) from None
    except Exception as error:  # decoders of third parties raise anything on damaged data
        raise UnreadableImage(str(error) or type(error).__name__) from None


def upright(picture: Image.Image) -> Image.Image:
    """A picture turned as its EXIF orientation says; 12 bits are stretched to 16.

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


def is_deep(picture: Image.Image) -> bool:
    """Whether a picture is grey with more than 8 bits."""
    return picture.mode in DEEP or picture.mode.startswith("I;16")


def in_mode(picture: Image.Image, mode: str) -> Image.Image:
    """A copy of a picture in one of Pillow's modes, scaled by its type.

    Pictures of floating point are 0…1, integers of more than 8 bits 0…65535. A picture of the mode
    that is asked for stays as it is.

    Raises:
        UnreadableImage: values outside of what the type means.
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


def _refuse_large(picture: Image.Image) -> None:
    """Refuse by the header what takes too much memory; a tile may be larger than its picture."""
    tags = getattr(picture, "tag_v2", {})
    width, height = (
        max(side, int(tags.get(tag, 0)))
        for side, tag in zip(picture.size, (322, 323), strict=True)  # TileWidth, TileLength
    )
    per_pixel = BYTES_PER_PIXEL.get(picture.format or "", USUAL_BYTES)
    if width * height * per_pixel > MOST_MEMORY:
        raise UnreadableImage(_too_large(f"{width} × {height} pixels"))


def _too_large(what: str) -> str:
    return f"too large: {what} take more than {MOST_MEMORY // 2**20} MiB to decode"


def _is_twelve_bit(picture: Image.Image) -> bool:
    """Whether a picture comes from a TIFF file whose samples have 12 bits."""
    tags = getattr(picture, "tag_v2", None)
    return tags is not None and picture.mode.startswith("I;16") and tags.get(258) in (12, (12,))


def _eight_bit(picture: Image.Image) -> Image.Image:
    """A grey picture of more than 8 bits as one of 8; others as they are."""
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
    """Values of a grey picture as float32 in 0…1."""
    values = _checked(np.asarray(picture))
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    return (values / (255 if values.dtype == np.uint8 else 65535)).astype(np.float32)


def _checked(values: np.ndarray) -> np.ndarray:
    """Values that are within what their type means; ``UnreadableImage`` otherwise."""
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        if not (np.isfinite(low) and np.isfinite(high)):
            raise UnreadableImage("it holds values that are not finite")
        if low < -1e-6 or high > 1 + 1e-6:
            raise UnreadableImage(
                f"its floating-point values go from {low:.4g} to {high:.4g}, and a picture's are 0 to 1"
            )
        return values.clip(0, 1)
    if low < 0 or high > 65535:
        raise UnreadableImage(
            f"its integers go from {low} to {high}, and a picture's of so many bits are 0 to 65535"
        )
    return values


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    """Pillow's conversion between modes of 8 bits, also where it needs a step between."""
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


def webp(picture: Image.Image, longest: int, quality: int) -> bytes:
    """A picture as WebP, made smaller if a side is longer than ``longest`` pixels."""
    picture = picture.copy()
    picture.thumbnail((longest, longest))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=quality)
    return data.getvalue()
