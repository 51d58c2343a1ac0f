"""A network as a graph with named layers, and parts of it as modules."""
