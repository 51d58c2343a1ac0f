"""Real networks on real pictures give the results of the published code."""

import json
from pathlib import Path

import pytest
import torch

from neurflow import discover, load_images, load_model
from neurflow.attribution import AttributionTask
from neurflow.config import Config
from neurflow.debugging.masking import Masker, mask_of
from neurflow.method.concepts import find_concepts
from neurflow.method.core_neurons import select_cores
from neurflow.pictures.crops import CropSet
from neurflow.refs import Target
from neurflow.runtime.memory import Budget
from neurflow.runtime.progress import Silent
from neurflow.runtime.workspace import Workspace
from neurflow.study.study import Study, segments_of
from tests.reference.debugging import masked_logits

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def expected(real_data):
    return json.loads((real_data / "expected" / "resnet18_golden_retriever.json").read_text())


@pytest.fixture(scope="module")
def model(real_data):
    return load_model("torchvision:resnet18", real_data / "weights" / "resnet18.pth")


@pytest.fixture(scope="module")
def folder(real_data):
    return real_data / "images" / "imagenet20" / "n02099601_golden_retriever"


def test_the_class_has_the_published_core_neurons(model, folder, expected):
    pictures = [folder / name for name in expected["images"]]
    circuit = discover(model, pictures, "golden retriever", ["layer4.1", "fc"], Config.published())
    assert [Path(image.name).name for image in circuit.images] == expected["images"]
    assert circuit.crop_count == expected["n_crops"]
    neuron = circuit.layers[-1].neurons[207]
    assert sorted(neuron.core_neurons) == expected["core"]["fc"]["207"]
    assert neuron.score_error < 1e-5


def test_neurons_of_the_last_block_have_the_published_core_neurons(
    model, folder, expected, tmp_path
):
    """Three of the sixteen, to save time; all sixteen agree in a whole discovery."""
    images = load_images(folder, model)
    names = [ref.name for ref in images.refs]
    crops = CropSet(
        images, [names.index(n) for n in expected["images"]], (224, 224), (1.0, 0.5, 0.25)
    )
    study = Study(
        model,
        Target(layer="layer4.1", neuron=0, name="layer4.1/0"),
        segments_of(model, ["layer4.0", "layer4.1"]),
        crops,
        Workspace(tmp_path),
        Budget("2GB", Silent()),
        Silent(),
    )
    published = dict(list(expected["core"]["layer4.1"].items())[:3])
    config = Config.published()
    concepts = find_concepts(study, "layer4.1", map(int, published), config)
    task = AttributionTask(study, study.pair("layer4.1"), concepts, config)
    found = select_cores(task, "published", dict.fromkeys(concepts, 16))
    for neuron, core in published.items():
        assert sorted(found[int(neuron)].importance) == core


def test_masking_through_the_cut_equals_a_hook(model, folder):
    images = load_images(folder, model)
    pixels = torch.stack([images.read(0), images.read(1)])
    neurons = [0, 5, 17]
    for name in ("layer2.1", "layer4.0"):
        masker = Masker(model, [name])
        before, (after,), _ = masker.run(pixels, [mask_of(masker.layers, {name: neurons})])
        expected = masked_logits(
            model, pixels, {name: (1, lambda n, part: part * (n not in neurons))}
        )
        assert after == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-4)
        with torch.no_grad():
            assert before == pytest.approx(model.module(pixels).numpy(), rel=1e-3, abs=1e-4)
