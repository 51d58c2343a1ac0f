"""Products of gradients and weights in bfloat16, whose rounding is part of the score error."""

import numpy as np
import torch

from neurflow.model.fast.products import factors, rounded_products
from tests.attribution.test_streaming import run, setting


def test_rounding_changes_scores_little_and_is_part_of_the_score_error():
    segment, values, concepts = setting("resnet18")
    exact, _ = run(segment, values, concepts, steps="auto")
    rounded, _ = run(segment, values, concepts, steps="auto", products="bfloat16")
    for a in concepts:
        one, other = exact[a].importance, rounded[a].importance
        by = np.abs(one - other).sum() / one.sum()
        assert 1e-5 < by < 0.01, a
        assert rounded[a].score_error > 0.5 * by, a


def test_only_float32_is_rounded_and_only_meanwhile():
    single, double = torch.ones(2) / 3, torch.ones(2, dtype=torch.float64)
    with rounded_products(True):
        assert [each.dtype for each in factors(single, single)] == [torch.bfloat16] * 2
        assert factors(single, double) == (single, double)
        with rounded_products(False):
            assert factors(single)[0] is single
        assert factors(single)[0].dtype is torch.bfloat16
    assert factors(single)[0] is single
