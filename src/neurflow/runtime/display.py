"""How results show themselves in a notebook.

The pages are built from the results and so stand above them. A result therefore cannot import its page:
its ``_repr_html_`` calls ``html``, which calls the renderer that was registered for its class.
``import neurflow`` registers the circuit's page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Renderer = Callable[[Any], str]

_RENDERERS: dict[str, Renderer] = {}


def register(kind: str, renderer: Renderer) -> None:
    """Show results of the class called ``kind``, and of its subclasses, by ``renderer``.

    The class is given by name, so that registering imports nothing.
    """
    _RENDERERS[kind] = renderer


def html(result: object) -> str | None:
    """The HTML of a result; None if no renderer is registered for its class."""
    for kind in type(result).__mro__:
        if kind.__name__ in _RENDERERS:
            return _RENDERERS[kind.__name__](result)
    return None
