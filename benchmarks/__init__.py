"""Benchmarks: each measures the accuracy or the speed of one part, by one command."""
