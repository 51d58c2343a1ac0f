"""Imports everything that the jobs need. Only the fork server imports this module.

Jobs that are forked from the server start at once, so a kill interrupts the job and not the import of
PyTorch. A discovery is run up to its first gradient, and no further: autograd then starts threads, and
a process with threads cannot be forked safely.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from unittest import mock

import pyarrow.dataset
import pyarrow.parquet

from benchmarks.fire.jobs import discover

assert pyarrow.dataset and pyarrow.parquet


class _Imported(Exception):
    """Everything is imported."""


with (
    tempfile.TemporaryDirectory() as _folder,
    mock.patch("torch.autograd.grad", side_effect=_Imported),
    contextlib.suppress(_Imported),
):
    discover(Path(_folder))
