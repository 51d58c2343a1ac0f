"""Comparison of two circuits: shared groups, groups of only one circuit, and changed edges."""

from neurflow.comparison.matching import compare
from neurflow.comparison.result import Comparison

__all__ = ["Comparison", "compare"]
