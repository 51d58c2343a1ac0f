"""Evaluation of a circuit: the published experiments, and further controls.

Each protocol has a file with a function that returns a typed table; ``evaluate`` runs them by name.
"""
