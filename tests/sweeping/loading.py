"""Functions for workers of sweeps: load a network once per process, report the environment."""

import functools
import os

import neurflow
from neurflow.errors import WorkError


@functools.cache
def loaded(reference):
    return neurflow.load_model(reference)


def telling(variable):
    """Fail with the value of an environment variable."""
    raise WorkError(os.environ[variable])
