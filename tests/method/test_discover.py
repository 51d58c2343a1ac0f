"""The whole method on small networks: the result, its invariants, resuming, and bad requests."""

import json
import math
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import neurflow
from neurflow import Config, Model, discover
from neurflow.errors import RequestError, WorkError
from neurflow.model import Preprocessing
from tests.networks import FAMILIES, SmallNet, settle
from tests.reference import method

CONFIG = Config(tau=4, k=20, steps=8)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    transform = Preprocessing(resize=None, crop=(32, 32), mean=(0.5,) * 3, std=(0.5,) * 3)
    return Model(settle(SmallNet()), transform=transform, class_names=["ant", "bee", "cat", "dog"])


def picture(seed):
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def images(model):
    return [picture(seed) for seed in range(6)]


@pytest.fixture(scope="module")
def target(model, images):
    """The class that the untrained network predicts most often."""
    source = neurflow.load_images(images, model)
    with torch.no_grad():
        predicted = model.module(torch.stack([source.read(i) for i in range(6)])).argmax(1)
    return model.class_names[int(predicted.mode().values)]


@pytest.fixture(scope="module")
def circuit(model, images, target):
    return discover(model, images, target, config=CONFIG)


def test_the_circuit_does_not_depend_on_the_memory(model, images, target, circuit):
    found = discover(model, images, target, config=CONFIG, memory="8MB")
    assert found.model_dump_json() == circuit.model_dump_json()


def test_the_circuit_has_the_shape_of_the_method(model, circuit, target):
    assert [layer.name for layer in circuit.layers] == list(model.proposed_layers())
    assert circuit.target.name == target
    top, *_ = reversed(circuit.layers)
    assert list(top.neurons) == [circuit.target.neuron]
    for lower, upper in zip(circuit.layers, circuit.layers[1:], strict=False):
        cores = {s for neuron in upper.neurons.values() for s in neuron.core_neurons}
        assert set(lower.neurons) == cores
        for neuron in upper.neurons.values():
            assert len(neuron.core_neurons) == CONFIG.tau
            assert neuron.steps == CONFIG.steps
            assert neuron.completeness_error < 0.2
            for part in neuron.semantic_groups:
                assert set(part.weights) == set(neuron.core_neurons)
                assert sum(map(abs, part.weights.values())) == pytest.approx(1)
    for layer in circuit.layers:
        for neuron in layer.neurons.values():
            assert len(neuron.crops) == CONFIG.k
            assert list(neuron.activations) == sorted(neuron.activations, reverse=True)
            positions = sorted(p for part in neuron.semantic_groups for p in part.crops)
            assert positions == list(range(CONFIG.k))


def test_concepts_and_cores_equal_the_slow_definition(model, images, circuit):
    """One neuron is computed by hand, from the pixels."""
    lower, upper = circuit.layers[1], circuit.layers[2]
    index, neuron = next(iter(upper.neurons.items()))
    source = neurflow.load_images(images, model)
    chosen = [int(ref.name.removeprefix("image-")) for ref in circuit.images]
    boxes = method.crop_boxes(32, 32, CONFIG.granularities)
    crops = [(n, box) for n in range(len(chosen)) for box in boxes]
    pixels = torch.stack(
        [
            torch.nn.functional.interpolate(
                source.read(chosen[n])[None, :, top:bottom, left:right], (32, 32), mode="bilinear"
            )[0]
            for n, (left, top, right, bottom) in crops
        ]
    )
    with torch.no_grad():
        below = model.module.block2(model.module.block1(pixels))
        phi = model.module.block3(below).mean((2, 3))[:, index]
    limit = max(3, math.ceil(CONFIG.k / len(chosen)))
    expected = method.top_crops(phi.tolist(), CONFIG.k, [n for n, _ in crops], limit)
    assert [(crop.image, crop.box) for crop in neuron.crops] == [crops[i] for i in expected]

    def activation(x):
        return model.module.block3(x).mean((2, 3))[:, index].sum()

    scores = [
        method.integrated_gradients(activation, below[i : i + 1], CONFIG.steps)
        .sum((0, 2, 3))
        .tolist()
        for i in expected
    ]
    assert list(neuron.core_neurons) == method.core_neurons(scores, CONFIG.tau)
    for part in neuron.semantic_groups:
        weights = method.interaction_weights([scores[p] for p in part.crops], neuron.core_neurons)
        assert part.weights == pytest.approx(weights, rel=1e-3, abs=1e-5)
    assert lower.name == "block2"


def test_edges_into_a_group_sum_to_at_most_one(circuit):
    """With means over pairs and conserving sharing, absolute edges into a group sum to at most 1."""
    for layer in circuit.layers[1:]:
        for group in layer.groups:
            assert sum(abs(edge.weight) for edge in circuit.inputs(group.id)) <= 1 + 1e-6
    signs = {edge.weight > 0 for edge in circuit.edges}
    assert signs == {True, False}


