"""The check against pictures of named concepts, on a network whose channels are colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import neurflow
from neurflow.circuit import CircuitLayer, Neuron, NeuronGroup, SemanticGroup
from neurflow.errors import ImagesError, ModelError
from neurflow.labels.concepts import (
    EPSILON,
    _check,
    concept_checks,
    group_scores,
    named_concept,
)
from neurflow.refs import Member
from tests.reference import validation as reference

COLOURS = {"red": (220, 10, 10), "green": (10, 220, 10), "deep_blue": (10, 10, 220)}


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abc")), min_size=3, max_size=30))
def test_concepts_have_average_precision_and_are_ranked_above_chance(pairs):
    scores = np.array([score for score, _ in pairs], float)
    names = np.array([name for _, name in pairs])
    names[:3] = list("abc")
    found = {name: _check(scores, names, "abc", name) for name in "abc"}
    above = {}
    for name, check in found.items():
        known = reference.average_precision(names == name, scores)
        share = sum(names == name) / len(names)
        assert (check.auprc.value, check.share) == pytest.approx((known, share))
        assert check.auprc.low <= check.auprc.value <= check.auprc.high
        above[name] = (check.auprc.value - check.share) / (1 - check.share)
    assert sorted(check.rank for check in found.values()) == [1, 2, 3]
    by_place = sorted(found, key=lambda name: found[name].rank)
    assert [above[name] for name in by_place] == sorted(above.values(), reverse=True)
    assert {check.best for check in found.values()} == {by_place[0]}


def test_a_groups_score_by_hand():
    def neuron(index, activations):
        part = SemanticGroup(crops=(0, 1), weights={}, concept_vector=np.zeros(1, np.float32))
        crops = ((0, (0, 0, 1, 1)), (1, (0, 0, 1, 1)))
        return Neuron(index=index, crops=crops, activations=activations, semantic_groups=(part,))

    group = NeuronGroup(id="l/0", members=(Member(0, 0), Member(1, 0)), crops=())
    layer = CircuitLayer(name="l", neurons={0: neuron(0, (3, 1)), 1: neuron(1, (9, 7))}, groups=())
    phi = np.array([[2.0, 8.0], [4.0, 2.0], [-1.0, 8.0]])
    expected = [0, (np.log(2) + np.log(1 / 4)) / 2, (np.log(EPSILON) + 0) / 2]
    assert group_scores(phi, layer, group) == pytest.approx(expected, abs=1e-5)


def test_a_label_names_a_concept_by_whole_words():
    concepts = ["red", "deep blue", "blue"]
    assert named_concept("A Deep-Blue sky", concepts) == "deep blue"
    assert named_concept("rubbed leather", concepts) is None
    assert named_concept(None, concepts) is None


class Colours(nn.Module):
    """A network with one channel for each colour, and two classes that combine them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.Conv2d(3, 3, 1, bias=False)
        self.seen.weight.data = torch.eye(3)[:, :, None, None]
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(3, 2, bias=False)
        self.head.weight.data = torch.tensor([[1.0, 0.2, 0.1], [0.1, 0.2, 1.0]])

    def forward(self, x):
        return self.head(self.pool(self.relu(self.seen(x))).flatten(1))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / name).mkdir()
        for i in range(6):
            pixels = np.clip(np.array(colour) + rng.normal(0, 25, (16, 16, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name / f"{i}.png")
    (tmp_path / "red" / "torn.png").write_bytes(b"no picture")
    return tmp_path


def test_the_group_of_a_colour_responds_to_pictures_of_it(folder, monkeypatch):
    from torchvision.transforms import Compose, Resize, ToTensor

    torch.manual_seed(0)
    model = neurflow.Model(Colours(), transform=Compose([Resize(16), ToTensor()]))
    config = neurflow.Config(tau=3, k=6, concept_set="all", granularities=(1.0,))
    circuit = neurflow.discover(
        model, neurflow.load_images(folder, model), 0, layers=["seen"], config=config
    )
    group = next(g for g in circuit.layers[0].groups if {m.neuron for m in g.members} == {0})

    def labelled(label):
        named = tuple(
            g.model_copy(update={"label": label if g is group else None})
            for g in circuit.layers[0].groups
        )
        layer = circuit.layers[0].model_copy(update={"groups": named})
        return circuit.model_copy(update={"layers": (layer, *circuit.layers[1:])})

    (right,) = concept_checks(labelled("red things"), model, folder).values()
    assert (right.concept, right.auprc.value, right.rank, right.concepts) == ("red", 1.0, 1, 3)
    assert right.share == pytest.approx(1 / 3)
    (wrong,) = concept_checks(labelled("a deep blue"), model, folder).values()
    assert wrong.auprc.value < 0.5 and wrong.auprc.high < 1 and wrong.best == "red"
    with monkeypatch.context() as patched:
        patched.setattr("neurflow.labels.concepts.collect", None)  # the network is not run
        assert concept_checks(labelled("a wheel"), model, folder) == {}

    other = neurflow.Model(
        nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), transform=model.transform
    )
    with pytest.raises(ModelError, match="found in another model"):
        concept_checks(circuit, other, folder)
    with pytest.raises(ImagesError, match="two concepts"):
        concept_checks(circuit, model, folder / "red")
