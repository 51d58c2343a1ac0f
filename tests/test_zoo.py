"""Twelve different architectures are cut and attributed exactly; ``make zoo`` checks all."""

import pytest
from benchmarks.zoo import COMPLETENESS, TOLERANCE, check, passes
from benchmarks.zoo_models import FAMILIES, build

ARCHITECTURES = [
    ("torchvision", "shufflenet_v2_x0_5"),  # channels split, shuffled and concatenated
    ("torchvision", "mnasnet0_5"),  # depthwise convolutions
    ("torchvision", "regnet_x_400mf"),  # grouped convolutions
    ("torchvision", "mobilenet_v3_small"),  # squeeze and excitation, hard swish
    ("torchvision", "squeezenet1_1"),  # logits without a last linear layer
    ("torchvision", "vgg11_bn"),  # no blocks
    ("timm", "levit_128s"),  # batch norm on tokens
    ("timm", "mobilevit_xxs"),  # convolutions and tokens alternate
    ("timm", "starnet_s050"),  # products of two branches
    ("timm", "edgenext_xx_small"),  # attention across channels
    ("transformers", "swin"),  # windows, channels last, a ModelOutput
    ("transformers", "beit"),  # relative position bias
]


@pytest.mark.filterwarnings("ignore")  # warnings of the libraries that build the models
@pytest.mark.parametrize(("family", "name"), ARCHITECTURES)
def test_the_cut_and_the_attribution_are_exact(family, name):
    assert name in FAMILIES[family]
    row = check(*build(family, name))
    assert row["cut"] == "export"
    assert row["proposed"] >= 3
    assert row["hook"] < TOLERANCE
    assert row["segment"] < TOLERANCE
    assert row["logit"]["error"] < COMPLETENESS
    assert max(row["logit"]["captum"], row["block"]["captum"]) < TOLERANCE
    assert passes(row)
