"""Functions for workers of sweeps: load a network once per process, report the environment."""

import functools
import os

import neurflow
from neurflow.errors import WorkError


@functools.cache
def loaded(reference):
    return neurflow.load_model(reference)


def telling(variable):
    """Fails with the value of a variable of the environment."""
    raise WorkError(os.environ[variable])
