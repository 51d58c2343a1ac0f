"""Two circuits side by side: what they share, and what only one of them has."""

from neurflow.comparison.matching import compare
from neurflow.comparison.result import Comparison

__all__ = ["Comparison", "compare"]
