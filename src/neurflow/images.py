"""The former place of :mod:`neurflow.pictures.images`; it goes with the next release."""

import warnings

from neurflow.pictures.images import Images, load_images

__all__ = ["Images", "load_images"]

warnings.warn(
    "neurflow.images has moved: import load_images from neurflow itself.",
    DeprecationWarning,
    stacklevel=2,
)
