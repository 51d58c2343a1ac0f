"""The method of the paper, from a target to its circuit."""

import neurflow.method.core_rules  # noqa: F401  registers the rules of this package
