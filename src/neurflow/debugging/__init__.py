"""Explain single predictions by a circuit, and measure the effect of masking groups."""

from neurflow.debugging.audit import audit
from neurflow.debugging.explain import debug

__all__ = ["audit", "debug"]
