"""Feature maps are equal in memory and on disk, and crops are run as rarely as documented."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch

from neurflow import Config, discover, load_images
from neurflow.model import Model
from neurflow.pictures.crops import CropSet
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Silent
from neurflow.runtime.workspace import Workspace
from neurflow.study.activations import StreamingPass
from neurflow.study.features import FeatureMaps
from tests.method.test_discover import picture
from tests.studies import family, inputs

BUDGETS = {"in memory": 2**30, "on disk": 2**10, "in blocks": 2**10}


def small_model(name="resnet18"):
    return family(name)


@pytest.fixture
def counted(monkeypatch):
    """Number of crops that were run through the network."""
    count = [0]
    original = Model.feed

    def feed(self, pixels):
        count[0] += len(pixels)
        return original(self, pixels)

    monkeypatch.setattr(Model, "feed", feed)
    return count


def prepare(model, tmp_path, memory, monkeypatch, scratch):
    monkeypatch.setattr("neurflow.study.features.SCRATCH", scratch)
    size = model.input_size[1:]
    images = inputs(torch.randn(3, 3, *size))
    crops = CropSet(images, range(3), size, (1.0, 0.5))
    names = model.proposed_layers()[-4:]
    segments = [model.segment(*pair) for pair in reversed(list(itertools.pairwise(names)))]
    batch = Batch(4, Silent())
    features = FeatureMaps(model, crops, segments, folder=tmp_path, memory=memory, batch=batch)
    return crops, names, segments, features, batch


def run_over(model, crops, names, work, batch, **options):
    return StreamingPass(model, crops, names, batch, Silent(), **options).run(work)


@pytest.mark.parametrize("network", ["resnet18", "densenet", "vit"])
@pytest.mark.parametrize("place", BUDGETS)
def test_feature_maps_equal_the_network_in_memory_and_on_disk(
    tmp_path, monkeypatch, network, place
):
    model = small_model(network)
    scratch = 2**30 if place == "on disk" else 0
    crops, names, segments, features, batch = prepare(
        model, tmp_path, BUDGETS[place], monkeypatch, scratch
    )
    assert features.keeps_all == (place != "in blocks")
    run_over(model, crops, names, Workspace(tmp_path), batch, features=features)
    needed = np.array([0, 3, 4, 11, 17, 25, 29])
    for segment in segments:
        seen, maps = [], features.of(segment)
        for block in maps.blocks(needed):
            seen += block.tolist()
            order = np.concatenate([block[::-1], block[:1]])  # any order, with repeats
            observed = maps.take(order)
            found = observed.kept
            assert list(found) == list(segment.observed)
            assert observed.x is next(iter(found.values()))
            assert len(observed.bypass) == len(segment.bypass)
            with torch.no_grad():
                expected = model.outputs(list(found))(crops_in_order(model, crops, order))
            for value, wanted in zip(found.values(), expected, strict=True):
                assert value.shape == wanted.shape
                torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-4)
        assert seen == needed.tolist()


def crops_in_order(model, crops, numbers):
    return model.feed(torch.cat([crops.pixels([n]) for n in numbers]))


def test_no_crop_is_run_again_if_all_maps_are_kept(tmp_path, monkeypatch, counted):
    model = small_model()
    crops, names, segments, features, batch = prepare(model, tmp_path, 2**30, monkeypatch, 0)
    before = counted[0]
    run_over(model, crops, names, Workspace(tmp_path), batch, features=features)
    for segment in segments:
        list(features.of(segment).blocks(np.arange(len(crops))))
    assert counted[0] - before == len(crops)


def test_a_crop_is_run_once_more_if_only_some_maps_are_kept(tmp_path, monkeypatch, counted):
    """With memory for most crops, the others are run on first use, for all segments below."""
    model = small_model()
    crops, _, segments, features, _ = prepare(model, tmp_path, 2**30, monkeypatch, 0)
    memory = len(crops) * features._bytes(features.keys) - 1
    crops, _, segments, features, _ = prepare(model, tmp_path, memory, monkeypatch, 0)
    assert not features.keeps_all
    before, needed = counted[0], np.arange(0, len(crops), 2)
    for segment in segments:
        list(features.of(segment).blocks(needed))
    assert counted[0] - before == len(needed)


def test_feature_maps_are_exact_after_a_bfloat16_pass(tmp_path, monkeypatch):
    model = small_model()
    crops, names, segments, features, batch = prepare(model, tmp_path, 2**30, monkeypatch, 0)
    run = partial(run_over, model, crops, names)
    exact = run(Workspace(tmp_path / "exact"), batch)
    rough = run(Workspace(tmp_path / "rough"), batch, features=features, precision="bfloat16")
    for name in names:
        scale = np.abs(exact[name]).max()
        off = np.abs(exact[name] - rough[name]).max()
        assert 0 < off < 0.05 * scale
    needed = np.arange(len(crops))
    maps = features.of(segments[0])
    for _ in maps.blocks(needed):
        found = maps.take(needed[:3]).kept
    with torch.no_grad():
        expected = model.outputs(list(found))(crops_in_order(model, crops, needed[:3]))
    for value, wanted in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-4)


def test_files_are_removed_with_the_maps(tmp_path, monkeypatch):
    *_, features, _ = prepare(small_model(), tmp_path, 2**10, monkeypatch, 2**30)
    assert features.keeps_all
    assert not list(tmp_path.iterdir())


def test_the_circuit_does_not_depend_on_the_memory(monkeypatch):
    monkeypatch.setattr("neurflow.study.features.SCRATCH", 0)
    model = small_model()
    images = [picture(seed) for seed in range(4)]
    config = Config(tau=4, k=12, concept_set="all", granularities=(1.0, 0.5))
    source = load_images(torch.stack([model.transform(image) for image in images]), model)
    layers = model.proposed_layers()[-4:]
    circuits = [discover(model, source, 0, layers, config, memory=m) for m in ("2GB", "1MB")]
    for one, other in zip(*(circuit.layers for circuit in circuits), strict=True):
        assert {a: n.core_neurons for a, n in one.neurons.items()} == {
            a: n.core_neurons for a, n in other.neurons.items()
        }
        assert [group.members for group in one.groups] == [group.members for group in other.groups]
