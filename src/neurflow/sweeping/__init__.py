"""Many targets: one circuit each, on whatever machines there are; what is finished is never redone."""

from neurflow.sweeping.ledger import TargetState, status
from neurflow.sweeping.merging import merge
from neurflow.sweeping.sweeps import sweep

__all__ = ["TargetState", "merge", "status", "sweep"]
