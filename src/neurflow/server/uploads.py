"""Uploaded pictures: this module bounds their bytes, the decoder their pixels."""

from __future__ import annotations

from PIL import Image

from neurflow.errors import ImagesError
from neurflow.pictures.decoding import open_picture

MOST_BYTES = 20 * 2**20


def picture_from(data: bytes, name: str) -> Image.Image:
    """Decode an uploaded picture upright, in its own colour mode.

    Raises:
        ImagesError: too many bytes, too large, of another format, or damaged.
    """
    if len(data) > MOST_BYTES:
        raise ImagesError(f"The picture {name!r} is too large: over {MOST_BYTES // 2**20} MiB.")
    try:
        return open_picture(data)
    except ImagesError as error:
        raise ImagesError(f"The picture {name!r} cannot be read: {error}.") from None
