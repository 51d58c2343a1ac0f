"""Imported by the fork server alone, so that the jobs forked from it begin at once: a kill then falls
into the work, and not into the import of PyTorch.

Discovery runs until its first gradient: autograd has threads from then on, which no fork survives.
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


class _Enough(Exception):
    """Everything is imported."""


with (
    tempfile.TemporaryDirectory() as _folder,
    mock.patch("torch.autograd.grad", side_effect=_Enough),
    contextlib.suppress(_Enough),
):
    discover(Path(_folder))
