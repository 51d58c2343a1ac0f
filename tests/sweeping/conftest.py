"""A small network that other processes can load, pictures, and what a sweep of them is asked."""

import functools
import shutil

import numpy as np
import pytest
from PIL import Image

import neurflow
from neurflow.sweeping.plan import job_of
from tests.sweeping.loading import loaded

ALL = ["ant", "bee", "fly", "wasp"]
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


def draw(folder):
    """Eight pictures of coloured noise, 32 by 32."""
    folder.mkdir()
    for i in range(8):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((32, 32)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def pictures(tmp_path):
    """The pictures, in a folder that the test may change."""
    return draw(tmp_path / "pictures")


@pytest.fixture(scope="session")
def room(tmp_path_factory):
    """The folder of the network, which all tests of a process share."""
    return tmp_path_factory.mktemp("network")


@pytest.fixture(scope="session")
def reference(room):
    (room / "small.py").write_text(FACTORY)
    return f"file:{room / 'small.py'}:small"


@pytest.fixture(scope="session")
def load(reference):
    """Loads the network, in whatever process: once in each."""
    return functools.partial(loaded, reference)


@pytest.fixture(scope="session")
def alone(load, tmp_path_factory):
    """The circuits of single runs, by the names that a sweep gives them."""
    model, out = load(), tmp_path_factory.mktemp("alone")
    pictures = draw(out / "pictures")
    for target in ALL:
        name = job_of(model.target(target)).name
        neurflow.discover(model, pictures, target, config=CONFIG, out=out / "circuits" / name)
    return circuits(out)


@pytest.fixture
def gate(room):
    """A folder: while it exists, workers stop in the middle of their work, and sign in it."""
    yield room / "gate"
    shutil.rmtree(room / "gate", ignore_errors=True)


@pytest.fixture
def kills(room):
    """A file with the number of workers that are yet to die."""
    yield room / "kills"
    (room / "kills").unlink(missing_ok=True)


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
