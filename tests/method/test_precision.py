"""Low precision gives a note if it changes results."""

from functools import partial

import pytest
import torch
from torch import nn

from neurflow import Config, Model, discover
from neurflow.model import Preprocessing
from tests.networks import SmallNet, seeded, settle

PLAIN = Preprocessing(resize=None, crop=(32, 32))
CONFIG = Config(tau=3, k=10, steps=3, concept_set="all")


class Shifted(SmallNet):
    """Adds a large constant, so that low precision loses small differences."""

    def forward(self, x):
        x = self.block3(self.block2(self.block1(x)) + self.shift) - self.shift
        return self.head(x.mean((2, 3)))

    def __init__(self, shift):
        super().__init__()
        self.block3 = nn.Sequential(nn.Conv2d(12, 16, 1, groups=4, bias=False), nn.ReLU())
        self.shift = shift


def notes(module, images, config=CONFIG):
    return [n for n in discover(Model(module, transform=PLAIN), images, 1, config=config).notes
            if "float" in n and "tolerance" not in n]  # fmt: skip


@pytest.mark.parametrize(("shift", "told"), [(0.0, 0), (1000.0, 1)])
def test_a_bfloat16_pass_that_shifts_activations_is_noted(shift, told):
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    config = CONFIG.model_copy(update={"precision": "bfloat16"})
    found = notes(settle(seeded(partial(Shifted, shift))), images, config)
    assert len(found) == told
    assert all("differ from those in float32" in note for note in found)
    assert not notes(settle(seeded(partial(Shifted, shift))), images)


def test_half_precision_that_breaks_completeness_is_noted():
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    class Autocast(Shifted):
        def forward(self, x):
            with torch.autocast("cpu", torch.bfloat16):
                return super().forward(x).float()

    note = notes(settle(seeded(partial(Autocast, 1000.0))), images)[-1]
    assert "computes in bfloat16" in note and "autocast" in note, note
    (note,) = notes(settle(seeded(partial(Shifted, 1000.0))).bfloat16(), images)
    assert "computes in bfloat16, so the completeness error in" in note
    assert not notes(settle(seeded(partial(Shifted, 0.0))).double(), images)
