"""The Python code of the README runs."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models
from torchvision.models import WeightsEnum

import neurflow
from neurflow.circuit import Circuit
from tests.networks import settle

README = Path(__file__).parents[1] / "README.md"
BEE = 309


@pytest.fixture
def trained(monkeypatch):
    """A replacement for downloaded weights: every picture is a bee, mainly because of neuron 185."""
    torch.manual_seed(0)
    module = models.googlenet(weights=None, init_weights=False, aux_logits=True)
    settle(module, seed=2)  # a seed whose random features form several groups
    module.fc.bias.data[BEE] = 1e4
    module.fc.weight.data[BEE, 185] = 10.0
    module.inception5b.branch1.bn.bias.data[185] = 5.0
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: module.state_dict())


def test_every_public_name_exists():
    assert all(hasattr(neurflow, name) for name in neurflow.__all__)


def test_the_code_of_the_readme_runs(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # two blocks instead of ten, to save time; everything else is unchanged
    monkeypatch.setattr("neurflow.model.network.layers.PROPOSED_BLOCKS", 2)
    Path("photos").mkdir()
    y, x = np.mgrid[:260, :260]
    waves = np.stack([np.sin(x / 9) * 127 + 128, y / 2, x / 2], -1).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(waves).save("photos/waves.png")
    Image.fromarray(noise).resize((260, 260)).save("photos/noise.png")
    Image.fromarray(waves).save("odd.jpg")

    (code,) = re.findall(r"```python\n(import neurflow\n.*?)```", README.read_text(), re.S)
    names: dict[str, object] = {}
    exec(code, names)

    circuit = names["circuit"]
    assert isinstance(circuit, Circuit)
    assert circuit.target.neuron == BEE
    assert [layer.name for layer in circuit.layers] == ["inception5a", "inception5b", "fc"]
    assert (tmp_path / "runs" / "bee" / "circuit.json").is_file()
    weights = names["neuron"].semantic_groups[0].weights
    assert sum(map(abs, weights.values())) == pytest.approx(1)
    assert names["group"].id == "inception5a/3"
    report = names["report"]
    assert report.what_if.change.neurons == {"inception5a": names["group"].neurons}
    assert report.pictures[0].top[0].index == BEE
    assert report.what_if.effects[0].target_before != report.what_if.effects[0].target_after
    graph = circuit.to_networkx()
    assert graph.number_of_edges() == len(circuit.edges)
    frames = circuit.to_frames()
    assert set(frames) == {"neurons", "semantic_groups", "groups", "neuron_edges", "group_edges"}


@pytest.mark.parametrize("name", neurflow.__all__)
def test_every_public_name_loads(name):
    assert getattr(neurflow, name).__name__.rpartition(".")[2] == name
