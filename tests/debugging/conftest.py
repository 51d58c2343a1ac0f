"""A small network with its circuit and pictures for debugging, made once."""

import numpy as np
import pytest
import torch

from neurflow import Config, Model, discover, load_images
from tests.networks import SmallNet, settle

CLASSES = ("ant", "bee", "fly", "wasp")


def pictures(count=10, seed=0):
    """Smooth noise ``[picture, 3, 32, 32]``."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.randn(count, 3, 8, 8, generator=generator)
    return torch.nn.functional.interpolate(small, size=(32, 32), mode="bilinear")


def labelled(model, images):
    """The pictures as a data set in which every third picture is mislabelled, to have mistakes."""
    with torch.no_grad():
        said = model.module(images).argmax(1).tolist()
    wrong = [(c + 1) % len(CLASSES) if i % 3 == 0 else c for i, c in enumerate(said)]
    return list(zip(images, wrong, strict=True))


@pytest.fixture(scope="package")
def model():
    torch.manual_seed(0)
    return Model(
        settle(SmallNet()),
        transform=lambda picture: torch.from_numpy(
            np.asarray(picture.resize((32, 32)), dtype=np.float32).transpose(2, 0, 1) / 255
        ),
        class_names=CLASSES,
        layers=["block1", "block2", "block3", "head"],
    )


@pytest.fixture(scope="package")
def studied():
    return pictures()


@pytest.fixture(scope="package")
def common(model, studied):
    """The class that the network predicts most often."""
    with torch.no_grad():
        return int(model.module(studied).argmax(1).mode().values)


@pytest.fixture(scope="package")
def circuit(model, studied, common):
    return discover(
        model,
        load_images(studied, model),
        common,
        config=Config(tau=4, k=10, steps=8, granularities=(1.0, 0.5), groups=3, concept_set="all"),
    )
