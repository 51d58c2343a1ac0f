"""A run or a sweep belongs to a network, its preprocessing and its outputs, not only to its weights."""

import pytest
import torch
from torch import nn

import neurflow
from neurflow import Config, Model, discover
from neurflow.errors import RequestError
from neurflow.model.preprocessing import Preprocessing
from neurflow.runtime.workspace import same_request
from tests.networks import SmallNet

CONFIG = Config(tau=2, k=4, granularities=(1, 0.5), concept_set="all")


def network(act=nn.ReLU):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), act(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )


def model(act=nn.ReLU, mean=0.0, **options):
    plain = Preprocessing(None, (16, 16), (mean,) * 3, (1.0,) * 3)
    return Model(network(act), transform=plain, **options)


@pytest.mark.parametrize(
    "other",
    [
        {"mean": 0.3},  # as if --mean had been corrected
        {"act": nn.Tanh},  # the same parameters in another forward pass
        {"output": "sigmoid"},
    ],
)
def test_another_network_of_the_same_weights_is_another_request(other, tmp_path):
    pictures = torch.randint(0, 256, (3, 3, 16, 16), generator=torch.manual_seed(0)).byte()
    discover(model(), pictures, 0, config=CONFIG, out=tmp_path / "run")
    with pytest.raises(RequestError, match=r"differs in (preprocessing or|kind of)"):
        discover(model(**other), pictures, 0, config=CONFIG, out=tmp_path / "run")
    redone = discover(model(**other), pictures, 0, config=CONFIG, out=tmp_path / "run", redo=True)
    fresh = discover(model(**other), pictures, 0, config=CONFIG)
    assert redone.layers == fresh.layers


def test_answers_may_differ_by_rounding():
    before = {"model": "a", "answers": [1.0, -200.0]}
    assert same_request(before, {"model": "a", "answers": [1.0, -200.0001]})
    assert not same_request(before, {"model": "a", "answers": [1.0, -201.0]})
    assert not same_request(before, {"model": "b", "answers": [1.0, -200.0]})


def test_a_random_network_has_no_answers():
    class Noisy(SmallNet):
        def forward(self, x):
            return super().forward(x) + torch.rand(1)

    assert neurflow.Model(Noisy(), allow_chance=True).answers == ()
