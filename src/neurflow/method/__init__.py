"""The method of the paper, from a target to its circuit."""
