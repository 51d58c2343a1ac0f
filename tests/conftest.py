"""Shared fixtures, and the requirements of the markers ``real`` and ``browser``."""

from __future__ import annotations

from jaxtyping import install_import_hook

import tests.shapes

# The shapes in annotations are checked only in tests. The hook must be installed before these modules
# are imported. Modules with protocols in their annotations cannot be checked. A check takes 0.1 ms, so
# modules with thousands of short calls are checked by ``model/test_shape_checks.py`` alone.
CHECKED = (
    "neurflow.circuit.scores",
    "neurflow.method.concepts",
    "neurflow.method.grouping.features",
    "neurflow.method.groups",
    "neurflow.model.cut.exported",
    "neurflow.model.cut.segment",
    "neurflow.model.fast.crop_gradient",
    "neurflow.model.fast.crops",
    "neurflow.model.fast.norms",
    "neurflow.model.fast.one_row",
    "neurflow.model.fast.slopes",
    "neurflow.model.fast.specialise",
)
install_import_hook(CHECKED, f"{tests.shapes.__name__}.checked")

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from neurflow.circuit import (
    Circuit,
    CircuitLayer,
    GroupEdge,
    Neuron,
    NeuronGroup,
    SemanticGroup,
)
from neurflow.circuit.evidence import Constant, Evidence, Rivals, Validation
from neurflow.circuit.label_file import GroupLabel, with_labels
from neurflow.config import Config
from neurflow.model import Model
from neurflow.refs import Crop, ImageRef, Member, ModelInfo, SkippedImage, Target
from neurflow.stats import Interval
from tests.distribution import LONG, Files
from tests.exports import shared_networks

# how long an example takes says nothing on a busy machine
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# Exported graphs consist of many small objects, which frequent garbage collections would traverse.
gc.set_threshold(50_000, 20, 20)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def real_folder() -> Path:
    """The folder of real networks and pictures: that of the environment, or the default one."""
    beside = Path(__file__).parents[2] / "shared" / "real"
    return Path(os.environ.get("NEURFLOW_REAL_DATA") or beside)


def browser() -> str | None:
    """Path of a Chromium, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are processors: tests of sweeps and servers wait for others."""
    return len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else [0]) + 1


def pytest_configure() -> None:
    # A shell starts background processes with SIGINT ignored; child processes would inherit this.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # the longest files first, so that no processor waits for another at the end
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Files:
    return Files(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("real") and not real_folder().is_dir():
        pytest.skip(f"no real networks and pictures at {real_folder()}")
    if item.get_closest_marker("browser") and not browser():
        missing = f"no browser on the path: none of {', '.join(BROWSERS)}"
        if os.environ.get("CI"):
            pytest.fail(f"{missing}; it must not be skipped here", pytrace=False)
        pytest.skip(missing)


@pytest.fixture(scope="session", autouse=True)
def exported_once() -> Iterator[None]:
    """Exports equal small networks once, for all tests of a process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "network", shared_networks())
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with ``weights/``, ``images/`` and ``expected/``; for tests marked ``real``."""
    return real_folder()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; for tests marked ``browser``."""
    path = browser()
    assert path is not None, "mark the test with pytest.mark.browser"
    return path


def webp(colour: tuple[int, int, int] = (200, 60, 40), side: int = 16) -> bytes:
    """A small WebP picture of one colour."""
    data = BytesIO()
    Image.new("RGB", (side, side), colour).save(data, "WEBP")
    return data.getvalue()


@pytest.fixture
def circuit() -> Circuit:
    """Two neurons that drive one class: ``block/4`` has two meanings, ``block/7`` one."""
    crops = (Crop(0, (0, 0, 8, 8)), Crop(1, (0, 0, 4, 4)), Crop(0, (4, 4, 8, 8)))
    activations = (3.0, 2.5, 1.25)
    vector = np.array([0, 1, 0, 0, 2, 0, 0, 0.5], dtype=np.float32)
    two_meanings = Neuron(
        index=4,
        crops=crops,
        activations=activations,
        semantic_groups=(
            SemanticGroup(crops=(0, 2), weights={}, concept_vector=vector),
            SemanticGroup(crops=(1,), weights={}, concept_vector=vector[::-1].copy()),
        ),
    )
    one_meaning = Neuron(
        index=7,
        crops=crops,
        activations=activations,
        semantic_groups=(SemanticGroup(crops=(0, 1, 2), weights={}, concept_vector=vector + 0.25),),
    )
    bee = Neuron(
        index=2,
        crops=crops,
        activations=activations,
        semantic_groups=(
            SemanticGroup(crops=(0, 1, 2), weights={4: 0.75, 7: -0.25}, concept_vector=vector * 2),
        ),
        importance={4: 1.5, 7: 0.5},
        steps=50,
        completeness_error=1e-3,
    )
    return Circuit(
        model=ModelInfo(reference="Tiny", digest="0" * 64, input_size=(3, 8, 8)),
        target=Target(layer="head", neuron=2, name="bee"),
        config=Config(tau=2, k=3),
        images=(ImageRef(name="bee/a.png", label="bee"), ImageRef(name="b.png")),
        skipped=(SkippedImage(name="c.png", reason="not a picture, or damaged"),),
        crop_count=118,
        layers=(
            CircuitLayer(
                name="block",
                neurons={4: two_meanings, 7: one_meaning},
                groups=(
                    NeuronGroup(
                        id="block/0",
                        members=(Member(4, 0), Member(7, 0)),
                        crops=crops,
                        label="yellow stripes",
                    ),
                    NeuronGroup(id="block/1", members=(Member(4, 1),), crops=crops[1:2]),
                ),
            ),
            CircuitLayer(
                name="head",
                neurons={2: bee},
                groups=(NeuronGroup(id="head/0", members=(Member(2, 0),), crops=crops),),
            ),
        ),
        edges=(
            GroupEdge(upper="head/0", lower="block/0", weight=0.25),
            GroupEdge(upper="head/0", lower="block/1", weight=-0.5),
        ),
        notes=("Only 2 images: concepts rest on few pictures.",),
        thumbnails={crop: webp((80 * i, 60, 40)) for i, crop in enumerate(crops)},
    )


def evidence(auprc: float = 0.9, **more: Any) -> Evidence:
    """Evidence with a validation: 12 unseen and 12 other crops, and chance up to 0.75."""
    found = Validation(
        judge="judge",
        held_out=12,
        random=6,
        hard=6,
        auprc=Interval(auprc, auprc - 0.2, min(auprc + 0.05, 1)),
        chance=Interval(0.55, 0.4, 0.75),
        found=0.75,
        random_rejected=1.0,
        hard_rejected=0.5,
        constant=Constant(
            text="bee",
            auprc=Interval(0.5, 0.3, 0.7),
            gain=Interval(auprc - 0.5, auprc - 0.7, auprc - 0.3),
        ),
        others=Rivals(count=4, as_good=0, best="grass", auprc=0.6),
    )
    given = {"source": "model", "author": "gpt-9", "time": datetime(2026, 1, 2, tzinfo=UTC)}
    return Evidence(**{**given, "validation": found, **more})


def relabelled(circuit: Circuit, id: str, label: str | None, **more: Any) -> Circuit:
    """The circuit with another label on one group."""
    return with_labels(circuit, {id: GroupLabel(label=label, **more)})
