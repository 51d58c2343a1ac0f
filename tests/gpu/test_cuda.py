"""On a GPU: the same circuits and attributions as on the CPU, within the memory budget.

This file needs only pytest and the package, not ``conftest.py``, so that ``make gpu`` can run it with
the Python of another machine. ``NEURFLOW_TEST_DEVICE=cpu`` runs the tests without a GPU.
"""

from __future__ import annotations

import json
import os
from functools import cache

import numpy as np
import pytest
import torch

import neurflow
from neurflow import Config, Model, discover
from neurflow.attribution import integrated_gradients
from neurflow.attribution.streaming import RULES
from neurflow.model import Preprocessing
from neurflow.runtime.float32 import full_float32
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Silent
from tests.networks import FAMILIES, SmallNet, seeded, settle

DEVICE = os.environ.get("NEURFLOW_TEST_DEVICE", "cuda")
ON_GPU = DEVICE.startswith("cuda")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(ON_GPU and not torch.cuda.is_available(), reason="no CUDA device here"),
]

CONFIG = Config(tau=4, k=20, concept_set="all")


def small(device: str) -> Model:
    transform = Preprocessing(resize=None, crop=(32, 32), mean=(0.5,) * 3, std=(0.5,) * 3)
    names = ["ant", "bee", "cat", "dog"]
    return Model(settle(seeded(SmallNet)).to(device), transform=transform, class_names=names)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(6):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((32, 32), Image.Resampling.BICUBIC)
        picture.save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def expected(pictures):
    return discover(small("cpu"), pictures, "bee", config=CONFIG)


def assert_alike(found, expected):
    assert [layer.name for layer in found.layers] == [layer.name for layer in expected.layers]
    for mine, its in zip(found.layers, expected.layers, strict=True):
        assert set(mine.neurons) == set(its.neurons)
        for a, neuron in its.neurons.items():
            assert mine.neurons[a].importance == pytest.approx(
                neuron.importance, rel=1e-2, abs=1e-5
            )
            assert mine.neurons[a].activations == pytest.approx(neuron.activations, rel=1e-3)
            assert mine.neurons[a].rule == neuron.rule


def test_the_circuit_equals_that_of_the_cpu(pictures, expected):
    assert_alike(discover(small(DEVICE), pictures, "bee", config=CONFIG), expected)


def test_the_settings_of_pytorch_are_restored(pictures):
    before = torch.backends.cudnn.allow_tf32
    discover(small(DEVICE), pictures, "bee", config=CONFIG)
    assert torch.backends.cudnn.allow_tf32 == before
    with full_float32():
        assert not torch.backends.cudnn.allow_tf32


@cache
def of_family(family: str, device: str) -> Model:
    build, size = FAMILIES[family]
    transform = Preprocessing(resize=None, crop=(size, size))
    return Model(settle(seeded(build)).to(device), transform=transform)


@pytest.mark.parametrize("family", ["resnet18", "densenet", "vit"])
def test_networks_are_exported_with_the_same_layers_as_on_the_cpu(family):
    build, size = FAMILIES[family]
    proposed = []
    for device in ("cpu", DEVICE):
        transform = Preprocessing(resize=None, crop=(size, size))
        model = Model(seeded(build).to(device), transform=transform)
        assert model.network.note is None, "TF32 made the graph and the module differ"
        proposed.append(model.proposed_layers())
    assert proposed[0] == proposed[1]


@pytest.mark.parametrize(
    "family", ["resnet18", "mobilenet_v2", "squeezenet1_0", "googlenet", "densenet", "vit"]
)
@pytest.mark.parametrize("rule", ["gauss", "secants", "steep"])
def test_attributions_equal_those_of_the_cpu(family, rule):
    scores = {}
    for device in ("cpu", DEVICE):
        model = of_family(family, device)
        pixels = torch.randn(4, *model.input_size, generator=torch.Generator().manual_seed(0))
        lower, upper = model.proposed_layers()[-3:-1]
        segment = model.segment(lower, upper)
        with torch.inference_mode(), full_float32():
            keys = list(segment.observed)
            seen = dict(zip(keys, model.outputs(keys)(model.feed(pixels)), strict=True))
        seen = {key: value.clone() for key, value in seen.items()}
        with full_float32():
            found = integrated_gradients(
                segment,
                3,
                seen[keys[0]],
                [seen[key] for key in segment.bypass],
                steps=8,
                rule=RULES[rule],
            )
        assert found.scores.device.type == torch.device(device).type
        scores[device] = found.scores.cpu()
    scale = float(scores["cpu"].abs().max())
    assert torch.allclose(scores[DEVICE], scores["cpu"], rtol=1e-3, atol=1e-3 * scale)


def test_a_discovery_stays_within_its_memory(pictures):
    model = neurflow.load_model("torchvision:resnet18", "random", device=DEVICE)
    layers = ["layer3.1", "layer4.0", "layer4.1", "fc"]
    model.network.proposed()
    if ON_GPU:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    budget = 512 * 10**6
    images = neurflow.load_images(pictures, model)
    config = Config(tau=4, k=20, steps=8, concept_set="all", granularities=(1.0, 0.5))
    found = discover(model, images, 0, layers, config, memory=budget, max_images=3)
    if ON_GPU:
        assert torch.cuda.max_memory_allocated() - before <= budget
    assert len(found.layers) == 4


def test_the_circuit_does_not_depend_on_the_memory(pictures, expected):
    for memory in ("8MB", "1GB"):
        found = discover(small(DEVICE), pictures, "bee", config=CONFIG, memory=memory)
        assert_alike(found, expected)


def test_batches_are_halved_until_they_fit():
    if ON_GPU:
        _, whole = torch.cuda.mem_get_info()
    else:
        whole = 2**50  # more than a processor can address

    def work(items: np.ndarray) -> int:
        each = whole // 3 if len(items) > 1 else 2**20
        return len(torch.empty(each * len(items), dtype=torch.uint8, device=DEVICE)) and len(items)

    batch = Batch(4, Silent())
    assert sum(count for _, count in batch.map(work, np.arange(5))) == 5
    assert batch.size == (2 if ON_GPU else 1)


def test_the_command_line_uses_the_device(pictures, expected, tmp_path, capsys):
    code = tmp_path / "small.py"
    code.write_text(
        "from tests.gpu.test_cuda import small as make\ndef small():\n    return make('cpu')\n"
    )
    from neurflow.cli import main

    line = ["discover", f"file:{code}:small", pictures, "--target", "bee", "--device", DEVICE]
    line += ["--tau", 4, "--k", 20, "--concept-set", "all", "--out", tmp_path / "run", "--json"]
    with pytest.raises(SystemExit) as ended:
        main([str(part) for part in line])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["result"] == str(tmp_path / "run")
    assert_alike(neurflow.load_circuit(tmp_path / "run"), expected)


@pytest.mark.skipif(not ON_GPU, reason="for GPUs alone")
def test_a_device_by_number_keeps_its_feature_maps_there(pictures, expected):
    last = f"cuda:{torch.cuda.device_count() - 1}"
    assert_alike(discover(small(last), pictures, "bee", config=CONFIG), expected)
