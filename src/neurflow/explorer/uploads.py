"""A picture from outside: bounded in bytes and in pixels before anything of it is decoded."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

from neurflow.errors import ImagesError
from neurflow.images import open_picture

MOST_BYTES = 20 * 2**20
MOST_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""what is decoded; of several frames the first"""


def picture_from(data: bytes) -> Image.Image:
    """Decode an uploaded picture, upright, as RGB or RGBA.

    Raises:
        ImagesError: too many bytes or pixels, another format, or damaged.
    """
    if len(data) > MOST_BYTES:
        raise ImagesError(f"The picture is too large: over {MOST_BYTES // 2**20} MiB.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", Image.DecompressionBombWarning
            )  # the bound here is lower
            with Image.open(io.BytesIO(data), formats=FORMATS) as file:
                width, height = file.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        raise ImagesError(f"Not a picture, or damaged. Formats: {', '.join(FORMATS)}.") from None
    except Image.DecompressionBombError:
        width = height = MOST_PIXELS
    if width * height > MOST_PIXELS:
        raise ImagesError(
            f"The picture is too large: over {MOST_PIXELS // 1_000_000} million pixels."
        )
    return open_picture(io.BytesIO(data))
