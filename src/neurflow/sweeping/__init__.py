"""Many targets: one circuit each, on whatever machines there are; what is finished is never redone."""

from neurflow.sweeping.engines import Here, Workers
from neurflow.sweeping.ledger import TargetState, status
from neurflow.sweeping.merging import merge
from neurflow.sweeping.ray_engine import OnRay
from neurflow.sweeping.sweeps import sweep

__all__ = ["Here", "OnRay", "TargetState", "Workers", "merge", "status", "sweep"]
