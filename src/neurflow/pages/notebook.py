"""A circuit in a notebook: its page in a frame inside the output cell.

The page is that of ``write_report``, as the ``srcdoc`` of an iframe. It needs no server and no network,
and it is saved in the notebook's file. The frame is sandboxed: its scripts run but cannot access the
notebook. To keep the notebook small, fewer crops are shown until the page fits ``LARGEST``.
"""

from __future__ import annotations

import html

from neurflow.circuit import Circuit
from neurflow.errors import WorkError
from neurflow.pages.page import render

LARGEST = 6 * 2**20
"""bytes of a page in a notebook"""
CROPS = (16, 8, 4, 2)
"""crops shown for a group: the first number for which the page fits is used"""
HEIGHT = 680


def framed(circuit: Circuit, *, largest: int = LARGEST) -> str:
    """Return the HTML of a circuit's page in a frame, or a sentence if it cannot be shown."""
    try:
        for crops in CROPS:
            page = render(circuit, crops_per_group=crops)
            if len(page.encode()) <= largest:
                return _frame(page, circuit.target.name)
    except WorkError as error:  # a sentence in the cell instead of a traceback
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
