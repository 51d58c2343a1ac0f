"""A small network that other processes can load, pictures, and what a sweep of them is asked."""

import functools

import numpy as np
import pytest
from PIL import Image

import neurflow

FACTORY = """
import contextlib
import multiprocessing
import os
import signal
import time
from pathlib import Path

import neurflow
from tests.networks import SmallNet, seeded, settle
from torchvision.transforms import Compose, Resize, ToTensor

CLASSES = ["ant", "bee", "fly", "wasp"]
KILLS = Path(__file__).with_name("kills")
GATE = Path(__file__).with_name("gate")

READ = []

def deadly(image):
    # only the pictures of the folder count, not those by which the network is tried
    if image.size != (32, 32):
        return image
    # a worker dies when it has read some pictures, as often as the file says
    READ.append(image)
    # in the middle of its work a process stops and says so, for as long as there is a gate
    if len(READ) > 1 and GATE.exists():
        with contextlib.suppress(FileNotFoundError):
            (GATE / str(os.getpid())).touch()
        while GATE.exists():
            time.sleep(0.01)
    if multiprocessing.parent_process() is not None and len(READ) > 4 and KILLS.exists():
        left = int(KILLS.read_text())
        if left:
            KILLS.write_text(str(left - 1))
            os.kill(os.getpid(), signal.SIGKILL)
    return image

def small():
    transform = Compose([deadly, Resize(32), ToTensor()])
    return neurflow.Model(settle(seeded(SmallNet)), transform=transform, class_names=CLASSES)
"""
CONFIG = neurflow.Config(tau=4, k=6, steps=4, granularities=(1.0, 0.5), groups=3, concept_set="all")


@pytest.fixture
def pictures(tmp_path):
    """Eight pictures of coloured noise, 32 by 32."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(8):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((32, 32)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def reference(tmp_path):
    file = tmp_path / "small.py"
    file.write_text(FACTORY)
    return f"file:{file}:small"


@pytest.fixture
def load(reference):
    """Loads the network, in whatever process."""
    return functools.partial(neurflow.load_model, reference)


@pytest.fixture
def sweep(load, pictures, tmp_path):
    """Sweep in this process unless told otherwise."""

    def run(targets, **options):
        given = {"config": CONFIG, "images": pictures, "load_model": load, "out": tmp_path / "out"}
        return neurflow.sweep(targets=targets, **{**given, **options})

    return run


def circuits(out):
    """The bytes of each circuit: file names of arrays and pictures tell their contents."""
    return {
        folder.name: (folder / "circuit.json").read_bytes()
        for folder in sorted((out / "circuits").iterdir())
        if (folder / "circuit.json").exists()
    }
