"""Sweeps: the circuits of many targets, on one machine or several; finished circuits are kept."""

from neurflow.sweeping.engines import InProcess, Workers
from neurflow.sweeping.merging import merge
from neurflow.sweeping.ray_engine import OnRay
from neurflow.sweeping.state import TargetState, status
from neurflow.sweeping.sweeps import sweep

__all__ = ["InProcess", "OnRay", "TargetState", "Workers", "merge", "status", "sweep"]
