"""Circuits of three classes and their atlas."""

import pytest

import neurflow
from neurflow.atlas import Atlas
from neurflow.atlas.tables import add_circuit
from tests.method.test_discover import CONFIG, images, model

__all__ = ["images", "model"]  # fixtures


@pytest.fixture(scope="module")
def circuits(model, images):
    """A circuit for each of three classes, by name."""
    config = CONFIG.model_copy(update={"concept_set": "all", "groups": 3, "tau": 5})
    return {
        f"c-{name}": neurflow.discover(model, images, name, config=config)
        for name in ("ant", "bee", "cat")
    }


@pytest.fixture(scope="module")
def folder(circuits, tmp_path_factory):
    place = tmp_path_factory.mktemp("sweep")
    for name, circuit in circuits.items():
        add_circuit(place / "atlas", name, circuit)
    return place


@pytest.fixture(scope="module")
def atlas(folder):
    return Atlas(folder)
