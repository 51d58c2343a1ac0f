"""Loads the network of a sweep once a process: exporting it takes longer than a small circuit."""

import functools

import neurflow


@functools.cache
def loaded(reference):
    return neurflow.load_model(reference)
