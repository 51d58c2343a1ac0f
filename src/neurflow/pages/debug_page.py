"""The pages of a debug report and of an audit: the front end with their data."""

from __future__ import annotations

from pathlib import Path

from neurflow.circuit import Circuit
from neurflow.debugging.result import AuditReport, DebugReport
from neurflow.pages.debug_payload import audit_payload, debug_payload
from neurflow.pages.page import with_data, write_page


def write_debug_page(circuit: Circuit, report: DebugReport, path: str | Path) -> Path:
    """Write a report as one self-contained HTML file; ``WorkError`` if it cannot be written."""
    data = debug_payload(circuit, report).model_dump_json()
    return write_page(with_data(data, f"Debugging {circuit.target.name}"), path)


def write_audit_page(circuit: Circuit, report: AuditReport, path: str | Path) -> Path:
    """Write an audit as one self-contained HTML file; ``WorkError`` if it cannot be written."""
    data = audit_payload(circuit, report).model_dump_json()
    return write_page(with_data(data, f"Shortcut audit of {circuit.target.name}"), path)