def test_the_same_inputs_give_the_same_circuit(model, images, target, circuit):
    again = discover(model, images, target, config=CONFIG, memory="1MB")
    assert again.model_dump(exclude={"layers", "edges"}) == circuit.model_dump(
        exclude={"layers", "edges"}
    )
    for one, other in zip(circuit.layers, again.layers, strict=True):
        assert [g.members for g in one.groups] == [g.members for g in other.groups]
        assert {a: n.core_neurons for a, n in one.neurons.items()} == {
            a: n.core_neurons for a, n in other.neurons.items()
        }
    assert [e.weight for e in again.edges] == pytest.approx(
        [e.weight for e in circuit.edges], abs=1e-5
    )


def test_exemplars_have_pictures(circuit):
    for layer in circuit.layers:
        for group in layer.groups:
            assert circuit.thumbnails[group.crops[0]][8:12] == b"WEBP"


class Kill(Exception):
    pass


class KilledAt:
    """A listener that raises an error at the given stage and counts the steps of each stage."""

    def __init__(self, stage=None, step=0):
        self.stage, self.step, self.counts, self.now = stage, step, {}, ""

    def start(self, stage, total):
        self.now = stage
        self.counts[stage] = 0
        if stage == self.stage and not self.step:
            raise Kill

    def advance(self, count=1):
        self.counts[self.now] += count
        if self.now == self.stage and 0 < self.step <= self.counts[self.now]:
            raise Kill

    def note(self, text):
        self.notes = [*getattr(self, "notes", []), text]


@pytest.mark.parametrize(
    ("stage", "step"),
    [("activations", 1), ("block3 → block2", 0), ("block2 → block1", 0), ("groups", 0)],
)
def test_a_killed_run_resumes_at_its_stage(model, images, target, circuit, tmp_path, stage, step):
    with pytest.raises(Kill):
        discover(
            model,
            images,
            target,
            config=CONFIG,
            out=tmp_path / "run",
            progress=KilledAt(stage, step),
        )
    log = KilledAt()
    resumed = discover(model, images, target, config=CONFIG, out=tmp_path / "run", progress=log)
    assert resumed == circuit
    assert "choosing images" not in log.counts
    finished = {
        "block3 → block2": ["head → block3"],
        "groups": ["head → block3", "block2 → block1"],
    }
    assert not set(finished.get(stage, [])) & set(log.counts)
    stored = neurflow.load_circuit(tmp_path / "run")
    assert stored == resumed
    log = KilledAt()
    discover(model, images, target, config=CONFIG, out=tmp_path / "run", progress=log)
    assert not log.counts
    assert "nothing to do" in log.notes[0]


@pytest.fixture
def written_at_once(monkeypatch):
    """Journals are written after every batch, not once a minute."""
    monkeypatch.setattr("neurflow.runtime.journal.EVERY", 0.0)
    monkeypatch.setattr("neurflow.runtime.journal.SHARE", 0.0)


@pytest.fixture
def attributed(monkeypatch):
    """(layer, N, pairs) of every attributed batch, except those of the time estimate."""
    monkeypatch.setattr("neurflow.method.discover.report_estimate", lambda *_: None)
    seen = []
    original = neurflow.attribution.streaming.integrated_gradients

    def counted(segment, neurons, *values, **options):
        seen.append((segment.upper.name, options["steps"], len(neurons)))
        return original(segment, neurons, *values, **options)

    monkeypatch.setattr("neurflow.attribution.streaming.integrated_gradients", counted)
    return seen


def pairs_of(attributed):
    """Layer → pairs that were attributed since the last call."""
    found = Counter()
    for layer, _, pairs in attributed:
        found[layer] += pairs
    attributed.clear()
    return found


@pytest.mark.parametrize("steps", [8, "auto"])
@pytest.mark.parametrize("stage", ["block2 → block1", "block3 → block2, {choice}"])
def test_a_run_killed_within_a_layer_resumes_after_the_last_batch(
    model, images, target, tmp_path, written_at_once, attributed, steps, stage
):
    """Pairs that were attributed before the kill are in the result, exactly, and are not repeated."""
    config = Config(tau=4, k=20, steps=steps)
    stage = stage.format(choice="choosing N" if steps == "auto" else "score error")
    request = partial(discover, model, images, target, config=config)
    whole = request()
    everything = pairs_of(attributed).total()

    class Late(KilledAt):
        """Raises an error in the second batch of a stage, or after the first if there is only one."""

        batches = 0

        def advance(self, count=1):
            self.counts[self.now] += count
            self.batches += self.now == stage and count > 0
            if self.batches == 2:
                raise Kill

        def start(self, new, total):
            if self.batches == 1 and new != self.now:
                raise Kill
            super().start(new, total)

    with pytest.raises(Kill):
        request(out=tmp_path / "run", progress=Late())
    before = pairs_of(attributed).total()
    assert before < everything
    found = request(out=tmp_path / "run")
    assert found.model_dump_json() == whole.model_dump_json()
    again = before + pairs_of(attributed).total() - everything
    assert 0 <= again <= 2 * 64, "the batch that was under way, and no other"


