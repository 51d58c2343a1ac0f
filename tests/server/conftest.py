"""A stored run that the command line can load, and servers of it."""

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import neurflow
from neurflow.server.app import create_app
from neurflow.server.server import Server
from neurflow.server.session import Session
from tests.cli.conftest import FACTORY, model_of
from tests.pages.conftest import built as built

CONFIG = neurflow.Config(tau=4, k=6, steps=4, granularities=(1.0, 0.5), groups=3, concept_set="all")


def noise(seed):
    """A picture of coloured noise, 32 by 32."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((32, 32))


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    """Pictures in class folders, four of each of two classes."""
    folder = tmp_path_factory.mktemp("labelled")
    for i in range(8):
        place = folder / ("bee" if i % 2 else "ant")
        place.mkdir(exist_ok=True)
        noise(i).save(place / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def stored(tmp_path_factory, labelled):
    """A run of a small network that commands can load."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / "small.py").write_text(FACTORY)
    model = neurflow.load_model(f"file:{folder / 'small.py'}:small")
    circuit = neurflow.discover(
        model,
        neurflow.load_images(labelled, model),
        target="bee",
        layers=["block2", "block3", "head"],
        config=CONFIG,
    )
    circuit.save(folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def run(stored, tmp_path_factory):
    """A copy of the run that tests can change."""
    folder = tmp_path_factory.mktemp("copy") / "run"
    neurflow.load_circuit(stored).save(folder)
    return folder


@pytest.fixture(scope="module")
def session(run, labelled):
    return Session(run, model_of, lambda model: neurflow.load_images(labelled, model))


@pytest.fixture(scope="module")
def client(session, built):
    """A client that sends requests like the page."""
    with TestClient(create_app(session), base_url="http://127.0.0.1:8750") as asking:
        yield asking


@pytest.fixture(scope="module")
def serving(built):
    """Serves sessions for browsers, and returns their addresses."""
    running = []

    def served(session: Session, **options):
        server = Server(session, port=0, **options)
        thread = threading.Thread(target=server.serve)
        thread.start()
        running.append((server, thread))
        return server.url  # it already listens: earlier requests wait

    yield served
    for server, thread in running:
        server.stop()
        thread.join()


@pytest.fixture(scope="module")
def url(serving, session):
    """The address of the session."""
    return serving(session)


def picture_file(folder: Path, seed: int = 3) -> Path:
    file = folder / "odd.png"
    noise(seed).save(file)
    return file
