"""Display of results in notebooks.

Pages are built from results and are therefore in a higher package, which a result cannot import. Its
``_repr_html_`` calls ``html``, which calls the renderer that was registered for its class.
``import neurflow`` registers the circuit's page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Renderer = Callable[[Any], str]

_RENDERERS: dict[str, Renderer] = {}


def register(kind: str, renderer: Renderer) -> None:
    """Show results of the class called ``kind``, and of its subclasses, with ``renderer``.

    The class is given by name, so that registering does not import it.
    """
    _RENDERERS[kind] = renderer


def html(result: object) -> str | None:
    """Return the HTML of a result; None if no renderer is registered for its class."""
    for kind in type(result).__mro__:
        if kind.__name__ in _RENDERERS:
            return _RENDERERS[kind.__name__](result)
    return None
