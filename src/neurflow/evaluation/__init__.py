"""The method's harshest critic: every published experiment, and the questions a reviewer would add.

One file a protocol, each a pure function to a typed table; ``evaluate`` runs them by name.
"""
