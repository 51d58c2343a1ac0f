"""Explain single answers by a circuit, and try what changes if groups are masked."""

from neurflow.debugging.audit import audit
from neurflow.debugging.explain import debug

__all__ = ["audit", "debug"]
