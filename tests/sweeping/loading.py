"""Loads the network of a sweep once per process, because exporting it is slow."""

import functools

import neurflow


@functools.cache
def loaded(reference):
    return neurflow.load_model(reference)