def test_a_full_run_continues_from_a_quick_run(
    model, images, target, circuit, tmp_path, attributed
):
    look = partial(discover, model, images, target, out=tmp_path / "run")
    quick = look(config=Config(**{**CONFIG.model_dump(), "tau": 2, "depth": 2}))
    assert [layer.name for layer in quick.layers] == ["block2", "block3", "head"]
    for layer in quick.layers:
        assert set(layer.neurons) <= set(circuit.layer(layer.name).neurons)
    assert any("This is a quick look" in note for note in quick.notes)
    of_quick = pairs_of(attributed)
    full = look(config=CONFIG)
    for mine, its in zip(full.layers, circuit.layers, strict=True):
        for a, neuron in its.neurons.items():
            assert mine.neurons[a].importance == pytest.approx(neuron.importance, rel=1e-5)
    went_on = pairs_of(attributed)
    assert discover(model, images, target, config=CONFIG) == circuit
    alone = pairs_of(attributed)
    assert went_on["head"] == 0 < of_quick["head"]
    assert went_on["block3"] == alone["block3"] - of_quick["block3"]
    assert went_on["block2"] == alone["block2"]
    with pytest.raises(RequestError, match="belongs to another run"):
        look(config=Config(**{**CONFIG.model_dump(), "tau": 2, "depth": 2}))


def test_a_damaged_journal_is_not_used(model, images, target, tmp_path, written_at_once):
    request = partial(discover, model, images, target, config=CONFIG)
    with pytest.raises(Kill):
        request(out=tmp_path / "run", progress=KilledAt("block2 → block1", 64))
    (journal,) = (tmp_path / "run" / "work").glob("*.npz")
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 255
    journal.write_bytes(data)
    assert request(out=tmp_path / "run").model_dump_json() == request().model_dump_json()


def test_dead_neurons_are_left_out_with_a_note(images, target, model):
    """If most channels of a block are dead, core sets must not be filled with dead neurons."""
    torch.manual_seed(0)
    module = settle(SmallNet())
    with torch.no_grad():
        for parameter in module.block2.parameters():
            parameter[: len(parameter) - 2] = 0
    dead = Model(module, transform=model.transform, class_names=model.class_names)
    config = Config(**{**CONFIG.model_dump(), "concept_set": "all"})
    found = discover(dead, images, 0, config=config)
    alive = model.layer("block2").neurons - 2
    assert set(found.layer("block2").neurons) <= {alive, alive + 1}
    assert any("importance 0 for them and are left out" in note for note in found.notes)


def test_a_network_without_core_neurons_is_an_error(images, model):
    torch.manual_seed(0)
    module = settle(SmallNet())
    torch.nn.init.zeros_(module.head.weight)
    silent = Model(module, transform=model.transform, class_names=model.class_names)
    config = Config(**{**CONFIG.model_dump(), "concept_set": "all"})
    with pytest.raises(WorkError, match=r"No neuron of 'block3' has .* all attributions are zero"):
        discover(silent, images, 0, config=config)


def test_the_circuit_of_a_vision_transformer(tmp_path):
    build, size = FAMILIES["vit"]
    transform = Preprocessing(resize=None, crop=(size, size))
    model = Model(settle(build()), transform=transform)
    config = Config(tau=4, k=20, steps=4, concept_set="all")
    found = discover(
        model, [picture(seed) for seed in range(3)], 2, config=config, out=tmp_path / "run"
    )
    inner = found.layers[0]
    assert inner.name == "encoder.layers.encoder_layer_0"
    assert all(a < 16 for a in inner.neurons)  # channels, not the 17 tokens
    vector = found.layers[1].neurons[found.layers[2].neurons[2].core_neurons[0]].semantic_groups[0]
    assert len(vector.concept_vector) == 16


def test_at_most_one_crop_of_an_image_in_a_top_k(model, images, target):
    config = Config(tau=4, k=3, steps=4, crops_per_image=1)
    found = discover(model, images, target, config=config)
    for layer in found.layers:
        for neuron in layer.neurons.values():
            assert len({crop.image for crop in neuron.crops}) == 3


def test_the_stored_request_is_readable(model, images, target, tmp_path):
    discover(model, images, target, config=CONFIG, out=tmp_path / "run")
    request = json.loads((tmp_path / "run" / "work" / "request.json").read_text())
    assert request["config"]["tau"] == 4
    assert sorted(p.name for p in (tmp_path / "run" / "work").iterdir()) == [
        "finished.json",
        "request.json",
    ]
