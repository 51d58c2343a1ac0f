"""A small network and its circuit for all protocols."""

import pytest

from neurflow import Config, Settings, discover, load_images
from neurflow.evaluation.laboratory import Laboratory
from neurflow.runtime.memory import Budget
from neurflow.runtime.progress import Silent
from neurflow.runtime.workspace import Workspace
from tests.debugging.conftest import common, model, studied
from tests.reference.evaluation import all_crops

__all__ = ["common", "model", "studied"]  # fixtures

CONFIG = Config(
    tau=4,
    k=10,
    steps=8,
    granularities=(1.0, 0.5),
    groups=3,
    concept_set="all",
    max_semantic_groups=3,
)
SMALL = Settings(
    neurons=3,
    taus=(2, 4),
    fidelity_taus=(2, 4),
    random_sets=6,
    matched_sets=2,
    weight_sets=8,
    set_sizes=(1, 3),
    methods=("integrated_gradients", "gradient"),
    norm_top=3,
    ks=(5, 10, 20),
    k_reference=10,
    steps=(4, 50),
    resamples=2,
    splits=1,
    permutations=99,
    sizes=(0.2, 0.5, 1.0),
    bootstrap=100,
)


@pytest.fixture(scope="package")
def circuit(model, studied, common):
    return discover(model, load_images(studied, model), common, config=CONFIG)


@pytest.fixture
def lab_of(model, studied, circuit, tmp_path):
    """Laboratories with other settings, circuits or pictures."""

    def make(subject=circuit, images=studied, held_out=None, **settings):
        return Laboratory(
            subject,
            model,
            None if images is None else load_images(images, model),
            None if held_out is None else load_images(held_out, model),
            SMALL.model_copy(update=settings),
            Workspace(tmp_path / "work"),
            Budget("1GB", Silent()),
            Silent(),
        )

    return make


@pytest.fixture
def lab(lab_of):
    return lab_of()


@pytest.fixture(scope="package")
def crops(model, studied, circuit):
    """All crops of the concept set as inputs."""
    from neurflow.pictures.crops import crop_boxes

    return all_crops(model, studied, crop_boxes(32, 32, circuit.config.granularities))
