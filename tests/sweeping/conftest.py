"""A small network that other processes can load, pictures, and the settings of sweeps."""

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
def network_folder(tmp_path_factory):
    """The folder of the network, which all tests of a process share."""
    return tmp_path_factory.mktemp("network")


@pytest.fixture(scope="session")
def reference(network_folder):
    (network_folder / "small.py").write_text(FACTORY)
    return f"file:{network_folder / 'small.py'}:small"


@pytest.fixture(scope="session")
def load(reference):
    """Loads the network, once per process."""
    return functools.partial(loaded, reference)


@pytest.fixture(scope="session")
def alone(load, tmp_path_factory):
    """Name of a circuit in a sweep → the circuit of a single run."""
    model, out = load(), tmp_path_factory.mktemp("alone")
    pictures = draw(out / "pictures")
    for target in ALL:
        name = job_of(model.target(target)).name
        neurflow.discover(model, pictures, target, config=CONFIG, out=out / "circuits" / name)
    return circuits(out)


@pytest.fixture
def gate(network_folder):
    """A folder. While it exists, workers pause in the middle of their work and create a file in it."""
    yield network_folder / "gate"
    shutil.rmtree(network_folder / "gate", ignore_errors=True)


@pytest.fixture
def kills(network_folder):
    """A file with the number of workers that still have to be killed."""
    yield network_folder / "kills"
    (network_folder / "kills").unlink(missing_ok=True)


@pytest.fixture
def sweep(load, pictures, tmp_path):
    """Runs a sweep, by default in this process."""

    def run(targets, **options):
        given = {"config": CONFIG, "images": pictures, "load_model": load, "out": tmp_path / "out"}
        return neurflow.sweep(targets=targets, **{**given, **options})

    return run


def circuits(out):
    """The bytes of each index file, which has the digests of arrays and pictures."""
    return {
        folder.name: (folder / "circuit.json").read_bytes()
        for folder in sorted((out / "circuits").iterdir())
        if (folder / "circuit.json").exists()
    }
