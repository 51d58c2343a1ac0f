"""Measurements: what is claimed of exactness and speed, each by one command."""
