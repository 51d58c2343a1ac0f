"""The graph of a network with named layers, and parts of it as modules."""
