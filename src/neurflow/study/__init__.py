"""Activations and feature maps of the studied layers, computed in one pass over the data."""
