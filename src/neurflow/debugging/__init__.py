"""Why this answer, and what if that group were gone: the paper's first use of a circuit."""

from neurflow.debugging.audit import audit
from neurflow.debugging.explain import debug

__all__ = ["audit", "debug"]
