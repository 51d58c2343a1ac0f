"""Valid files, which the fuzz targets damage."""

from __future__ import annotations

import io
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import neurflow
from benchmarks.fire import jobs
from neurflow.circuit.robustness_file import EdgeRobustness, RobustnessFile
from neurflow.model.picture_modes import in_mode
from neurflow.pictures.decoding import formats
from neurflow.stats import Interval

Target = tuple[Callable[[random.Random], Any], Callable[[Any], object]]
"""(make, use): functions that make an input and use it"""


def stored(scratch: Path) -> Path:
    """Return a run with labels, edits and robustness; made on the first call."""
    run = scratch / "circuits" / "bee"
    if run.exists():
        return run
    jobs.discover(scratch)
    for work in (jobs.label, jobs.edit):
        work(scratch)
    circuit = neurflow.load_circuit(run)
    index = (run / "circuit.json").read_bytes()
    measured = RobustnessFile(
        groups={circuit.layers[0].groups[0].id: Interval(0.5, 0.25, 0.75)},
        edges=tuple(
            EdgeRobustness(upper=edge.upper, lower=edge.lower, significance=0.5, stability=1.0)
            for edge in circuit.edges[:4]
        ),
    )
    (run / measured.file_name(index)).write_bytes(measured.encoded())
    return run


def pictures_of() -> list[bytes]:
    """Return small valid files in all formats that Pillow can write."""
    picture, made = Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)), []
    for form in formats():
        for mode in ("RGB", "L", "P", "1", "RGBA", "CMYK", "I;16", "F"):
            file = io.BytesIO()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    in_mode(picture, mode).save(file, form)
            except (OSError, ValueError, KeyError, AttributeError):
                continue
            made.append(file.getvalue())
    return made
