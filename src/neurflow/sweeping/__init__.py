"""Sweeps: the circuits of many targets, found on one machine or several, and resumable."""

from neurflow.sweeping.engines import InProcess, Workers
from neurflow.sweeping.merging import merge
from neurflow.sweeping.ray_engine import OnRay
from neurflow.sweeping.state import TargetState, status
from neurflow.sweeping.sweeps import sweep

__all__ = ["InProcess", "OnRay", "TargetState", "Workers", "merge", "status", "sweep"]
