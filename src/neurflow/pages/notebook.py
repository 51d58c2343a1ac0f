"""A circuit in a notebook: its page in a frame of its own, inside the output cell.

The page is the one that ``write_report`` writes, as the ``srcdoc`` of an iframe: no server, no network,
and it stays in the notebook's file. The frame is sandboxed: its scripts run, and see nothing of the
notebook. So that a notebook stays small, fewer crops are shown until the page fits ``LARGEST``.
"""

from __future__ import annotations

import html

from neurflow.circuit import Circuit
from neurflow.errors import WorkError
from neurflow.pages.page import render

LARGEST = 6 * 2**20
"""bytes of a page in a notebook"""
CROPS = (16, 8, 4, 2)
"""crops shown for a group: the first number with which the page fits"""
HEIGHT = 680


def framed(circuit: Circuit, *, largest: int = LARGEST) -> str:
    """HTML of a circuit's page in a frame; words instead where it cannot be shown."""
    try:
        for crops in CROPS:
            page = render(circuit, crops_per_group=crops)
            if len(page.encode()) <= largest:
                return _frame(page, circuit.target.name)
    except WorkError as error:  # words in the cell instead of a traceback below it
        return f"<p>{html.escape(str(error))}</p>"
    return (
        "<p>This circuit is too large to be shown in a notebook. "
        "Write its page: <code>neurflow.pages.write_report(circuit, 'circuit.html')</code></p>"
    )


def _frame(page: str, target: str) -> str:
    return (
        f'<iframe srcdoc="{html.escape(page)}" sandbox="allow-scripts" '
        f'title="{html.escape(f"Circuit of {target}")}" '
        f'style="width: 100%; height: {HEIGHT}px; border: 1px solid #8884; border-radius: 6px">'
        "</iframe>"
    )
