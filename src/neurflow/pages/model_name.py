"""The name of a model on a page: pages may be sent to people who do not have its folders."""

from __future__ import annotations

import re

_PATH = re.compile(r"^(?:file:|onnx:|hf:(?=[.~/\\]|\w:))(?:.*[/\\])?(?=.)")


def model_name(reference: str) -> str:
    """Return a model's reference without the folders of a local file.

    Examples:
        >>> model_name("file:/home/ann/nets.py:small"), model_name("hf:google/vit-base")
        ('nets.py:small', 'hf:google/vit-base')
    """
    return _PATH.sub("", reference)
